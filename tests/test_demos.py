"""Every pattern over tiny networks: its steps, and what can be recomputed from them."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import app
import models
from demos import aligned, discover, many_to_many
from demos.base import Demo, InputError, Step
from demos.many_to_many import END
from demos.views.trace import step_line
from tests.conftest import CELLS
from tests.serving import ROOT

pytestmark = pytest.mark.usefixtures("tiny")

DEMOS = {demo.name: demo for demo in discover()}
EXAMPLES = [(demo, example) for demo in DEMOS.values() for example in demo.examples]
BOOKS = ("shakespeare", "tang", "hongloumeng")  # an LSTM, a GRU, an RNN
TEXTS = {"shakespeare": "ROMEO:\nO", "tang": "白日依山尽，", "hongloumeng": "宝玉听了，"}
each_book = pytest.mark.parametrize("network", BOOKS)


def run(demo: str = "many_to_many", network: str = "shakespeare", **values: Any) -> list[Step]:
    """The steps of checked inputs."""
    values = {"text": TEXTS[network], "network": network} | values
    return list(DEMOS[demo].steps(**DEMOS[demo].check(values)))


def written(steps: Sequence[Step]) -> list[str]:
    return [step.written for step in steps if step.written is not None]


def lines(steps: Sequence[Step]) -> list[str]:
    """Everything that a page sees of the steps."""
    return [step_line(step) for step in steps]


def log_beliefs(network: str, steps: Sequence[Step]) -> np.ndarray:  # (T, V)
    """log softmax of what the torch module says after each token that went in."""
    net = models.load(f"charlm/{network}")
    ids = [net.id(step.read if step.read is not None else step.fed) for step in steps]
    with torch.no_grad():
        return net.module(torch.tensor([ids])).logits[0].log_softmax(-1).numpy()


# ---- every demo -------------------------------------------------------------------------


def test_importing_the_demos_imports_neither_torch_nor_transformers() -> None:
    check = (
        "import sys, pkgutil, importlib, demos\n"
        "names = [m.name for m in pkgutil.walk_packages(demos.__path__, 'demos.') if '__main__' not in m.name]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), [m for m in ('torch', 'transformers', 'gradio') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    count, _, found = out.stdout.partition(" ")
    assert int(count) >= 8
    assert found.strip() == "[]"


def test_demos_stand_in_their_order_and_share_no_name() -> None:
    found = discover()
    assert all(a.order < b.order for a, b in pairwise(found))
    assert {"many_to_many", "aligned"} <= {demo.name for demo in found}
    assert len(DEMOS) == len(found)
    functions = [name for demo in found for name in demo.api]
    assert len(set(functions)) == len(functions)


def shortened(demo: Demo, values: dict[str, Any]) -> dict[str, Any]:
    return demo.check(values | {"length": 15} if any(i.name == "length" for i in demo.inputs) else values)


@pytest.mark.parametrize(("demo", "example"), EXAMPLES, ids=lambda p: getattr(p, "name", ""))
def test_every_example_fits_the_pattern_and_repeats(demo: Demo, example: dict[str, Any]) -> None:
    inputs = shortened(demo, example)
    steps = list(demo.steps(**inputs))
    assert demo.fits(steps)
    assert lines(demo.steps(**inputs)) == lines(steps)


@pytest.mark.parametrize(
    ("name", "shape", "fits"),
    [
        ("many_to_many", "RRBWW", True),
        ("many_to_many", "B", True),
        ("many_to_many", "RRR", False),
        ("many_to_many", "RBBW", False),
        ("many_to_many", "RBWR", False),
        ("many_to_many", "", False),
        ("aligned", "BBB", True),
        ("aligned", "RBB", False),
        ("aligned", "BBW", False),
        ("aligned", "", False),
    ],
)
def test_a_pattern_takes_its_own_shapes_only(name: str, shape: str, fits: bool) -> None:
    kinds = {"R": Step(read="a"), "W": Step(written="a"), "B": Step(read="a", written="b")}
    assert DEMOS[name].fits([kinds[kind] for kind in shape]) is fits


@pytest.mark.parametrize("name", ["many_to_many", "aligned"])
@pytest.mark.parametrize("network", ["shakespeare", "hongloumeng"])
def test_nothing_to_read_is_an_input_error(name: str, network: str) -> None:
    with pytest.raises(InputError, match=r"error\.empty"):
        run(name, network, text="")


def test_header_tells_the_network_and_what_it_never_saw() -> None:
    header = DEMOS["many_to_many"].header(network="shakespeare", text="☃a☃’龘\r\n", length=3)
    assert header["unknown"] == ["☃", "龘"]
    net = models.load("charlm/shakespeare")
    assert (header["cell"], header["layers"], header["sizes"]) == ("lstm", 2, [8, 12, len(net.tokens)])
    assert header["parameters"] == net.parameters
    assert header["card_bits"] == 2.164


@pytest.mark.parametrize("name", ["many_to_many", "aligned"])
def test_a_run_goes_on_over_what_the_network_never_saw(name: str) -> None:
    steps = run(name, text="☃龘\ud83d\x00a", length=5)
    assert [step.read for step in steps if step.read is not None] == ["☃", "龘", "\ufffd", "\x00", "a"]
    assert DEMOS[name].fits(steps)


@each_book
@pytest.mark.parametrize("name", ["many_to_many", "aligned"])
def test_state_memory_and_gates_have_a_row_a_layer(name: str, network: str) -> None:
    net = models.load(f"charlm/{network}")
    for step in run(name, network, length=10):
        assert step.state.shape == (2, 12)
        assert np.abs(step.state).max() <= 1
        assert (step.memory is not None) == (net.config["cell"] == "lstm")
        assert step.memory is None or step.memory.shape == (2, 12)
        assert set(step.gates) == set(net.layers[0].gates)
        for gate, values in step.gates.items():
            assert values.shape == (2, 12)
            assert (-1 if gate == "candidate" else 0) <= values.min() <= values.max() <= 1


@each_book
@pytest.mark.parametrize("name", ["many_to_many", "aligned"])
def test_candidates_are_the_likeliest_by_the_networks_own_logits(name: str, network: str) -> None:
    net, steps = models.load(f"charlm/{network}"), run(name, network, length=20)
    for step, log_belief in zip(steps, log_beliefs(network, steps), strict=True):
        if step.written is None:
            assert step.candidates == ()
            continue
        told = [c.probability for c in step.candidates]
        assert len(told) == 10
        assert told == sorted(told, reverse=True)
        np.testing.assert_allclose(told, np.sort(np.exp(log_belief))[:-11:-1], atol=1e-4)
        own = np.exp(log_belief[[net.id(c.token) for c in step.candidates]])
        np.testing.assert_allclose(told, own, atol=1e-4)
        assert step.probability == pytest.approx(np.exp(log_belief[net.id(step.written)]), abs=1e-4)


# ---- writing ----------------------------------------------------------------------------


@each_book
def test_the_text_is_read_and_then_what_is_written_goes_back_in(network: str) -> None:
    steps = run(network=network, length=12)
    given = ["[五绝]"] * (network == "tang") + list(TEXTS[network])
    assert [step.read for step in steps] == given + [None] * 11
    assert [step.fed for step in steps] == [None] * len(given) + written(steps)[:-1]
    assert len(written(steps)) == 12


@each_book
def test_same_seed_same_steps_other_seed_other_text(network: str) -> None:
    first, again, other = (run(network=network, length=30, seed=seed) for seed in (4, 4, 5))
    assert lines(first) == lines(again)
    assert written(first) != written(other)


@pytest.mark.parametrize("more", [{}, {"network": "tang", "acrostic": "春眠不觉"}, {"top_k": 5, "temperature": 1.5}])
@pytest.mark.parametrize("place", [1, 17, 39])
def test_going_on_from_what_is_written_equals_the_uninterrupted_run(place: int, more: dict[str, Any]) -> None:
    whole = run(length=40, **more)
    own = [step for step in whole if step.written is not None]
    chosen = [i for i, step in enumerate(own[:place]) if step.chosen]
    again = run(**more, length=40 - place, written=written(whole)[:place], chosen=chosen)
    assert lines(again) == lines(whole)
    assert [step.probability for step in again] == [step.probability for step in whole]


@each_book
def test_a_branch_keeps_what_stood_before_and_marks_the_choice(network: str) -> None:
    whole = run(network=network, length=20)
    first = next(t for t, step in enumerate(whole) if step.written is not None)
    token = next(c.token for c in whole[first + 6].candidates if c.token != whole[first + 6].written)
    branch = run(network=network, length=10, written=[*written(whole)[:6], token], chosen=[6])
    assert lines(branch[: first + 6]) == lines(whole[: first + 6])
    assert written(branch)[6] == token
    assert [step.chosen for step in branch] == [t == first + 6 for t in range(first + 17)]
    odds = {c.token: c.probability for c in whole[first + 6].candidates}
    assert branch[first + 6].probability == odds[token]


@each_book
def test_at_temperature_zero_the_likeliest_character_is_written(network: str) -> None:
    net, steps = models.load(f"charlm/{network}"), run(network=network, length=30, temperature=0)
    for step, log_belief in zip(steps, log_beliefs(network, steps), strict=True):
        if step.written is not None:
            assert log_belief[net.id(step.written)] == pytest.approx(log_belief[1:].max(), abs=1e-5)
            assert sum(c.chance for c in step.candidates) == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_the_unknown_is_never_written(temperature: float) -> None:
    models.load("charlm/shakespeare").head_bias[0] += 20
    steps = run(length=40, temperature=temperature)
    assert "\ufffd" not in written(steps)
    assert all(step.probability < 0.01 for step in steps if step.written is not None)


def test_top_k_and_top_p_cut_chances_and_not_probabilities() -> None:
    plain = run(length=1)[-1]
    cut = run(length=1, top_k=3)[-1]
    assert [c.probability for c in cut.candidates] == [c.probability for c in plain.candidates]
    assert sum(c.chance for c in cut.candidates[:3]) == pytest.approx(1)
    assert all(c.chance == 0 for c in cut.candidates[3:])
    few = run(length=1, top_p=0.05)[-1]
    assert few.candidates[0].chance == 1


def test_what_was_read_is_nobodys_choice() -> None:
    steps = run(length=10)
    assert not any(step.chosen for step in steps)
    assert all(step.surprise is None for step in steps if step.fed is not None)


def test_a_poem_ends_at_the_end() -> None:
    steps = run(network="tang", written=["山", END], length=50)
    assert written(steps) == ["山", END]
    assert DEMOS["many_to_many"].fits(steps)


def test_a_poem_may_begin_from_nothing_but_its_form() -> None:
    steps = run(network="tang", text="", form="七律", length=5)
    assert [step.kind for step in steps] == list("BWWWW")
    assert steps[0].read == "[七律]"


# ---- acrostics --------------------------------------------------------------------------


def beginnings(text: str) -> str:
    """The first character of every line of a poem."""
    return "".join(line[0] for line in re.split("[，；\n]", text) if line)


@pytest.mark.parametrize(("form", "acrostic"), [("五绝", "春眠不觉"), ("七律", "循环网络花落知多"), ("七绝", "风雨")])
def test_an_acrostic_begins_the_lines_and_is_marked(form: str, acrostic: str) -> None:
    steps = run(network="tang", text="", form=form, acrostic=acrostic, length=200)
    assert beginnings("".join(written(steps)))[: len(acrostic)] == acrostic
    assert "".join(step.written for step in steps if step.chosen) == acrostic


def test_lines_that_stand_already_use_up_their_characters_of_the_acrostic() -> None:
    steps = run(network="tang", text="床前明月光，", acrostic="春 眠\n不觉", length=150)
    assert [step.written for step in steps if step.chosen] == ["眠", "不", "觉"]
    assert steps[6].written == "眠"
    assert beginnings("床前明月光，" + "".join(written(steps)))[:4] == "床眠不觉"


def test_an_acrostic_marks_nothing_that_stands_already() -> None:
    stands = written(run(network="tang", acrostic="春眠不觉", length=30))
    again = run(network="tang", acrostic="山山山山", written=stands, length=1)
    assert written(again)[:30] == stands
    assert not any(step.chosen for step in again[:-1])


@pytest.mark.parametrize(("form", "lines"), [("五绝", 4), ("七绝", 4), ("五律", 8), ("七律", 8)])
def test_an_acrostic_longer_than_the_poem_is_refused(form: str, lines: int) -> None:
    with pytest.raises(InputError) as raised:
        run(network="tang", form=form, acrostic="山" * (lines + 1))
    assert (raised.value.key, raised.value.values) == ("error.acrostic", {"lines": lines})
    assert run(network="tang", form=form, acrostic="山" * lines, length=1)


def test_only_poems_have_acrostics() -> None:
    assert lines(run(acrostic="ABCDEFGHIJ", length=9)) == lines(run(length=9))


# ---- reading ----------------------------------------------------------------------------


@each_book
def test_surprise_is_what_the_tick_before_gave_to_the_character(network: str) -> None:
    net, steps = models.load(f"charlm/{network}"), run("aligned", network)
    log_belief = log_beliefs(network, steps)
    assert steps[0].surprise is None
    for t in range(1, len(steps)):
        bits = -log_belief[t - 1, net.id(steps[t].read)] / math.log(2)
        assert steps[t].surprise == pytest.approx(bits, abs=1e-3)
        told = {c.token: c.probability for c in steps[t - 1].candidates}
        if steps[t].read in told:
            assert steps[t].surprise == pytest.approx(-math.log2(told[steps[t].read]), abs=1e-4)


@each_book
def test_the_guess_is_the_likeliest_candidate(network: str) -> None:
    for step in run("aligned", network):
        assert (step.written, step.probability) == step.candidates[0][:2]
        assert all(c.chance == c.probability for c in step.candidates)


@each_book
def test_read_returns_the_mean_surprise(network: str) -> None:
    (answer,) = aligned.read_text(TEXTS[network], network)
    bits = [step.surprise for step in run("aligned", network)][1:]
    assert answer["bits_per_character"] == pytest.approx(sum(bits) / len(bits))
    first = 0 if network == "tang" else 1  # a poem's form is read before it
    assert [token["token"] for token in answer["tokens"]] == list(TEXTS[network][first:])
    assert [token["bits"] for token in answer["tokens"]] == pytest.approx(bits, abs=1e-3)


def test_one_character_alone_surprises_nobody() -> None:
    assert list(aligned.read_text("O")) == [{"bits_per_character": None, "tokens": []}]


# ---- the API ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 10, 35])
def test_continue_streams_growing_texts_and_ends_complete(length: int) -> None:
    answers = list(many_to_many.continue_text("ROMEO:\n", length=length))
    assert [len(answer["tokens"]) for answer in answers] == [*range(10, length + 1, 10), length]
    assert all(later["continuation"].startswith(earlier["continuation"]) for earlier, later in pairwise(answers))
    assert [answer["complete"] for answer in answers] == [False] * (len(answers) - 1) + [True]
    tokens = answers[-1]["tokens"]
    assert answers[-1]["continuation"] == "".join(token["token"] for token in tokens)
    steps = run(text="ROMEO:\n", length=length)
    assert [token["token"] for token in tokens] == written(steps)
    told = [step.probability for step in steps if step.written is not None]
    assert [token["probability"] for token in tokens] == pytest.approx(told, abs=1e-5)


def test_earlier_answers_are_not_changed_by_later_ones() -> None:
    answers = many_to_many.continue_text("ROMEO:\n", length=25)
    first = next(answers)
    kept = json.dumps(first)
    assert len(list(answers)) == 2
    assert json.dumps(first) == kept


def test_the_sign_for_the_end_is_no_part_of_the_text() -> None:
    tokens = [{"token": "山", "probability": 0.5}, {"token": END, "probability": 0.5}]
    answer = many_to_many.result(tokens, complete=True)
    assert answer == {"continuation": "山", "tokens": tokens, "complete": True}


# ---- by hand ----------------------------------------------------------------------------


def by_hand(cell: str, told: dict[str, Any]) -> float:
    """h of one unit from the sums that the page shows, by the cell's equations."""
    z = {gate: parts["z"] for gate, parts in told["sums"].items()}
    gates = {gate: math.tanh(v) if gate in ("candidate", "h") else 1 / (1 + math.exp(-v)) for gate, v in z.items()}
    if cell == "rnn":
        assert told["gates"] == {}
        return gates["h"]
    assert told["gates"] == pytest.approx(gates, abs=1e-4)
    if cell == "gru":
        return (1 - gates["update"]) * gates["candidate"] + gates["update"] * told["h_before"]
    c = gates["forget"] * told["c_before"] + gates["input"] * gates["candidate"]
    assert told["c"] == pytest.approx(c, abs=1e-4)
    return gates["output"] * math.tanh(c)


