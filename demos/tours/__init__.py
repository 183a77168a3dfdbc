"""Short experiments for a lecture, one TOML file each: a lecturer adds one without any Python.

    demo = "many_to_one"        which page it belongs to
    tick = 3                    the tick to look at, if any
    [set]                       the inputs, called as in the page's links; the others by default
    [en] and [zh-CN]            title, see (what you should see), try (what to try next)

The files are shown in the order of their names. One that cannot be shown is named in the log.
"""

import logging
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from demos import discover
from demos.base import InputError
from demos.text import LANGUAGES, say

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
    """The experiment in a file; ValueError, with the file's name and a sentence, where it is none."""
    try:
        return made(path.stem, tomllib.loads(path.read_text("utf-8")))
    except InputError as error:
        raise ValueError(f"{path.name}: [set]: {say('en', error.key, **error.values)}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: Save it as UTF-8.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def made(name: str, given: dict[str, Any]) -> Tour:
    """An experiment from what its file says; ValueError or InputError where that is wrong."""
    demos = {demo.name: demo for demo in discover()}
    known(given, ["demo", "tick", "set", *LANGUAGES], "There is no")
    if str(given.get("demo")) not in demos:
        raise ValueError(f"“demo” must be one of {', '.join(demos)}.")
    tick = given.get("tick", 1)
    if type(tick) is not int or tick < 1:
        raise ValueError("“tick” must be a whole number from 1 on.")
    demo, inputs = demos[given["demo"]], given.get("set", {})
    known(inputs, [i.name for i in demo.inputs if i.place != "hidden"], f"{demo.name} has no input")
    demo.check(inputs)
    return Tour(name, demo.name, inputs, given.get("tick"), {lang: texts(given, lang) for lang in LANGUAGES})


def known(given: Any, names: list[str], told: str) -> None:
    """ValueError where a table names what there is not."""
    if not isinstance(given, dict):
        raise ValueError("[set] must be a table.")
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"{told} “{unknown[0]}”; there are {', '.join(names)}.")


def texts(given: dict[str, Any], lang: str) -> dict[str, str]:
    """What is said in a language."""
    said = given.get(lang)
    found = {key: said.get(key) if isinstance(said, dict) else None for key in ("title", "see", "try")}
    for key, text in found.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"[{lang}] needs a text “{key}”.")
    return {key: text.strip() for key, text in found.items()}


def usable(path: Path) -> Tour | None:
    """The experiment in a file; where it is none, the log says why, and the gallery does without it."""
    try:
        return read(path)
    except ValueError as error:
        logging.getLogger(__name__).warning("%s The experiment is left out.", error)
        return None


@cache
def all_tours() -> tuple[Tour, ...]:
    """All experiments that can be shown."""
    return tuple(tour for tour in map(usable, sorted(HERE.glob("*.toml"))) if tour)
