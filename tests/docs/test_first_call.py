"""The first page works as it stands: its blocks are run, in order, against `tollkeeper up`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from running import site

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks_of(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text("utf-8"))


def as_script(blocks: list[tuple[str, str]], port: str) -> str:
    """All blocks as one shell session: what `./dev up` and `pip install` do is done already."""
    lines: list[str] = ["set -eu", f"PATH={Path(sys.executable).parent}:$PATH"]
    for language, text in blocks:
        block = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        block = block.replace("./dev up\n", "").replace("pip install openai\n", "")
        block = block.replace(".venv/bin/tollkeeper", f"{sys.executable} -m tollkeeper")
        block = block.replace("sleep 2\n", "sleep 6\n")  # what a busy machine may need
        if language == "python":
            block = f"python3 - <<'END'\n{block}END\n"
        lines.append(f"{block}\necho '--8<--'")
    return "\n".join(lines)


def run_page(name: str, place: Path) -> tuple[dict[int, str], str]:
    """Run a page's blocks; return what each printed, and what was said on standard error."""
    blocks = blocks_of(ROOT / "docs" / "start" / name)
    with site(place) as made:
        process, shown = made.up()
        (place / ".tollkeeper").symlink_to(made.data_dir)
        port = shown["baseUrl"].split(":")[2].split("/")[0]
        done = subprocess.run(
            ["/bin/bash", "-c", as_script(blocks, port)],
            cwd=place,
            env={**made.environ, "OPENAI_MAX_RETRIES": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = [part.strip() for part in done.stdout.split("--8<--")]
        assert process.stop() == 0
    return dict(enumerate(said)), done.stderr


def test_the_first_page_works_as_it_stands(reachable_dir: Path) -> None:
    answered, errors = run_page("first-call.md", reachable_dir)
    assert '"cost":0.0000099' in answered[2]
    assert '"available":99.9999901' in answered[3]
    assert "sandbox-small-llm-output-mtoken" in answered[3]
    assert "- it cost 0.000009900 USD" in answered[5]
    assert "The stream cost 0.000" in answered[5]
    assert '"kind":"refund"' in answered[6]
    assert answered[7].startswith("402 insufficient_credits {'required': 0.0")
    assert '"status":"succeeded"' in answered[8]
    assert "The books are clean" in errors


def test_the_page_about_money_works_as_it_stands(reachable_dir: Path) -> None:
    answered, errors = run_page("buy-credit.md", reachable_dir)
    assert '"taxIds":[{"type":"eu_vat","value":"IE6433435F"}]' in answered[1]
    assert '"last4":"4242"' in answered[2]
    assert '"status":"succeeded"' in answered[3]
    assert '"posted":125' in answered[3]
    assert '"number":"TEST-INV-' in answered[4]
    assert '"name":"Acme Ltd"' in answered[4]
    assert (reachable_dir / "invoice.pdf").read_bytes().startswith(b"%PDF-")
    assert answered[5].splitlines()[0] == "card_declined"
    assert "requires_action" in answered[5]
    assert answered[5].splitlines()[-1] == "succeeded"
    assert "I agree that my payment method is charged 250 USD" in answered[6]
    assert "cooling_down" in answered[6]
    assert '"type":"Auto Top-up","amount":250' in answered[6]
    assert "credit_auto_recharge_triggered" in answered[6]
    assert '"status":"succeeded","amount":10' in answered[7]
    assert answered[7].endswith("credit_note")
    assert "The books are clean" in errors


def test_the_two_lines_of_the_front_page_are_commands_of_the_script() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    (first,) = [block for language, block in BLOCK.findall(text) if language == "sh"]
    commands = [line.split("#")[0].split() for line in first.splitlines()]
    assert commands == [["./dev", "up"], ["./dev", "test"]]
    script = ROOT / "dev"
    assert os.access(script, os.X_OK)
    listed = subprocess.run([script], capture_output=True, text=True, check=True).stdout
    assert "./dev up" in listed
    assert "./dev test" in listed


@pytest.mark.parametrize("page", ["README.md", "docs/start/first-call.md"])
def test_the_snippet_is_the_one_that_up_prints(page: str) -> None:
    from tollkeeper.cli.up import MODEL

    text = (ROOT / page).read_text("utf-8")
    assert f'model="{MODEL}"' in text
    assert 'print(answer.choices[0].message.content, f"- it cost {answer.cost:.9f} USD")' in text
