"""Where the benchmarks of serving write what they found: benchmarks/RESULTS.md."""

import datetime
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "RESULTS.md"
HEAD = "# Results\n\nWritten by the scripts in this folder, each section by the command that stands in it.\n"


def save(name: str, figures: dict[str, Any]) -> None:
    """Put a benchmark's figures in the place of its last ones, and print them as the last line."""
    text = PATH.read_text("utf-8") if PATH.exists() else HEAD
    rows = "".join(f"| {key.replace('_', ' ')} | {_shown(value)} |\n" for key, value in figures.items())
    told = f"`python -m benchmarks.{name}`, {datetime.date.today()}, {machine()}\n\n| | |\n|---|---|\n{rows}"
    others = [part for part in re.split(r"(?m)^(?=## )", text)[1:] if not part.startswith(f"## {name}\n")]
    sections = sorted([*others, f"## {name}\n{told}\n"])
    PATH.write_text((HEAD + "\n" + "".join(sections)).rstrip() + "\n", "utf-8")
    print(json.dumps(figures))


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


def machine() -> str:
    """The processor and how many of its cores there are."""
    model = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    return f"{os.cpu_count()} cores, {model[1] if model else platform.processor() or platform.machine()}"


def _read(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).exists() else ""
