"""One table for people and one JSON file for machines, in bench/results/."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

Row = dict[str, object]


def middle(values: Sequence[float]) -> float:
    return median(values)


def show(name: str, rows: Sequence[Row], verdicts: Sequence[tuple[str, float, str]]) -> None:
    """Print the rows and, per goal, its figure beside what was asked for; keep both."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [
        max(len(column), *(len(line[place]) for line in cells))
        for place, column in enumerate(columns)
    ]
    print(
        f"\n{name} on {os.cpu_count()} cores, {platform.machine()}, medians of alternating runs\n"
    )
    for line in [columns, ["-" * width for width in widths], *cells]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    print()
    for goal, figure, wanted in verdicts:
        print(f"{goal}: {figure:,.2f} (wanted {wanted})")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    when = datetime.now(UTC)
    content = {
        "name": name,
        "at": when.isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "rows": list(rows),
        "goals": [
            {"goal": goal, "figure": figure, "wanted": wanted} for goal, figure, wanted in verdicts
        ],
    }
    path = results / f"{name}-{when:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=1), "utf-8")
    print(f"\n{path}")


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
