"""`doctor` asks the processor, the mail server and the sign-in once each, and says what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP
from commands import run_process
from fake_stripe import served
from fake_stripe.server import SECRET_KEY

NOWHERE = "http://127.0.0.1:1"


async def asked(directory: Path, **environ: str) -> dict[str, dict[str, Any]]:
    given = {f"TOLLKEEPER_{name}": value for name, value in environ.items()}
    # In a process of its own, because this one answers it.
    done = await asyncio.to_thread(run_process, "doctor", "--json", cwd=directory, **given)
    return {finding["check"]: finding for finding in done.json["checks"]}


async def test_what_is_not_set_is_no_fault(tmp_path: Path) -> None:
    found = await asked(tmp_path)
    assert found["payments"]["verdict"] == found["mail"]["verdict"] == "ok"
    assert "sign-in" not in found


async def test_who_does_not_answer_is_named_with_what_to_look_at(tmp_path: Path) -> None:
    found = await asked(
        tmp_path,
        STRIPE__SECRET_KEY="sk_test_hidden",
        STRIPE__API_BASE=NOWHERE,
        MAIL__HOST="127.0.0.1",
        MAIL__PORT="1",
        OIDC__ISSUER=NOWHERE,
        OIDC__CLIENT_ID="us",
        OIDC__CLIENT_SECRET="hidden",
    )
    assert {found[name]["verdict"] for name in ("payments", "mail", "sign-in")} == {"failed"}
    assert "stripe.secret_key" in found["payments"]["advice"]
    assert found["mail"]["found"].startswith("127.0.0.1:1: ")
    assert "oidc.issuer" in found["sign-in"]["advice"]
    assert "hidden" not in str(found)


async def test_who_answers_is_well(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    post = await loop.create_server(
        lambda: SMTP(object(), hostname="127.0.0.1", loop=loop), "127.0.0.1", 0
    )
    async with served() as fake, post:
        found = await asked(
            tmp_path,
            STRIPE__SECRET_KEY=SECRET_KEY,
            STRIPE__API_BASE=fake.state.base,
            MAIL__HOST="127.0.0.1",
            MAIL__PORT=str(post.sockets[0].getsockname()[1]),
            MAIL__SECURITY="none",
        )
    assert found["mail"]["verdict"] == "ok"
    assert found["payments"]["verdict"] == "warning"
    assert "Set stripe.webhook_secret" in found["payments"]["advice"]
