"""The computations behind the page of foundations: fast, exact, and safe with any input."""

import copy
import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos import discover
from demos import foundations as f
from demos.base import InputError
from demos.text import say


def edited(name: str, row: int, column: int, value: Any) -> dict[str, Any]:
    tables = copy.deepcopy(f.OPENING)
    tables[name][row][column] = value
    return tables


def key_of(function: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    assert all(say(lang, caught.value.key, **caught.value.values) for lang in ("en", "zh-CN"))
    return caught.value.key


def test_importing_it_does_not_import_torch() -> None:
    code = "import sys, demos.foundations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---- by hand --------------------------------------------------------------------------------


def test_the_first_state_is_the_formula() -> None:
    given = f.checked(f.OPENING)
    hs, os = f.by_hand(**given)
    assert hs.shape == (3, 3)
    assert os.shape == (3, 4)
    np.testing.assert_allclose(hs[0], np.tanh(given["W_xh"] @ [1, 2] + given["b_h"]), rtol=1e-12)
    np.testing.assert_allclose(os[2], given["W_hy"] @ hs[2] + given["b_y"], rtol=1e-12)


def test_the_three_ways_agree() -> None:
    assert f.difference(f.OPENING) < 1e-12
    assert f.difference(edited("W_hh", 1, 1, 1000)) < 1e-12


@pytest.mark.parametrize("t", [0, 1, 2])
def test_an_input_reaches_its_own_step_and_later_ones(t: int) -> None:
    after = edited("x", t, 0, 0.25)
    marked = f.reached(f.OPENING, after)
    for states in marked.values():
        assert [any(row) for row in states] == [step >= t for step in range(3)]
    key, values = f.reach(f.OPENING, after)
    assert (key, values["step"]) == ("foundations.reach_first" if t == 0 else "foundations.reach_x", t + 1)


@pytest.mark.parametrize(
    ("name", "key", "h"),
    [("W_hh", "recurrent", [False, True, True]), ("b_y", "outer", [False] * 3), ("W_xh", "inner", [True] * 3)],
)
def test_what_a_weight_reaches(name: str, key: str, h: list[bool]) -> None:
    after = edited(name, 0, 0, 0.77)
    assert f.reach(f.OPENING, after)[0] == f"foundations.reach_{key}"
    assert [any(row) for row in f.reached(f.OPENING, after)["h"]] == h


def test_no_edit_reaches_nothing() -> None:
    assert f.reach(f.OPENING, f.OPENING) == ("foundations.reach_none", {})


@pytest.mark.parametrize(
    "value", ["", None, "two", "NaN", float("nan"), float("inf"), 1e9, 10**400, True, [], "<script>alert(1)</script>"]
)
def test_a_cell_that_is_no_number_is_named(value: Any) -> None:
    assert key_of(f.checked, edited("W_xh", 1, 0, value)) == "foundations.error_cell"


@pytest.mark.parametrize("rows", [None, [], "abc", [[1, 2]], [[1], [2], [3]], ["ab", "cd", "ef"], {"0": 1}])
def test_a_table_of_another_shape_is_told(rows: Any) -> None:
    assert key_of(f.checked, f.OPENING | {"x": rows}) == "foundations.error_table"


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "output", "h_n"),
    [
        ("classifier", (32, 50, 128), (1, 32, 128)),
        ("small", (1, 2, 3), (1, 1, 3)),
        ("both_ways", (1, 2, 6), (2, 1, 3)),
        ("time_first", (5, 3, 12), (2, 3, 6)),
        ("batch_first", (5, 3, 12), (2, 5, 6)),
    ],
)
def test_presets(preset: str, output: tuple[int, ...], h_n: tuple[int, ...]) -> None:
    size = f.PRESETS[preset]
    shapes = f.run_rnn(size, size.given)
    assert (shapes["output"], shapes["h_n"], shapes["scores"]) == (output, h_n, (size.batch, 2))


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_formula_counts_pytorchs_parameters(layers: int, directions: int) -> None:
    import torch

    size = f.Sizes(2, 3, 4, 5, layers, directions)
    rnn = torch.nn.RNN(4, 5, layers, bidirectional=directions == 2)
    assert f.parameters(size) == sum(p.numel() for p in rnn.parameters())
    assert f.formula(size).endswith(f"= {f.parameters(size):,}")


