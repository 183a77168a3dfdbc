"""From logits to a token."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.sampling import cut, draw, soften

LAST = 1 - 2**-53  # the highest number that a generator draws

# Chances with ties and with tokens that are never drawn.
CHANCES = arrays(np.float32, st.integers(1, 30), elements=st.sampled_from([0, 0.125, 0.25, 1, 3.5, 1e-6])).filter(
    lambda a: a.sum() > 0
)


def normal(chances: np.ndarray) -> np.ndarray:
    return chances / chances.sum()


def test_temperature_zero_is_argmax_and_shares_among_equals() -> None:
    assert soften(np.float32([1, 5, 3]), 0).tolist() == [0, 1, 0]
    assert soften(np.float32([5, 1, 5]), 0).tolist() == [0.5, 0, 0.5]


def test_small_temperatures_approach_argmax() -> None:
    assert soften(np.float32([1, 5, 3]), 1e-9).tolist() == [0, 1, 0]


def test_soften_is_softmax_at_a_temperature_over_the_last_axis() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (4, 9)).astype(np.float32)
    for temperature in (0.5, 1.0, 2.0):
        z = np.exp(logits.astype(np.float64) / temperature)
        np.testing.assert_allclose(soften(logits, temperature), z / z.sum(1, keepdims=True), rtol=1e-5)


def test_rows_have_temperatures_of_their_own() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (4, 9)).astype(np.float32)
    temperatures = [0, 0.5, 0.8, 2]
    together = soften(logits, np.float32(temperatures)[:, None])
    alone = [soften(row, temperature) for row, temperature in zip(logits, temperatures, strict=True)]
    assert together.dtype == alone[0].dtype == np.float32
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("temperature", [0, 1e-9, 0.05, 1, 2])
@pytest.mark.parametrize("logits", [[1e30, -1e30, 0], [-1e30] * 3, [88, 89, 1000], [-np.inf, 0, 1], [3e38, -3e38, 0]])
def test_extreme_logits_give_chances(logits: list[float], temperature: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        chances = soften(np.float32(logits), temperature)
    assert np.isfinite(chances).all()
    assert chances.sum() == pytest.approx(1)


def test_nothing_is_cut_by_default() -> None:
    chances = normal(np.float32([3, 1, 2]))
    assert cut(chances) is chances


def test_top_k_keeps_the_k_likeliest() -> None:
    np.testing.assert_allclose(cut(np.float64([0.1, 0.4, 0.2, 0.3]), top_k=2), [0, 4 / 7, 0, 3 / 7])


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    chances = np.float64([0.125, 0.5, 0.125, 0.25])
    assert (cut(chances, top_p=0.5) > 0).tolist() == [False, True, False, False]
    assert (cut(chances, top_p=0.51) > 0).tolist() == [False, True, False, True]
    assert (cut(chances, top_p=0.75) > 0).tolist() == [False, True, False, True]
    assert (cut(chances, top_p=0.76) > 0).tolist() == [True, True, False, True]


def test_ties_are_cut_to_the_number_asked_for() -> None:
    assert (cut(np.full(4, 0.25), top_k=3) > 0).tolist() == [True, True, True, False]
    assert (cut(np.full(4, 0.25), top_p=0.5) > 0).tolist() == [True, True, False, False]


def test_top_p_counts_within_top_k() -> None:
    chances = np.float64([0.4, 0.3, 0.2, 0.1])  # of the two likeliest, the first has 4/7
    assert (cut(chances, top_k=2, top_p=0.57) > 0).tolist() == [True, False, False, False]
    assert (cut(chances, top_k=2, top_p=0.58) > 0).tolist() == [True, True, False, False]


@given(CHANCES, st.integers(0, 40), st.floats(0.05, 1))
def test_cut_keeps_the_likeliest_and_sums_to_one(raw: np.ndarray, top_k: int, top_p: float) -> None:
    chances = normal(raw)
    kept = cut(chances, top_k, top_p)
    assert kept.shape == chances.shape
    assert kept.sum() == pytest.approx(1, abs=1e-5)
    assert kept[np.argmax(chances)] > 0
    assert (kept > 0).sum() <= (top_k or len(chances))
    assert not kept[chances == 0].any()
    assert chances[kept > 0].min() >= chances[kept == 0].max(initial=0)  # nothing likelier was dropped
    np.testing.assert_allclose(kept[kept > 0], normal(chances[kept > 0]), rtol=1e-4)  # odds unchanged


def test_draws_are_as_frequent_as_their_chances() -> None:
    chances = np.float64([0.1, 0, 0.45, 0.3, 0.15])
    grid = (np.arange(2000) + 0.5) / 2000
    frequency = np.bincount([draw(chances, u) for u in grid], minlength=5) / 2000
    np.testing.assert_allclose(frequency, chances, atol=1e-3)


def test_draw_takes_the_first_at_zero_and_the_last_below_one() -> None:
    chances = np.float32([0, 0, 0.25, 0.5, 0.25, 0, 0])
    assert draw(chances, 0.0) == 2
    assert draw(chances, LAST) == 4


@given(CHANCES, st.sampled_from([0.0, LAST]) | st.floats(0, LAST))
def test_a_token_without_a_chance_is_never_drawn(raw: np.ndarray, uniform: float) -> None:
    assert raw[draw(normal(raw), uniform)] > 0


def test_draw_needs_no_normalised_chances() -> None:
    assert [draw(np.float32([2, 6]), u) for u in (0.2, 0.3)] == [0, 1]
