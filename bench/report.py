"""Shows results to people as a table, to programs as JSON."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return `rows`, all with the same keys, under their keys; what is a number stands right."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    lines = [{name: name for name in names}, *rows]
    numeric = [all(_is_number(row[name]) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            line[name].rjust(width) if right else line[name].ljust(width)
            for name, width, right in zip(names, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def write_json(path: Path, name: str, unit: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `rows` with the bench's name, the unit of its figures and what machine it ran on."""
    whole = {"bench": name, "unit": unit, "machine": machine(), "rows": rows}
    path.write_text(json.dumps(whole, indent=1) + "\n")


def machine() -> dict[str, str | int]:
    """Return what figures depend on: processor, kernel, Python."""
    return {
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").strip().isdigit()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
