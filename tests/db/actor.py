"""A process that uses an embedded server until its standard input closes; tests kill some.

`python actor.py DATA_DIR [UID]` prints one JSON line once it is connected, or why it is not.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tollkeeper.db import EmbeddedServer, EmbeddedServerError


def main(data_dir: Path, uid: int | None) -> None:
    # From here on nothing may be imported: root's interpreter can be out of that user's reach.
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    try:
        with EmbeddedServer(data_dir) as server:
            say(url=server.url, pid=server.pid)
            sys.stdin.read()
    except EmbeddedServerError as error:
        say(error=str(error))


def say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
