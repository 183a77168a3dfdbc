"""Runs compute in turns: so many at a time, newcomers first, and nobody is forgotten."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from models.turns import FAIR, Turns


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    nothing = Event()
    while not true():
        nothing.wait(0.001)


def held(turns: Turns, go_on: Event) -> Iterator[str]:
    """A run that has a place until it may go on."""

    def run() -> Iterator[str]:
        yield "begun"
        go_on.wait()
        yield "ended"

    return turns.share(run())


def noting(name: str, done: list[str]) -> Iterator[str]:
    while True:
        done.append(name)
        yield name


def test_all_pieces_come_and_no_more_compute_than_there_are_places() -> None:
    turns, inside, most, start = Turns(2), [], [], Barrier(9)

    def run(name: int) -> Iterator[int]:
        for piece in range(30):
            inside.append(name)
            most.append(len(inside))
            Event().wait(0.0005)  # another thread may come in
            inside.remove(name)
            yield piece

    def reader(name: int) -> list[int]:
        start.wait()
        return list(turns.share(run(name)))

    with ThreadPoolExecutor(9) as pool:
        assert list(pool.map(reader, range(9))) == [list(range(30))] * 9
    assert max(most) == 2
    assert turns.free == 2


def order_with(newcomers: int) -> list[str]:
    """Who computes, one after the other, where an old run and so many new ones wait for the only place."""
    turns, go_on, done = Turns(1), Event(), []
    holder, old = held(turns, go_on), turns.share(noting("old", done))
    next(holder), next(old)
    with ThreadPoolExecutor(20) as pool:
        pool.submit(next, holder)
        until(lambda: not turns.free)
        pool.submit(next, old)
        until(lambda: len(turns.others) == 1)
        for count in range(1, newcomers + 1):
            pool.submit(next, turns.share(noting("new", done)))
            until(lambda count=count: len(turns.newcomers) == count)
        go_on.set()
    return done


def test_who_has_shown_nothing_goes_first() -> None:
    assert order_with(1) == ["old", "new", "old"]


def test_newcomers_do_not_keep_the_others_out() -> None:
    assert "old" in order_with(3 * FAIR - 1)[1 : 1 + FAIR]


def test_an_error_or_an_end_frees_the_place() -> None:
    turns, closed = Turns(1), []

    def run() -> Iterator[int]:
        try:
            yield 1
            raise ValueError("broken")
        finally:
            closed.append(1)

    broken = turns.share(run())
    assert next(broken) == 1
    with pytest.raises(ValueError, match="broken"):
        next(broken)
    left = turns.share(run())
    next(left)
    left.close()
    assert closed == [1, 1]
    assert list(turns.share(iter_of(3))) == [0, 1, 2]


def iter_of(count: int) -> Iterator[int]:
    yield from range(count)