@pytest.mark.parametrize("directions", [1, 2])
def test_every_weight_has_its_shape_and_all_of_them_are_counted(directions: int) -> None:
    size = f.Sizes(2, 3, 4, 5, layers=2, directions=directions, classes=7)
    shapes = f.run_rnn(size, size.given)
    weights = {name: shape for name, shape in shapes.items() if "_l" in name or name.startswith("linear.")}
    assert len(weights) == 2 * directions * 4 + 2
    assert (weights["weight_ih_l0"], weights["weight_hh_l0"], weights["bias_ih_l1"]) == ((5, 4), (5, 5), (5,))
    assert weights["weight_ih_l1"] == (5, directions * 5)
    assert ("weight_hh_l1_reverse" in weights) == (directions == 2)
    assert weights["linear.weight"] == (7, directions * 5)
    linear = 7 * directions * 5 + 7
    assert f.linear_formula(size) == f"7·{directions * 5} + 7 = {linear}"
    total = sum(math.prod(shape) for shape in weights.values())
    assert total == f.parameters(size) + linear
    assert asked(ask="sizes", sizes=vars(size))["count"]["total"] == f"{total:,}"


def test_one_sequence_without_a_batch() -> None:
    shapes = f.run_rnn(f.Sizes(directions=2), (50, 100))
    assert (shapes["output"], shapes["h_n"]) == ((50, 256), (2, 128))
    assert (shapes["last"], shapes["scores"]) == ((256,), (2,))


@pytest.mark.parametrize("value", [0, -1, 1.5, 10**9, float("nan"), float("inf"), None, "7", True])
def test_a_size_out_of_bounds_is_named(value: Any) -> None:
    assert key_of(f.sizes, **(vars(f.Sizes()) | {"hidden": value})) == "foundations.error_size"


def test_nobody_allocates_gigabytes() -> None:
    largest = {name: high for name, (_, high) in f.BOUNDS.items()}
    assert key_of(f.sizes, **largest, batch_first=True) == "foundations.error_large"


@pytest.mark.parametrize("text", ["(32, 50, 100)", "32 50 100", "32×50×100", "（32，50，100）"])
def test_a_shape_is_read(text: str) -> None:
    assert f.shape_of(text, f.Sizes()) == (32, 50, 100)


@pytest.mark.parametrize("text", ["", None, "abc", "0,1,2", "-1,2,3", "0" * 61, "<script>", "1e3"])
def test_a_text_that_is_no_shape_is_told(text: Any) -> None:
    assert key_of(f.shape_of, text, f.Sizes()) == "foundations.error_shape"


@pytest.mark.parametrize(("shape", "key"), [((32, 50, 99), "features"), ((32,), "rank"), ((1, 2, 3, 4), "rank")])
def test_a_shape_that_cannot_be_is_pytorchs_error_and_explained(shape: tuple[int, ...], key: str) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        f.run_rnn(f.Sizes(), shape)
    told = f.misfit(f.Sizes(), shape)
    assert told is not None
    assert told[0] == f"foundations.misfit_{key}"
    assert say("zh-CN", told[0], **told[1])
    assert f.misfit(f.Sizes(), f.Sizes().given) is None


@pytest.mark.parametrize("text", ["9" * 50, "9999,9999,9999", "4000000, 1, 1", "1, 4000000, 1", "1,2,9999999"])
def test_a_typed_shape_cannot_allocate_gigabytes(text: str) -> None:
    assert key_of(f.shape_of, text, f.Sizes(input=1, hidden=1024)) == "foundations.error_large"


# ---- gradients ------------------------------------------------------------------------------


def numeric(function: Any, state: np.ndarray) -> np.ndarray:
    steps = np.eye(len(state)) * 1e-6
    return np.stack([(function(state + d) - function(state - d)) / 2e-6 for d in steps], axis=1)


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru", "lstm"])
def test_jacobians_are_exact(kind: str) -> None:
    random = np.random.default_rng(1)
    gates = {"gru": 3, "lstm": 4}.get(kind, 1)
    a, W = random.normal(size=(gates, 5)), random.normal(size=(gates, 5, 5))
    state = random.normal(size=10 if kind == "lstm" else 5)
    ticks = {
        "gru": lambda s: f.gru(a, W, s),
        "lstm": lambda s: f.lstm(a, W, s),
    }
    tick = ticks.get(kind, lambda s: f.vanilla(a[0], W[0], s, kind == "relu"))
    np.testing.assert_allclose(tick(state)[1], numeric(lambda s: tick(s)[0], state), atol=1e-7)


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru", "lstm"])
def test_an_experiment_is_finite_and_repeatable(kind: str) -> None:
    first = f.experiment(kind, 1.5)
    assert first == f.experiment(kind, 1.5)
    assert len(first["gradient"]) == f.TIMES
    assert np.isfinite(first["gradient"] + first["h"]).all()
    assert first["gradient"][-1] == 1


