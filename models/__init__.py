"""Trained networks by name: `load("charlm/shakespeare")`.

A network is a folder with `config.json`, `model.safetensors` and `tokenizer.json` inside the
folder of its architecture, whose module `network` opens it.
"""

import gc
import importlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from threading import Lock, RLock
from typing import Any

ROOT = Path(__file__).parent
_making = RLock()
_opening: dict[str, Lock] = {}  # one lock a network: who wants another does not wait
_failed: dict[Path, tuple[Any, str]] = {}  # folder -> its files when they could not be read, and why


def names(family: str) -> list[str]:
    """The trained networks of an architecture that lie here."""
    return sorted(path.parent.name for path in (ROOT / family).glob("*/config.json"))


class shared_property(cached_property):
    """A cached property that one thread computes while the others wait. Two threads that import
    transformers at once may find a module without its names."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        with _making:
            return super().__get__(instance, owner)


def warm() -> None:
    """Open everything, in the order of the tabs, so that no visitor waits; what is damaged costs its own tab."""
    with suppress(NetworkError):
        load("captioner/flickr8k").module  # noqa: B018, it needs torch from the first photo on
    from models import device, packed, tick

    device.cores()
    if (layout := next(packed.layouts(), None)) is not None:
        tick.Matrix.pack = staticmethod(layout)
    for family in ("sentiment", "charlm"):
        for name in names(family):
            with suppress(NetworkError):
                load(f"{family}/{name}")
    gc.collect()
    gc.freeze()  # what is there now stays: searching it for garbage would halt every stream for a fifth of a second


class NetworkError(RuntimeError):
    """A network that is not there, or whose files are missing or damaged."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What files of a network lack, or hold in another shape than they should, is a NetworkError, too."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NetworkError(f"{name}: {error!r}") from error


def load(name: str) -> Any:
    """The trained network `family/network`, opened once and shared by all threads.

    Raises NetworkError where there is none of this name or its files cannot be read.
    """
    family, network = _known(name)
    folder = ROOT / family / network
    with _opening.setdefault(name, Lock()):
        if folder in _failed and _failed[folder][0] == _files(folder):
            raise NetworkError(_failed[folder][1])
        try:
            return _open(family, network)
        except NetworkError as error:
            _failed[folder] = _files(folder), str(error)
            raise


def facts(name: str) -> dict[str, Any]:
    """A network's `config` and measured `scores`, without opening it; NetworkError as in `load`."""
    from models import checksums

    folder, parts = ROOT.joinpath(*_known(name)), ("config", "scores")
    try:
        checksums.check(folder, [f"{part}.json" for part in parts])
        return {part: json.loads((folder / f"{part}.json").read_text("utf-8")) for part in parts}
    except (OSError, ValueError) as error:
        raise NetworkError(f"{name}: {error}") from error


def _known(name: str) -> tuple[str, str]:
    if re.fullmatch(r"\w[\w-]*/\w[\w-]*", name) is None or not (ROOT / name / "config.json").is_file():
        raise NetworkError(f"there is no network {name!r}")
    family, network = name.split("/")
    return family, network


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """What tells whether somebody has mended a network's files: their names, sizes and times."""
    found = [(path.name, path.lstat()) for path in sorted(folder.iterdir())]
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]


@cache
def _open(family: str, network: str) -> Any:
    from models import checksums

    try:
        checksums.check(ROOT / family / network)
        return importlib.import_module(f"models.{family}.network").Network(ROOT / family / network)
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise NetworkError(f"{family}/{network}: {error}") from error
