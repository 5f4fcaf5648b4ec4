"""Commands on a database of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Command, Done, kept_environ

from tollkeeper.base.settings import Log
from tollkeeper.cli.frame import run


@pytest.fixture
def command(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run a command on a fresh database; it must succeed unless the test says its status.

    In this process, which costs a tenth of one of its own; its logging stays as it is.
    """
    monkeypatch.setattr("tollkeeper.base.log.set_up_logging", _leave_logging)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, status: int = 0, **environ: str) -> Done:
        given = {**kept_environ(), "DATABASE_URL": database_url, **environ}
        with monkeypatch.context() as patched:
            for name in os.environ.keys() - given.keys():
                patched.delenv(name)
            for name, value in given.items():
                patched.setenv(name, value)
            capsys.readouterr()
            found = run([*arguments])
        said = capsys.readouterr()
        assert found == status, said.out + said.err
        return Done(found, said.out, said.err)

    return command


def _leave_logging(_settings: Log) -> None:
    """The other tests of this process have theirs."""
