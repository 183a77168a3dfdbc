"""What the guided experiments say that one should see, held against the shipped networks."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from demos import discover
from demos.base import Step
from demos.tours import all_tours

pytestmark = pytest.mark.weights
DEMOS = {demo.name: demo for demo in discover()}
TOURS = {tour.name: tour for tour in all_tours()}
SMALL = ("rnn", "gru", "lstm", "bilstm")


def steps_of(name: str, **changed: Any) -> list[Step]:
    """An experiment's steps, with what it says one should try."""
    demo = DEMOS[TOURS[name].demo]
    return list(demo.steps(**demo.check(TOURS[name].inputs | changed)))


def verdicts(name: str, reader: str = "network", **changed: Any) -> list[float]:
    """The probability of positive after every word."""
    return [step.verdicts[reader] for step in steps_of(name, **changed)]


def written(name: str, **changed: Any) -> str:
    return "".join(step.written or "" for step in steps_of(name, **changed))


# ---- many to one ------------------------------------------------------------------------


def test_the_order_of_words_decides_for_the_network_and_not_for_the_bag() -> None:
    words = [step.read for step in steps_of("many_to_one.1-order")]
    after = dict(zip(words, verdicts("many_to_one.1-order"), strict=True))
    assert after["wonderful"] > after["is"] + 0.2
    assert after["but"] < after[","]
    assert after["weak"] < 0.2
    assert after["."] < 0.2
    other = "The acting is weak, but the story is wonderful."
    assert verdicts("many_to_one.1-order", text=other)[-1] > 0.8
    bags = [verdicts("many_to_one.1-order", "bag"), verdicts("many_to_one.1-order", "bag", text=other)]
    assert bags[0][-1] == pytest.approx(bags[1][-1], abs=1e-5)
    assert min(bags[0]) > 0.5


def test_the_network_carries_not_as_far_as_dull_and_others_do_not() -> None:
    name, tick = "many_to_one.2-negation", TOURS["many_to_one.2-negation"].tick - 1
    assert steps_of(name)[tick].read == "dull"
    assert verdicts(name, text="Dull.")[-1] < 0.5
    assert verdicts(name, "bag")[-1] < 0.01
    assert min(verdicts(name)[tick:]) > 0.7
    assert all(verdicts(name, network=small)[-1] < 0.2 for small in SMALL)


def test_the_vanilla_rnn_forgets_and_the_gru_does_not() -> None:
    name = "many_to_one.3-forgetting"
    hated = [step.read for step in steps_of(name)].index("hated")
    assert verdicts(name)[hated + 1] < 0.4
    assert verdicts(name, fillers=0)[-1] < 0.2
    assert verdicts(name)[-1] > 0.5
    assert max(verdicts(name, network="gru")[hated:]) < 0.5


def test_two_passes_have_two_last_states() -> None:
    step = steps_of("many_to_one.4-both-ways")[-1]
    assert len(step.state) == 2 * len(steps_of("many_to_one.4-both-ways", network="one_way")[-1].state)


def test_the_chinese_verdict_turns_within_the_last_four_words() -> None:
    name = "many_to_one.5-chinese"
    positive = np.array(verdicts(name)) > 0.5
    assert not positive[1:-3].any()
    assert positive[-1]
    assert verdicts(name, text="味道不错，但是送得太慢，包装也破了。")[-1] < 0.2


# ---- many to many -----------------------------------------------------------------------


def test_without_temperature_it_goes_round_in_circles() -> None:
    assert "the sea of the sea of the sea" in written("many_to_many.1-temperature-low")
    assert "the sea of the sea" not in written("many_to_many.1-temperature-low", temperature=0.8)


def test_a_high_temperature_writes_what_the_network_holds_for_unlikely() -> None:
    wild, calm = (
        [step.probability for step in steps_of("many_to_many.2-temperature-high", temperature=t) if step.written]
        for t in (1.5, 0.5)
    )
    assert min(wild) < 0.01
    assert np.log(wild).mean() < np.log(calm).mean() - 0.5


def test_an_acrostic_begins_its_lines_and_leaves_the_rest_to_the_network() -> None:
    steps = [step for step in steps_of("many_to_many.3-acrostic") if step.written]
    assert "".join(step.written for step in steps if step.chosen) == "春夏秋冬"
    lines = written("many_to_many.3-acrostic").replace("\n", "，").replace("。", "").split("，")
    assert [line[0] for line in lines] == list("春夏秋冬")


def test_the_first_written_character_has_ten_candidates_and_another_one_changes_the_rest() -> None:
    name, tick = "many_to_many.4-branch", TOURS["many_to_many.4-branch"].tick - 1
    steps = steps_of(name)
    assert [step.written is None for step in steps[: tick + 1]] == [True] * tick + [False]
    assert len(steps[tick].candidates) == 10
    other = next(c.token for c in steps[tick].candidates if c.token != steps[tick].written)
    demo = DEMOS["many_to_many"]
    branch = demo.check(TOURS[name].inputs | {"written": [other], "chosen": [0]})
    assert [s.written for s in demo.steps(**branch)][tick + 1 :] != [s.written for s in steps][tick + 1 :]


# ---- aligned ----------------------------------------------------------------------------


def surprises(name: str, **changed: Any) -> list[tuple[str, float]]:
    return [(step.read, step.surprise) for step in steps_of(name, **changed) if step.surprise is not None]


def bits(name: str) -> float:
    return float(np.mean([bits for _, bits in surprises(name)]))


@pytest.mark.parametrize(("name", "figure"), [("aligned.1-surprise", "1.6"), ("aligned.2-news", "2.8")])
def test_the_bits_are_those_that_are_told(name: str, figure: str) -> None:
    assert f"{bits(name):.1f}" == figure
    assert all(figure in said["see"] for said in TOURS[name].said.values())


def test_a_word_s_beginning_surprises_more_than_its_inside() -> None:
    found = surprises("aligned.1-surprise")
    letters = [(before[0].isalpha(), bits) for before, (token, bits) in pairwise(found) if token.isalpha()]
    begins, inside = ([bits for within, bits in letters if within is kind] for kind in (False, True))
    assert np.mean(begins) > 2 * np.mean(inside)


def test_the_darkest_letters_of_the_news_stand_in_three_words() -> None:
    text, found = TOURS["aligned.2-news"].inputs["text"], surprises("aligned.2-news")
    darkest = sorted(range(len(found)), key=lambda i: -found[i][1])[:3]
    assert {word_at(text, i + 1) for i in darkest} == {"two", "percent", "central"}
    the = [bits for i, (_, bits) in enumerate(found) if word_at(text, i + 1) == "the"]
    assert np.mean(the) < bits("aligned.2-news") / 2


def word_at(text: str, place: int) -> str:
    """The word in which a character stands."""
    return text[text.rfind(" ", 0, place) + 1 :].split(" ")[0] if text[place] != " " else ""


def test_the_comma_after_five_characters_is_no_surprise_and_after_four_it_is() -> None:
    assert dict(surprises("aligned.3-unknown"))["，"] < 0.1
    short = surprises("aligned.3-unknown", text="白日依山，黄河入海流。\n欲穷千里目，更上一层楼。")
    assert next(bits for token, bits in short if token == "，") > 3
