"""What one visitor, and all together, may ask for: every limit of the gallery.

Each can be set by an environment variable, `GALLERY_` and its name: `GALLERY_RUNS=4`.
"""

import os
import time
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """The defaults suit two processor cores and a hall of a hundred."""

    runs: int = 100  # that are under way at once; they compute in turns, see models/turns.py
    queue: int = 100  # runs that may wait for their turn; further ones are told to come again
    rate: int = 20_000  # requests of one address a minute, 0 for any number: a hall that types may share one address
    sentence: int = 1_000_000  # characters of a text whose sentiment is read
    beginning: int = 5000  # characters of a text that is continued or read aloud
    written: int = 2000  # characters written in one go
    texts: int = 10_000  # of a list
    megabytes: int = 20  # of an uploaded file
    megapixels: int = 60  # of a photo; more are refused before they are decoded
    keep: int = 3600  # seconds until an upload is deleted
    grace: int = 8  # seconds that running streams have to end when the server is told to stop


BEAT = 0.3  # seconds between two answers of a run, at most: at each of them one who left frees his place
SHARE = 50  # ticks between two looks at the clock
NONE = ("rate", "grace")  # may be 0: no bound on the rate, and no time to end


def from_environment() -> Limits:
    """The limits as the environment sets them; SystemExit where that is no number, or none to work with."""
    return Limits(**{limit.name: _given(limit.name, limit.default) for limit in fields(Limits)})


def _given(name: str, default: int) -> int:
    text, least = os.environ.get(f"GALLERY_{name.upper()}", str(default)), int(name not in NONE)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
        raise SystemExit(f"GALLERY_{name.upper()} must be a whole number from {least}, not {text!r}")
    return int(text)


LIMITS = from_environment()


class Pace:
    """Says when a run is to give a sign again."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def due(self) -> bool:
        """Whether a beat has passed since the last sign; then this is one."""
        now = time.monotonic()
        if now - self.last < BEAT:
            return False
        self.last = now
        return True