def test_gradients_vanish_and_explode() -> None:
    assert f.experiment("tanh", 0.5)["gradient"][0] < 1e-20
    assert f.experiment("relu", 2.5)["gradient"][0] > 1e6


def test_the_boxes_of_code_run_by_themselves_and_give_the_numbers_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    for source in f.sources().values():
        assert len(source.splitlines()) <= 15  # short enough to read aloud
        exec(source, names)
    functions = [function.__name__ for box in f.BOXES.values() for function in box]
    wanted = page_s_numbers()
    for name in functions:
        monkeypatch.setattr(f, name, names[name])
    assert page_s_numbers() == wanted


def page_s_numbers() -> list[Any]:
    size = f.PRESETS["time_first"]
    tables = f.by_hand(**f.checked(f.OPENING))
    gradients = [f.experiment(kind, 1.2) for kind in f.KINDS]
    return [tables[1].tolist(), f.difference(f.OPENING), f.run_rnn(size, size.given), *gradients]


def test_every_pattern_of_the_gallery_is_there_and_leads_to_its_tab() -> None:
    tabs = {pattern.tab: pattern.expression for pattern in f.PATTERNS if pattern.tab}
    assert tabs == {demo.name: demo.pattern for demo in discover()}


def test_the_schematics_are_of_their_patterns() -> None:
    import re

    assert all(re.fullmatch(p.expression, p.ticks) for p in f.PATTERNS)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_gate_that_keeps_lets_the_gradient_through(kind: str) -> None:
    assert f.experiment(kind, 0.5)["gradient"][0] > 1e15 * f.experiment("tanh", 0.5)["gradient"][0]


# ---- what the page asks -----------------------------------------------------------------


def asked(**question: object) -> dict:
    return json.loads(f.answer(json.dumps(question)))


def test_a_question_gets_the_numbers_of_the_functions() -> None:
    found = asked(ask="hand", tables=f.OPENING)
    hs, os = f.by_hand(**f.checked(f.OPENING))
    np.testing.assert_allclose(found["h"], hs)
    np.testing.assert_allclose(found["o"], os)
    assert not any(map(any, found["reached"]["h"]))
    assert asked(ask="compare", tables=f.OPENING)["difference"] < 1e-12


@pytest.mark.parametrize("radius", [0.1, 1.0, 2.0])
def test_an_experiment_always_fits_into_json(radius: float) -> None:
    text = f.answer(json.dumps({"ask": "gradient", "radius": radius}))
    cells = json.loads(text, parse_constant=lambda name: pytest.fail(name))["cells"]
    assert set(cells) == set(f.KINDS)
    assert all(len(cell["gradient"]) == len(cell["h"]) == f.TIMES for cell in cells.values())
    assert 1e-3 < cells["lstm"]["gradient"][0] < 1e3


NONSENSE = (
    ("", "{", "[]", "null", "3", "[" * 99_999, "\ud83d", "a" * 10**6),
    ('{"ask": "nope"}', '{"ask": ["hand"]}', '{"ask": "hand"}', '{"ask": "gradient"}', '{"ask": "sizes", "sizes": {}}'),
    ('{"ask": "hand", "tables": {"x": [[1]]}}', '{"ask": "hand", "tables": "<script>"}'),
    ('{"ask": "gradient", "radius": 1e999}', '{"ask": "gradient", "radius": NaN}'),
)


@pytest.mark.parametrize("text", [text for some in NONSENSE for text in some], ids=lambda text: text[:40])
def test_a_question_that_is_none_gets_a_sentence(text: str) -> None:
    found = json.loads(f.answer(text))
    assert say("en", found["error"], **found["values"])


QUESTIONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.just(f.OPENING),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from([*f.BOUNDS, *f.TABLES, "x"]), v, max_size=7),
    max_leaves=6,
)


@given(st.sampled_from(sorted(f.ANSWERS)), QUESTIONS, QUESTIONS)
def test_any_question_is_answered(ask: str, one: object, two: object) -> None:
    question = {"ask": ask, "tables": one, "before": two, "sizes": one, "shape": two, "radius": one}
    found = json.loads(f.answer(json.dumps(question)))
    assert found
    if "error" in found:
        assert say("zh-CN", found["error"], **found["values"])
