"""Whose turn it is to compute, while more runs are under way than there are cores.

A run computes until it has something to show, then it is another's turn. Who has shown nothing
yet goes first: a verdict or a caption needs one turn only, and does not wait for long texts to
end (foreground-background scheduling; Kleinrock 1976, chapter 4). Now and then it is the turn of
one who waits behind them all the same, so that no run stands still.
"""

import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from threading import Event, Lock, get_ident
from typing import Any, TypeVar

FAIR = 4  # every so many turns one is for a run that has been shown already
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PLACES = min(CORES, 4)  # more would wait for Python's one lock, and keep the server's own thread from it

T = TypeVar("T")


class Turns:
    """So many runs compute at a time."""

    def __init__(self, places: int = PLACES) -> None:
        self.free, self.given, self.lock = places, 0, Lock()
        self.newcomers: deque[Event] = deque()
        self.others: deque[Event] = deque()
        self.computing: set[int] = set()  # threads

    def share(self, pieces: Generator[T, Any, Any]) -> Iterator[T]:
        """What a run shows, piece by piece, each computed in a turn. Closing this iterator ends the run."""
        line, end = self.newcomers, object()
        with closing(pieces):
            while True:
                self._wait(line)
                try:
                    piece = next(pieces, end)
                finally:
                    self._pass_on()
                if piece is end:
                    return
                yield piece
                line = self.others

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others compute while this thread, if it is its turn, waits for something that still others may be
        waiting for; once it is there, its turn is the next."""
        if get_ident() not in self.computing:
            yield
            return
        self._pass_on()
        try:
            yield
        finally:
            self._wait(self.newcomers, first=True)

    def _wait(self, line: deque[Event], first: bool = False) -> None:
        with self.lock:
            called = None if self.free else Event()
            if called:
                line.insert(0 if first else len(line), called)
            else:
                self.free -= 1
        if called:
            called.wait()
        self.computing.add(get_ident())

    def _pass_on(self) -> None:
        """Call the next one, if anybody waits."""
        self.computing.discard(get_ident())
        with self.lock:
            self.given += 1
            first, second = (self.newcomers, self.others) if self.given % FAIR else (self.others, self.newcomers)
            if first or second:
                (first or second).popleft().set()
            else:
                self.free += 1


TURNS = Turns()
