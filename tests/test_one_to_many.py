"""The one-to-many demo over a tiny network: steps, what can be done to them, the API."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from demos import one_to_many, photos
from demos.base import InputError, Step
from demos.one_to_many import BASES, DEMO, MOST, NETWORK, PHOTO, back, caption, finished, heat
from demos.views.trace import step_line
from models.captioner.data import END, STARTS
from models.captioner.search import ALPHA, search

pytestmark = pytest.mark.usefixtures("tiny")
each_method = pytest.mark.parametrize("method", one_to_many.METHODS)


def noise(seed: int) -> str:
    return photos.packed(np.random.default_rng(seed).integers(0, 256, (224, 224, 3), dtype=np.uint8))


ONE, TWO = noise(1), noise(2)


def run(photo: str = ONE, **values: Any) -> list[Step]:
    return list(DEMO.steps(**DEMO.check({"photo": photo, **values})))


def header(photo: str = ONE, **values: Any) -> dict[str, Any]:
    return DEMO.header(**DEMO.check({"photo": photo, **values}))


def words(steps: list[Step]) -> list[str]:
    return [step.written for step in steps if step.written is not None]


def refused(**values: Any) -> str:
    with pytest.raises(InputError) as error:
        list(DEMO.steps(**DEMO.check(values)))
    return error.value.key


# ---- the pattern --------------------------------------------------------------------------


@each_method
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_reads_once_and_then_writes(method: str, language: str) -> None:
    steps = run(method=method, language=language)
    assert DEMO.fits(steps)
    assert steps[0].read == PHOTO
    assert all(step.read is None for step in steps[1:])
    assert steps[1].fed == STARTS[language]
    assert [step.fed for step in steps[2:]] == words(steps)[:-1]
    assert words(steps)[-1] == END
    assert END not in words(steps)[:-1]
    assert len(steps) <= MOST + 2


@each_method
def test_the_same_inputs_give_the_same_steps(method: str) -> None:
    assert list(map(step_line, run(method=method))) == list(map(step_line, run(method=method)))


@each_method
def test_probabilities_are_those_of_the_network_word_by_word(method: str) -> None:
    net, steps = models.load(NETWORK), run(method=method)
    tick = net.look(one_to_many.encoding_of(ONE)[None], net.zero())
    for step in steps[1:]:
        tick = net.tick([net.ids[step.fed]], tick.state)
        logits = net.writable(tick.logits, "en")[0].astype(np.float64)
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        if len(words(steps)) <= MOST:
            assert step.probability == pytest.approx(chances[net.ids[step.written]], rel=1e-3)
            assert step.candidates[0].probability == pytest.approx(chances.max(), rel=1e-3)
        np.testing.assert_allclose(step.state, tick.state.h, atol=1e-5)
        np.testing.assert_allclose(step.memory, tick.state.c, atol=1e-5)


def test_sampling_depends_on_the_seed_and_cold_sampling_is_greedy() -> None:
    drawn = {tuple(words(run(method="sample", temperature=1.5, seed=seed))) for seed in range(8)}
    assert len(drawn) > 4
    assert words(run(method="sample", temperature=0)) == words(run(method="greedy"))
    step = run(method="sample", temperature=0.5)[1]
    assert step.candidates[0].chance > step.candidates[0].probability


# ---- what the photo has to do with it -----------------------------------------------------


def test_an_effect_is_the_difference_to_another_photo() -> None:
    net, steps = models.load(NETWORK), run(method="greedy")
    bases = {"mean": net.familiar.mean, "blank": one_to_many.blank()}
    for base in BASES:
        tick = net.look(bases[base][None], net.zero())
        for step in steps[1:]:
            tick = net.tick([net.ids[step.fed]], tick.state)
            logits = net.writable(tick.logits, "en")[0].astype(np.float64)
            odds = logits[net.ids[step.written]] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
            if len(words(steps)) <= MOST:
                assert step.effects[base] == pytest.approx(np.log(step.probability) - odds, abs=1e-3)


def test_erasing_puts_the_mean_photo_in_the_place_of_this_one() -> None:
    whole = run(method="greedy")
    steps = run(method="greedy", erase=2, written=words(whole)[:4], chosen=())
    assert words(steps)[:2] == words(whole)[:2]
    assert [step.replaced is not None for step in steps[:5]] == [False, False, False, True, False]
    assert all(abs(step.effects["mean"]) < 1e-5 for step in steps[3:])
    assert any(abs(step.effects["mean"]) > 1e-4 for step in steps[1:3])
    net = models.load(NETWORK)
    tick = net.look(net.familiar.mean[None], net.zero())
    for step in steps[1:3]:
        tick = net.tick([net.ids[step.fed]], tick.state)
    np.testing.assert_allclose(steps[3].replaced[0], tick.state.h, atol=1e-5)


@each_method
def test_a_photo_erased_late_leaves_the_caption_alone(method: str) -> None:
    whole = run(method=method)
    assert words(run(method=method, erase=MOST)) == words(whole) or len(whole) > MOST


def test_two_photos_mix() -> None:
    assert words(run(other=TWO, mix=0)) == words(run())
    assert words(run(other=TWO, mix=1)) == words(run(TWO))
    first = [run(other=TWO, mix=mix)[1].candidates[0].probability for mix in (0, 0.5, 1)]
    assert len(set(first)) == 3
    assert header(other=TWO, mix=0.5)["photo"] not in (ONE, TWO)
    assert header()["photo"] == ONE


def test_attribution_is_for_what_this_photo_says_alone() -> None:
    inputs = DEMO.check({"photo": ONE, "erase": 0})
    found = heat(inputs, 1)
    assert len(found["heat"]) == 81
    assert min(found["heat"]) >= 0
    assert heat(inputs, 0) == {}
    assert heat(inputs | {"erase": 1}, 4) == {}
    assert heat(inputs | {"erase": 1}, 1) == found
    assert heat(inputs | {"other": TWO, "mix": 0.5}, 1) == {}


def test_a_strange_photo_is_said_to_be_strange() -> None:
    net = models.load(NETWORK)
    assert 0 <= header()["farther"] <= 1
    assert net.farther(np.eye(12, dtype=np.float32)[0]) == 0
    assert net.farther(net.familiar.mean) > 0.5


# ---- beam search --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 3, 6])
def test_the_tree_is_the_search(width: int) -> None:
    net, steps = models.load(NETWORK), run(width=width)
    beams = [step.beams for step in steps if step.beams]
    assert len(beams) == len(steps) - 1
    tick = net.tick([net.starts["en"]], net.look(one_to_many.encoding_of(ONE)[None], net.zero()).state)
    best = search(net, tick.state, tick.logits, "en", width)
    assert words(steps) == [net.tokens[i] for i in best[0].tokens()]
    found = finished(beams, "en")
    assert found[0]["score"] == pytest.approx(best[0].score(ALPHA), abs=1e-3)
    for level, above in itertools.pairwise(beams):
        assert all(0 <= beam.parent < len(level) for beam in above)
        assert all(level[beam.parent].kept for beam in above if beam.kept)
        assert all(level[beam.parent].total >= beam.total - 1e-6 for beam in above)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_the_captions_that_end_later_are_told_too(width: int) -> None:
    """As many as the beam is wide, in the order of their scores, whichever of them ends first."""
    last = list(caption(photo=ONE, width=width))[-1]
    net = models.load(NETWORK)
    tick = net.tick([net.starts["en"]], net.look(one_to_many.encoding_of(ONE)[None], net.zero()).state)
    wanted = search(net, tick.state, tick.logits, "en", width)
    assert len(wanted) == width
    assert [round(b.score(), 4) for b in wanted[1:]] == pytest.approx([o["score"] for o in last["others"]], abs=1e-3)
    assert all(not step.later for step in run(width=width)[:-1])


def test_greedys_path_is_marked_to_its_end() -> None:
    steps = run(width=4)
    beams = [step.beams for step in steps if step.beams]
    marked = [[b for b in level if b.greedy] for level in beams]
    assert all(len(level) <= 1 for level in marked)
    path = [level[0].token for level in marked if level]
    greedy = words(run(method="greedy"))
    assert path == greedy[: len(path)]
    last = max(depth for depth, level in enumerate(marked) if level)
    assert back(beams, last, marked[last][0]) == path


# ---- going on from a branch ---------------------------------------------------------------


@each_method
def test_a_replayed_caption_is_the_same_caption(method: str) -> None:
    whole = run(method=method)
    again = run(method=method, written=words(whole))
    assert words(again) == words(whole)
    assert [s.probability for s in again] == [s.probability for s in whole]


@each_method
def test_a_chosen_word_stands_and_the_caption_goes_on(method: str) -> None:
    whole = run(method=method)
    other = whole[2].candidates[3].token
    steps = run(method=method, written=[words(whole)[0], other], chosen=[1])
    assert words(steps)[:2] == [words(whole)[0], other]
    assert [step.chosen for step in steps[:3]] == [False, False, True]
    assert DEMO.fits(steps)


@pytest.mark.parametrize("token", ["[en]", "[unknown]", "狗", "no such word", ""])
def test_what_this_network_cannot_have_written_is_refused(token: str) -> None:
    assert refused(photo=ONE, written=[token]) == "error.written"


# ---- bad input ----------------------------------------------------------------------------


def test_a_photo_is_needed() -> None:
    for photo in ("", None):
        assert refused(photo=photo) == "error.photo.missing"
    assert refused(photo="no such example") == "error.photo.name"


@given(
    language=st.sampled_from(["en", "zh"]) | st.text(max_size=3),
    method=st.sampled_from(one_to_many.METHODS) | st.none(),
    width=st.integers(-3, 12) | st.floats() | st.text(max_size=2),
    temperature=st.floats() | st.booleans(),
    erase=st.integers(-2, 25),
    mix=st.floats(-0.5, 1.5) | st.none(),
    written=st.lists(st.text(max_size=3), max_size=3) | st.none(),
)
def test_any_input_is_a_caption_or_a_sentence(**values: Any) -> None:
    refusals = []
    try:
        steps = run(**values)
        assert DEMO.fits(steps)
    except InputError as error:
        refusals = [error.key]
    assert all(key.startswith("error.") for key in refusals)


# ---- numbers by hand ----------------------------------------------------------------------


@pytest.mark.parametrize(("t", "erase"), [(0, 0), (1, 0), (3, 0), (2, 1)])
def test_a_unit_can_be_computed_by_hand(t: int, erase: int) -> None:
    inputs = DEMO.check({"photo": ONE, "erase": erase, "method": "greedy"})
    for unit in (0, 7, 13):
        found = DEMO.numbers(inputs, t, 0, unit)
        gates = {name: 1 / (1 + np.exp(-found["sums"][name]["z"])) for name in ("input", "forget", "output")}
        c = gates["forget"] * found["c_before"] + gates["input"] * np.tanh(found["sums"]["candidate"]["z"])
        assert found["c"] == pytest.approx(c, abs=1e-4)
        assert found["h"] == pytest.approx(gates["output"] * np.tanh(c), abs=1e-4)


# ---- the API ------------------------------------------------------------------------------


@each_method
def test_the_api_streams_the_caption(method: str) -> None:
    answers = list(caption(ONE, method=method))
    assert [len(a["words"]) for a in answers[:-1]] == list(range(1, len(answers)))
    assert [a["complete"] for a in answers] == [False] * (len(answers) - 1) + [True]
    last = answers[-1]
    assert last["caption"] == " ".join(w["word"] for w in last["words"])
    assert last["caption"].split() == words(run(method=method))[:-1]
    assert all(0 < w["probability"] <= 1 for w in last["words"])
    assert bool(last["others"]) == (method == "beam")
    scores = [other["score"] for other in last["others"]]
    assert scores == sorted(scores, reverse=True)


def test_the_api_writes_chinese_without_spaces() -> None:
    last = list(caption(ONE, language="zh"))[-1]
    assert last["caption"] == "".join(w["word"] for w in last["words"])
    assert last["caption"].isprintable()
