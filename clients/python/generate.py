"""Writes `client_sync.py` from `client_async.py`. Needs ruff; a test keeps the two in step."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "tollkeeper_client"
SOURCE = PACKAGE / "client_async.py"
TARGET = PACKAGE / "client_sync.py"

WORDS = {
    r"\A.*\n": '"""Written by `generate.py` from `client_async.py`: change that one."""\n',
    r"\basync (def|with)\b": r"\1",
    r"\bawait ": "",
    r"\bAwaitable\[R\]": "R",
    r"\bAsyncTollkeeper\b": "Tollkeeper",
    r"\bAsync(Client|BaseTransport)\b": r"\1",
    r"\bAsyncGenerator\b": "Generator",
    r"\basynccontextmanager\b": "contextmanager",
    r"\bpause_async\b": "pause",
    r"\b__a(enter|exit)__\b": r"__\1__",
    r"\baclose\b": "close",
}


def written() -> str:
    text = SOURCE.read_text("utf-8")
    for pattern, word in WORDS.items():
        text = re.sub(pattern, word, text)
    name = ["--stdin-filename", str(TARGET)]
    for act in (["check", "--select", "I,F401", "--fix", "--quiet"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *act, *name, "-"]
        text = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True
        ).stdout
    return text


if __name__ == "__main__":
    TARGET.write_text(written(), "utf-8")
