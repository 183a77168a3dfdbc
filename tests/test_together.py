"""Streams that tick in one batch: each must get what it would get alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from models import packed
from models.charlm.network import Network
from models.sampling import soften
from models.tick import Matrix
from models.together import AHEAD, Together, Wish, Writer

STREAMS = 7


@pytest.fixture(params=[None, *packed.layouts()], ids=lambda layout: layout.__name__ if layout else "numpy")
def net(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(Matrix, "pack", request.param and staticmethod(request.param))
    return Network(folder)


def reader(net: Network, ids: list[int]) -> Writer:
    """Hands out what the network believes after each token, and the chances at a temperature of its own."""
    for id_ in ids:
        row = yield Wish(id_, warmth(id_))
        yield np.stack([row.belief, row.chances])


def warmth(id_: int) -> float:
    return 0.5 + id_ % 4 / 2


def ids_of(seed: int, net: Network) -> list[int]:
    return np.random.default_rng(seed).integers(0, len(net.tokens), 40 + 9 * seed).tolist()


def alone(net: Network, ids: list[int]) -> list[np.ndarray]:
    return list(Together(net).run(reader(net, ids)))


def test_a_lone_stream_is_the_plain_tick(net: Network) -> None:
    ids, state, wanted = ids_of(1, net), net.zero(), []
    for id_ in ids:
        tick = net.tick([id_], state)
        state = tick.state
        logits = tick.logits[0]
        wanted.append(np.stack([soften(logits), soften(net.writable(logits), warmth(id_))]))
    assert np.array_equal(alone(net, ids), wanted)


def test_company_changes_nothing(net: Network) -> None:
    together, start = Together(net), Barrier(STREAMS)

    def one(seed: int) -> list[np.ndarray]:
        start.wait()
        return list(together.run(reader(net, ids_of(seed, net))))

    with ThreadPoolExecutor(STREAMS) as pool:
        found = list(pool.map(one, range(STREAMS)))
    for seed, rows in enumerate(found):
        wanted = alone(net, ids_of(seed, net))
        if Matrix.pack is None:  # NumPy multiplies one vector and several in different orders
            np.testing.assert_allclose(rows, wanted, atol=1e-5)
        else:
            assert np.array_equal(rows, wanted)
    assert together.streams == []


def test_one_that_ticks_advances_the_others(net: Network) -> None:
    together = Together(net)
    first, second = (together.run(reader(net, ids_of(seed, net))) for seed in (1, 2))
    next(first), next(second)
    for _ in range(20):
        next(first)
    waiting = len(together.streams[1].out)
    assert waiting >= 10
    first.close()
    assert len(list(second)) == len(ids_of(2, net)) - 1


def test_a_stream_that_nobody_reads_pauses(net: Network) -> None:
    together = Together(net)
    endless = together.run(reader(net, [1] * 10_000))
    next(endless)
    list(together.run(reader(net, [1] * 500)))
    assert len(together.streams[0].out) <= AHEAD
    endless.close()
    assert together.streams == []


def test_closing_ends_the_writer(net: Network) -> None:
    ended = []

    def writer() -> Writer:
        try:
            yield from reader(net, [1] * 100)
        finally:
            ended.append(True)

    run = Together(net).run(writer())
    next(run)
    run.close()
    assert ended == [True]


def test_leaving_waits_for_nobody(net: Network) -> None:
    together, ended = Together(net), []

    def writer() -> Writer:
        try:
            yield from reader(net, [1] * 100)
        finally:
            ended.append(True)

    leaving, staying = together.run(writer()), together.run(reader(net, [1] * 100))
    next(staying)
    next(leaving)
    with together.turn:  # somebody is in the middle of a tick
        leaving.close()
        assert len(together.streams) == 2
    assert len(list(staying)) == 99
    assert ended == [True]
    assert together.streams == []


def test_an_error_is_its_own_streams(net: Network) -> None:
    together = Together(net)

    def failing() -> Writer:
        yield (yield Wish(1)).belief
        yield (yield Wish(2)).belief
        raise ValueError("mine")

    def fetched(run: Iterator) -> int:
        return len(list(run))

    healthy = together.run(reader(net, [1] * 30))
    next(healthy)
    with pytest.raises(ValueError, match="mine"):
        fetched(together.run(failing()))
    assert fetched(healthy) == 29
