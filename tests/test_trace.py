"""A run as text: inert, exact, growing at the end only."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from demos import discover
from demos.base import Candidate, Step
from demos.views.trace import line, lines, pack, step_line, tick_record

DEMOS = {demo.name: demo for demo in discover()}
HOSTILE = "</script><img src=x onerror=alert(1)>${7*7}`&lt;{{x}}\\u003c\u2028\x00\ud83d\U0001f680\"'"
EXACT = st.text(st.sampled_from("<>&$`\\\"'{}u0\n\u2028\ud800\udfff\U0001f680") | st.characters(), max_size=20)
VALUES = arrays(np.float32, array_shapes(max_dims=2, max_side=20), elements=st.floats(-1, 1, width=32))


def read(text: str) -> dict[str, Any]:
    """A line of a trace back as a record, after looking at how it is written."""
    assert text.isascii()
    assert not set(text) & set("<>&$`")
    assert text.endswith("\n")
    assert "\n" not in text[:-1]
    return json.loads(text)


def unpack(packed: str) -> np.ndarray:
    """The values back, as the page reads them."""
    return (np.frombuffer(base64.b64decode(packed, validate=True), np.uint8).astype(np.float64) - 128) / 127


@given(st.dictionaries(EXACT, EXACT | st.lists(EXACT, max_size=3), max_size=4))
@example({HOSTILE: HOSTILE})
def test_any_text_is_inert_and_comes_back_exactly(record: dict[str, Any]) -> None:
    assert read(line(record)) == record


def test_what_is_no_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        line({"p": float("nan")})


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("network", ["shakespeare", "tang", "hongloumeng"])
@pytest.mark.parametrize("name", ["many_to_many", "aligned"])
def test_a_run_is_a_header_its_steps_and_an_end(name: str, network: str) -> None:
    demo = DEMOS[name]
    inputs = demo.check({"network": network, "text": HOSTILE, "length": 6, "acrostic": "<$`&"})
    head, *ticks, end = map(read, lines(demo, inputs, "run-1"))
    assert (head["run"], head["demo"], head["pattern"]) == ("run-1", name, demo.pattern)
    assert head["inputs"] == inputs
    assert head["unknown"]
    assert end == {"end": True}
    steps = list(demo.steps(**inputs))
    assert [(tick.get("r"), tick.get("f"), tick.get("w")) for tick in ticks] == [
        (step.read, step.fed, step.written) for step in steps
    ]
    form = ["[五绝]"] if network == "tang" and name == "many_to_many" else ["[其他]"] if network == "tang" else []
    assert [tick["r"] for tick in ticks if "r" in tick] == form + list(inputs["text"])


@pytest.mark.usefixtures("tiny")
def test_lines_only_ever_grow_at_the_end() -> None:
    demo = DEMOS["many_to_many"]
    short, long = (list(lines(demo, demo.check({"length": n}), "run"))[1:-1] for n in (3, 8))
    assert long[: len(short)] == short
    assert len(long) == len(short) + 5


@pytest.mark.usefixtures("tiny")
def test_a_step_is_told_to_five_places() -> None:
    demo = DEMOS["aligned"]
    for step in demo.steps(**demo.check({"text": "ROMEO"})):
        told = read(step_line(step))
        assert told["p"] == pytest.approx(step.probability, abs=5e-6)
        assert told.get("s") == (None if step.surprise is None else pytest.approx(step.surprise, abs=5e-6))
        assert [c[0] for c in told["c"]] == [c.token for c in step.candidates]
        assert [c[1:] for c in told["c"]] == [pytest.approx([p, q], abs=5e-6) for _, p, q in step.candidates]
        np.testing.assert_allclose(unpack(told["h"]), step.state.ravel(), atol=1 / 254 + 1e-6)


@given(VALUES)
@example(np.float32([[-1, 0, 1]]))
def test_packed_values_come_back_to_half_a_step(values: np.ndarray) -> None:
    assert unpack(pack(values)) == pytest.approx(values.ravel(), abs=1 / 254 + 1e-6)


def test_zero_one_and_minus_one_are_packed_exactly() -> None:
    assert unpack(pack(np.float32([-1, 0, 1]))).tolist() == [-1, 0, 1]


@given(VALUES.filter(lambda a: a.ndim == 2))
def test_the_state_is_packed_layer_after_layer(state: np.ndarray) -> None:
    packed = unpack(read(step_line(Step(read="a", state=state)))["h"])
    assert packed.reshape(state.shape)[-1] == pytest.approx(state[-1], abs=1 / 254 + 1e-6)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Step(read="a"), {"r": "a"}),
        (Step(read=""), {"r": ""}),  # an empty token is a token
        (Step(fed="a", written="b", probability=0.123456789), {"f": "a", "w": "b", "p": 0.12346}),
        (Step(read="a", surprise=0.0), {"r": "a", "s": 0.0}),
        (Step(read="a", written="b", probability=0.0, chosen=True), {"r": "a", "w": "b", "p": 0.0, "x": 1}),
        (Step(written="b", candidates=(Candidate("b", 1 / 3, 1.0),)), {"w": "b", "c": [["b", 0.33333, 1.0]]}),
    ],
)
def test_what_is_absent_is_left_out(step: Step, told: dict[str, Any]) -> None:
    assert read(step_line(step)) == told


def test_a_tick_on_demand_tells_gates_and_scaled_memory() -> None:
    gate, memory = np.float32([[0, 0.5], [1, 0.25]]), np.float32([[-4, 2], [1, 0]])
    record = read(line(tick_record(Step(read="a", gates={"forget": gate}, memory=memory))))
    assert unpack(record["gates"]["forget"]) == pytest.approx(gate.ravel(), abs=1 / 254)
    assert record["scale"] == 4
    assert 4 * unpack(record["memory"]) == pytest.approx(memory.ravel(), abs=4 / 254)


def test_a_small_memory_is_told_as_it_is_and_none_not_at_all() -> None:
    small = tick_record(Step(read="a", memory=np.float32([[0.5]])))
    assert small["scale"] == 1
    assert unpack(small["memory"]) == pytest.approx([0.5], abs=1 / 254)
    assert tick_record(Step(read="a", state=np.float32([[0.5]]))) == {"gates": {}}
