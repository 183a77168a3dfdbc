"""Where the benchmarks of serving write what they found: benchmarks/RESULTS.md."""

import datetime
import json
import math
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

PATH = Path(__file__).parent / "RESULTS.md"
HEAD = "# Results\n\nWritten by the scripts in this folder, each section by the command that stands in it.\n"


class Bound(NamedTuple):
    """Between what a figure has to lie."""

    least: float = -math.inf
    most: float = math.inf

    def __str__(self) -> str:
        return f"at most {self.most:g}" if self.least == -math.inf else f"at least {self.least:g}"

    def holds(self, value: float) -> bool:
        """Whether a figure keeps it; what was not measured does not."""
        return self.least <= value <= self.most


def save(name: str, figures: dict[str, Any], bounds: Mapping[str, Bound] | None = None) -> None:
    """Put a benchmark's figures, and what they have to be, in the place of its last ones, and print them as
    the last line. SystemExit where one misses its bound."""
    bounds = bounds or {}
    text = PATH.read_text("utf-8") if PATH.exists() else HEAD
    shown = [(key.replace("_", " "), _shown(value), bounds.get(key, "")) for key, value in figures.items()]
    rows = "".join(f"| {key} | {value} | {bound} |\n" for key, value, bound in shown)
    told = f"`python -m benchmarks.{name}`, {datetime.date.today()}, {machine()}\n\n| | | |\n|---|---|---|\n{rows}"
    others = [part for part in re.split(r"(?m)^(?=## )", text)[1:] if not part.startswith(f"## {name}\n")]
    sections = sorted([*others, f"## {name}\n{told}\n"])
    PATH.write_text((HEAD + "\n" + "".join(sections)).rstrip() + "\n", "utf-8")
    print(json.dumps(figures))
    missed = [
        f"{key}: {figures.get(key)}, not {bound}" for key, bound in bounds.items() if not _kept(figures, key, bound)
    ]
    if missed:
        raise SystemExit("\n".join(missed))


def _kept(figures: Mapping[str, Any], key: str, bound: Bound) -> bool:
    return bound.holds(figures.get(key, math.nan))


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


def machine() -> str:
    """The processor, how wide it computes, and how many of its cores there are."""
    told = _read("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", told)
    width = next((f", {name}" for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in told), "")
    return f"{os.cpu_count()} cores, {model[1] if model else platform.processor() or platform.machine()}{width}"


def _read(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).exists() else ""
