"""Several streams of one network, ticking in one batch.

A *writer* is a generator. It yields a `Wish`, the token that it wants to read next, and is sent
what the network computed for it; whatever else it yields is handed out to whoever
iterates over `Together.run`. There is no thread of its own: who needs a result advances all
streams, and the others find theirs ready. A lone stream so runs without any exchange between
threads, and ten together cost little more than one (Orca, Yu et al. 2022, batches so, too).
"""

from collections import deque
from collections.abc import Generator, Iterator
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from models.tick import State
from models.turns import TURNS

BURST = 16  # results that one stream fetches at a time while it has company
AHEAD = 256  # results of a stream that may wait to be fetched; then it pauses, and the batch is smaller
ALL_AHEAD = 4096  # of all streams together, at 30 KB each; but twice a burst each at least


Writer = Generator[Any, Any, None]


class Wish(NamedTuple):
    """The token that a stream reads next, and the temperature at which it will draw the one after it."""

    id: int
    temperature: float = 1.0


class Stream:
    """A writer, the token it waits for, its place in the state of the batch it was in, and what it has handed out."""

    def __init__(self, writer: Writer, state: list[State]) -> None:
        self.writer, self.state, self.place = writer, state, 0
        self.out: deque[Any] = deque()
        self.wish: Wish | None = None
        self.over, self.error, self.left = False, None, False
        self.advance(None)

    def advance(self, row: Any) -> None:
        """Send what the network computed, and take what comes until the next wish."""
        try:
            item = self.writer.send(row)
            while not isinstance(item, Wish):
                self.out.append(item)
                item = next(self.writer)
            self.wish = item
        except StopIteration:
            self.over = True
        except Exception as error:  # it is its own reader's, not that of who happens to tick
            self.over, self.error = True, error


class Together:
    """The streams of one network: anything with `zero()`, `tick(ids, state)`, and, for the parts of that,
    `rows(tick, temperatures)`."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.streams: list[Stream] = []
        self.turn = Lock()

    def run(self, writer: Writer) -> Iterator[Any]:
        """What the writer hands out. Closing this iterator ends the stream."""
        stream = Stream(writer, self.net.zero())
        self.streams.append(stream)
        try:
            while stream.out or not stream.over:
                while stream.out:
                    yield stream.out.popleft()
                with TURNS.aside():  # whose results are ready shows them before more is computed
                    self.turn.acquire()
                try:
                    self._until_ready(stream)
                finally:
                    self.turn.release()
                self._part()
            if stream.error:
                raise stream.error
        finally:
            stream.over = stream.left = True
            self._part()

    def _part(self) -> None:
        """End the streams that nobody reads any more. Never waits: he who leaves may be the one on whom all
        others wait. Whoever is at the tick meanwhile looks again when he has ended it."""
        while any(s.left for s in list(self.streams)) and self.turn.acquire(blocking=False):
            try:
                for stream in [s for s in self.streams if s.left]:
                    self.streams.remove(stream)
                    stream.writer.close()
            finally:
                self.turn.release()

    def _until_ready(self, stream: Stream) -> None:
        """Advance all streams until this one has something to hand out: at once when it is alone,
        else a burst, since every change of thread costs as much as a tick."""
        while not stream.over and len(stream.out) < (BURST if len(self.streams) > 1 else 1):
            streams = list(self.streams)
            ahead = min(AHEAD, max(2 * BURST, ALL_AHEAD // len(streams)))
            self._tick([s for s in streams if not s.over and len(s.out) < ahead])

    def _tick(self, streams: list[Stream]) -> None:
        """One tick of these streams."""
        tick = self.net.tick([s.wish.id for s in streams], _gathered(streams))
        rows = self.net.rows(tick, [s.wish.temperature for s in streams])
        for place, (stream, row) in enumerate(zip(streams, rows, strict=True)):
            stream.state, stream.place = tick.state, place
            stream.advance(row)


def _gathered(streams: list[Stream]) -> list[State]:
    """The state of these streams as a batch: as it is, if they were the batch of the tick before."""
    state = streams[0].state
    if len(state[0].h) == len(streams) and all(s.state is state and s.place == i for i, s in enumerate(streams)):
        return state
    return [_stack(streams, layer) for layer in range(len(state))]


def _stack(streams: list[Stream], layer: int) -> State:
    """Each stream's row of a layer's state -> the layer's state of the batch."""
    parts = zip(*(s.state[layer] for s in streams), strict=True)  # h of every stream, c of every stream
    places = [s.place for s in streams]
    return State(
        *(None if part[0] is None else np.stack([p[i] for p, i in zip(part, places, strict=True)]) for part in parts)
    )
