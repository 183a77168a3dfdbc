"""Short experiments for a lecture, one TOML file each: a lecturer adds one without any Python.

    demo = "many_to_one"        which page it belongs to
    tick = 3                    the tick to look at, if any
    [set]                       the inputs, called as in the page's links; the others by default
    [en] and [zh-CN]            title, see (what you should see), try (what to try next)

The files are shown in the order of their names.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from demos.text import LANGUAGES

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tour:
    """One experiment: what it sets, and what is said about it in each language."""

    name: str
    demo: str
    inputs: dict[str, Any]
    tick: int | None
    said: dict[str, dict[str, str]]


def read(path: Path) -> Tour:
    """The experiment in a file; ValueError, with the file's name, where something is missing."""
    try:
        given = tomllib.loads(path.read_text("utf-8"))
        said = {lang: {key: given[lang][key].strip() for key in ("title", "see", "try")} for lang in LANGUAGES}
        return Tour(path.stem, given["demo"], given.get("set", {}), given.get("tick"), said)
    except (tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path.name}: {error}") from error


@cache
def all_tours() -> tuple[Tour, ...]:
    """All experiments."""
    return tuple(read(path) for path in sorted(HERE.glob("*.toml")))