@each_book
@pytest.mark.parametrize("name", ["many_to_many", "aligned"])
def test_a_units_numbers_can_be_done_again_by_hand(name: str, network: str) -> None:
    cell, steps = models.load(f"charlm/{network}").config["cell"], run(name, network, length=5)
    inputs = shortened(DEMOS[name], {"text": TEXTS[network], "network": network})
    for t, (before, now) in enumerate(pairwise([None, *steps])):
        for layer, unit in ((0, 0), (0, 11), (1, 5)):
            told = DEMOS[name].numbers(inputs, t, layer, unit)
            assert told["h"] == now.state[layer, unit]
            assert told["h_before"] == (0 if before is None else before.state[layer, unit])
            assert by_hand(cell, told) == pytest.approx(told["h"], abs=1e-4)


@each_book
def test_the_parts_of_a_sum_add_up(network: str) -> None:
    net, steps = models.load(f"charlm/{network}"), run(network=network, length=2)
    inputs = DEMOS["many_to_many"].check({"text": TEXTS[network], "network": network, "length": 2})
    told = DEMOS["many_to_many"].numbers(inputs, len(steps) - 1, 1, 3)
    reset = told["gates"].get("reset", 1)
    for gate, part in told["sums"].items():
        through = reset if gate == "candidate" and net.config["cell"] == "gru" else 1
        assert part["x"] + part["b"] + through * part["h"] == pytest.approx(part["z"], abs=1e-5)
        assert part["x"] != 0 != part["h"]


def test_every_cell_is_tried_here() -> None:
    assert {models.load(f"charlm/{book}").config["cell"] for book in BOOKS} == set(CELLS)


def test_what_a_link_leaves_open() -> None:
    def fitting(name: str, given: dict[str, Any]) -> dict[str, Any]:
        return app.Page.fitting(SimpleNamespace(demo=DEMOS[name]), given, "en")

    assert fitting("many_to_one", {"change": "typed"})["text"]
    assert fitting("many_to_one", {"text": "My own."}) == {}
    assert fitting("many_to_many", {"network": "tang", "acrostic": "循环网络", "seed": 7.0}) == {}
