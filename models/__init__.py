"""Trained networks by name: `load("charlm/shakespeare")`.

A network is a folder with `config.json`, `model.safetensors` and `tokenizer.json` inside the
folder of its architecture, whose module `network` opens it.
"""

import gc
import importlib
import json
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from threading import Lock, RLock
from typing import Any

ROOT = Path(__file__).parent
_loading = Lock()
_making = RLock()


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
    if packed.available():
        tick.Matrix.pack = staticmethod(packed.laid_out)
    for family in ("sentiment", "charlm"):
        for name in names(family):
            with suppress(NetworkError):
                load(f"{family}/{name}")
    gc.collect()
    gc.freeze()  # what is there now stays: searching it for garbage would halt every stream for a fifth of a second


class NetworkError(RuntimeError):
    """A network that is not there, or whose files are missing or damaged."""


def load(name: str) -> Any:
    """The trained network `family/network`, opened once and shared by all threads.

    Raises NetworkError where there is none of this name or its files cannot be read.
    """
    family, network = _known(name)
    with _loading:
        return _open(family, network)


def facts(name: str) -> dict[str, Any]:
    """A network's `config` and measured `scores`, without opening it; NetworkError as in `load`."""
    folder = ROOT.joinpath(*_known(name))
    try:
        return {part: json.loads((folder / f"{part}.json").read_text("utf-8")) for part in ("config", "scores")}
    except (OSError, ValueError) as error:
        raise NetworkError(f"{name}: {error}") from error


def _known(name: str) -> tuple[str, str]:
    family, _, network = name.partition("/")
    if f"{family}/{network}" not in {f"{p.parent.parent.name}/{p.parent.name}" for p in ROOT.glob("*/*/config.json")}:
        raise NetworkError(f"there is no network {name!r}")
    return family, network


@cache
def _open(family: str, network: str) -> Any:
    from models import checksums

    try:
        checksums.check(ROOT / family / network)
        return importlib.import_module(f"models.{family}.network").Network(ROOT / family / network)
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise NetworkError(f"{family}/{network}: {error}") from error
