"""Log lines: one form for all, on standard error, with the request's id, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from tollkeeper.base.log import request_id, set_up_logging
from tollkeeper.base.settings import Log


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    request_id.set(None)


def set_up(form: Literal["json", "console"] = "json") -> Any:
    set_up_logging(Log(format=form))
    return structlog.stdlib.get_logger("tollkeeper.test")


def test_ours_and_others_lines_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    log = set_up()
    request_id.set("req_1")
    log.info("held", amount="1.5")
    logging.getLogger("somebody").warning("slow %s", "query", extra={"seconds": 3})
    ours, theirs = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert ours["event"] == "held"
    assert ours["amount"] == "1.5"
    assert theirs["event"] == "slow query"
    assert theirs["seconds"] == 3
    for line in (ours, theirs):
        assert line["request_id"] == "req_1"
        assert line["timestamp"].endswith("Z")
    assert (ours["level"], theirs["level"]) == ("info", "warning")
    assert (ours["logger"], theirs["logger"]) == ("tollkeeper.test", "somebody")


def test_levels_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    log = set_up()
    log.debug("unseen")
    logging.getLogger("uvicorn.access").info("unseen")
    logging.getLogger("other").debug("unseen")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_written(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    log = set_up(form)
    key = "tk_live_" + "a" * 43
    text_with_key = f"got {key}"
    log.info(text_with_key, authorization="Bearer abc", nested={"api_key": "abc", "ok": [key]})
    log.info(
        "connect",
        url="postgresql://u:abc@host/db",
        upstream="sk-proj-abcdef123456",
        paid=["sk_live_abcdef123456", "whsec_abcdef123456"],
    )
    refused = ValueError(f"refused {key}")
    log.error("failed", x_api_key="abc", input_token_count=7, exc_info=refused)
    logging.getLogger("other").warning("lost %s", key)
    text = capsys.readouterr().err
    assert "aaaa" not in text
    assert "abc" not in text
    assert text.count("(secret)") >= 8
    assert "postgresql://u:(secret)@host/db" in text
    assert "ValueError" in text
    assert "7" in text


def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("console").info("held", amount="1.5")
    text = capsys.readouterr().err
    assert "held" in text
    assert "amount=1.5" in text
    assert "\x1b" not in text
