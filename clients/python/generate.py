"""Writes each `*_sync.py` from its `*_async.py`, and a class for each code of the error catalogue.

Needs ruff. A test keeps the clients in step.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tollkeeper_client.errors import kind_of_status, kinds

PACKAGE = Path(__file__).parent / "src" / "tollkeeper_client"
CODES = PACKAGE / "error_codes.py"
CATALOGUE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
ROW = re.compile(r"^\| (\d{3}) \| `(\w+)` \| (.+?) \|", re.MULTILINE)
SOURCES = sorted(PACKAGE.glob("*_async.py"))

WORDS = {
    r'\A"""(?s:.*?)"""\n': '"""Written by `generate.py` from `NAME`: change that one."""\n',
    r"\basync (def|with|for)\b": r"\1",
    r"\bawait ": "",
    r"\bAwaitable\[R\]": "R",
    r"\bAsync(Tollkeeper|Calling|Billing|Spending|Account|Selling|Operator)\b": r"\1",
    r"\bAsync(Client|BaseTransport)\b": r"\1",
    r"\bAsync(Generator|Iterator)\b": r"\1",
    r"\basynccontextmanager\b": "contextmanager",
    r"\bpause_async\b": "pause",
    r"\b(tollkeeper_client\.\w+)_async\b": r"\1_sync",
    r"\b__a(enter|exit)__\b": r"__\1__",
    r"\ba(close|read|iter_bytes)\b": r"\1",
}


def target_of(source: Path) -> Path:
    return source.with_name(source.name.replace("_async", "_sync"))


def written(source: Path) -> str:
    text = source.read_text("utf-8")
    for pattern, word in WORDS.items():
        text = re.sub(pattern, word.replace("NAME", source.name), text)
    return tidied(text, target_of(source))


def written_codes() -> str:
    """Write a class for each code that no class has yet, below that of its status."""
    rows = ROW.findall(CATALOGUE.read_text("utf-8"))
    taken = {
        code
        for kind in kinds()
        if kind.__module__ == "tollkeeper_client.errors"
        for code in kind.codes
    }
    classes: list[str] = []
    for status, code, meaning in rows:
        if code in taken:
            continue
        name = code.title().replace("_", "")
        parent = kind_of_status(int(status)).__name__
        parent = "TollkeeperError" if parent == name else parent
        classes.append(
            f'class {name}({parent}):\n    """{meaning}."""\n\n    codes = ("{code}",)\n\n\n'
        )
    parents = ", ".join(sorted({kind_of_status(int(status)).__name__ for status, _, _ in rows}))
    head = '"""Written by `generate.py` from docs/reference/errors.md."""\n\n'
    imports = f"from tollkeeper_client.errors import TollkeeperError, {parents}\n\n\n"
    return tidied(
        head + "from __future__ import annotations\n\n" + imports + "".join(classes), CODES
    )


def tidied(text: str, name: Path) -> str:
    fix = ["check", "--select", "I,F401,UP028", "--fix", "--unsafe-fixes", "--quiet"]
    for act in (fix, ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *act, "--stdin-filename", str(name), "-"]
        text = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True
        ).stdout
    return text


if __name__ == "__main__":
    for source in SOURCES:
        target_of(source).write_text(written(source), "utf-8")
    CODES.write_text(written_codes(), "utf-8")
