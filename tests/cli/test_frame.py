"""The frame: quick to help, plain about what is wrong, and the same exit status for the same."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command, kept_environ, run_process

from tollkeeper.cli.frame import COMMANDS, tollkeeper


def test_help_reads_no_room() -> None:
    script = (
        "import sys; from tollkeeper.cli.frame import run; run(['--help'])\n"
        "heavy = {'litestar', 'psycopg', 'aiohttp', 'msgspec', 'structlog', 'uvicorn'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    python = [sys.executable, "-c", script]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)


def test_help_answers_at_once(tmp_path: Path) -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_process("--help", cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_each_command_says_of_itself(name: str) -> None:
    command = tollkeeper.get_command(None, name)  # pyright: ignore[reportArgumentType] (it looks at the name alone)
    assert command is not None
    assert command.name == name
    first = (command.help or "").split("\n\n")[0].replace("\n", " ")
    assert COMMANDS[name][1] == first


def test_a_wrong_command_line_is_2(tmp_path: Path) -> None:
    done = run_process("gront", cwd=tmp_path)
    assert done.status == 2
    assert "No such command 'gront'" in done.err


def test_wrong_settings_are_2_and_all_named(tmp_path: Path) -> None:
    done = run_process(
        "org", "list", cwd=tmp_path, TOLLKEEPER_SERVER__PORT="high", TOLLKEEPER_SERVER__HOTS="x"
    )
    assert done.status == 2
    assert "TOLLKEEPER_SERVER__HOTS is not a setting; did you mean" in done.err
    assert "server.port (from TOLLKEEPER_SERVER__PORT) must be a whole number" in done.err
    assert "Traceback" not in done.err


def test_what_is_not_there_is_3(command: Command) -> None:
    done = command("org", "show", "Nobody", status=3)
    assert done.err == "tollkeeper: There is no organization Nobody\n"


def test_a_database_that_does_not_answer_is_4(command: Command) -> None:
    done = command("org", "list", status=4, DATABASE_URL="postgresql://u:secret@127.0.0.1:1/x")
    assert done.err.startswith("tollkeeper: The database does not answer")
    assert "Connection refused" in done.err
    assert "secret" not in done.err


def test_a_database_of_another_version_is_4(command: Command, empty_database_url: str) -> None:
    done = command("org", "list", status=4, DATABASE_URL=empty_database_url)
    assert "Run `tollkeeper migrate`" in done.err


def test_a_wrong_directory_is_4_and_gets_no_database(tmp_path: Path) -> None:
    done = run_process("org", "list", cwd=tmp_path)
    assert done.status == 4
    assert f"There is no database in {tmp_path / '.tollkeeper'}" in done.err
    assert not (tmp_path / ".tollkeeper").exists()


def test_a_fault_of_ours_is_5_with_its_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.orgs.list_orgs", None)
    done = command("org", "list", status=5)
    assert "Traceback" in done.err
    assert done.err.endswith("This is a fault of Tollkeeper; please report the lines above.\n")


def test_a_reader_who_has_seen_enough_is_no_fault(database_url: str, tmp_path: Path) -> None:
    script = f"{sys.executable} -m tollkeeper price list --json | head -c 1"
    environ = {**kept_environ(), "DATABASE_URL": database_url}
    assert run_process("price", "publish", cwd=tmp_path, DATABASE_URL=database_url).status == 0
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[", "")


@pytest.mark.parametrize(
    ("words", "expected"), [("tollkeeper pri", "price"), ("tollkeeper key cr", "create")]
)
def test_the_shell_completes(tmp_path: Path, words: str, expected: str) -> None:
    done = run_process(
        cwd=tmp_path,
        _TOLLKEEPER_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert done.out.split() == [f"plain,{expected}"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_the_shells_own(tmp_path: Path, shell: str) -> None:
    done = run_process("completion", shell, cwd=tmp_path)
    assert "_TOLLKEEPER_COMPLETE" in done.out
    if shell == "bash":
        script = f"{done.out}\ncomplete -p tollkeeper"
        known = subprocess.run(
            ["/bin/bash", "-c", script], capture_output=True, text=True, check=True
        )
        assert "_tollkeeper_completion" in known.stdout
