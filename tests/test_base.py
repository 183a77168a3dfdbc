"""Inputs, patterns and words: what every demo relies on."""

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import demos
from demos import discover, photos
from demos.base import LONGEST_TOKEN, Demo, Input, InputError, Step, shape
from demos.text import LANGUAGES, say, words
from models.tick import TICKS

ROOT = Path(demos.__file__).parent.parent
SOURCES = {path: path.read_text("utf-8") for path in [ROOT / "app.py", *sorted((ROOT / "demos").glob("*.py"))]}
SCRIPTS = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "demos" / "views").glob("*.js")))
DEMOS = pytest.mark.parametrize("demo", discover(), ids=lambda demo: demo.name)

# ---- inputs -----------------------------------------------------------------------------

INPUTS = {
    "text": Input("text", "text", "", high=8),
    "choice": Input("network", "choice", "a", choices=("a", "b", "五绝")),
    "number": Input("temperature", "number", 1.0, low=0.05, high=2),
    "whole": Input("seed", "whole", 1, low=-3, high=2**32 - 1),
    "tokens": Input("written", "tokens", (), high=4),
    "places": Input("chosen", "places", (), high=4),
    "photo": Input("other", "photo", "", optional=True),
}


def encodes(value: str) -> bool:
    return isinstance(value, str) and value.encode("utf-8").decode("utf-8") == value


PROPER: dict[str, Callable[[Any], bool]] = {
    "text": lambda v: encodes(v) and len(v) <= 8,
    "choice": lambda v: v in ("a", "b", "五绝"),
    "number": lambda v: type(v) is float and 0.05 <= v <= 2,
    "whole": lambda v: type(v) is int and -3 <= v <= 2**32 - 1,
    "tokens": lambda v: type(v) is list and len(v) <= 4 and all(encodes(t) and 0 < len(t) <= LONGEST_TOKEN for t in v),
    "places": lambda v: type(v) is list and len(v) <= 4 and all(isinstance(p, int) and 0 <= p <= 4 for p in v),
    "photo": lambda v: v == "" or v in photos.examples() or v.startswith(photos.PREFIX),
}

# What JSON can bring, and more: halves of characters, control characters, NaN, huge numbers.
TEXTS = st.text(st.sampled_from("ab五\x00\n\u2028\ufeff\U0001f680\ud83d\ude80\udfff") | st.characters(), max_size=12)
ATOMS = st.none() | st.booleans() | st.floats() | st.integers(-5, 5) | st.integers() | TEXTS
ATOMS |= st.sampled_from([10**400, -(10**400), 2**32 - 1, 2**32, "a", "五绝", "x" * LONGEST_TOKEN, "x" * 65])
VALUES = st.recursive(ATOMS, lambda v: st.lists(v, max_size=5) | st.dictionaries(TEXTS, v, max_size=2), max_leaves=8)
VALUES |= st.lists(TEXTS, max_size=5) | st.lists(st.integers(0, 5) | st.booleans(), max_size=5)


@pytest.mark.parametrize("kind", INPUTS)
@settings(max_examples=200)
@given(value=VALUES)
@example(value=math.nan)
@example(value=math.inf)
@example(value=10**400)
@example(value="\ud83d")
@example(value=["\udfff\ud83d"])
def test_a_checked_value_is_proper_or_refused_in_both_languages(kind: str, value: Any) -> None:
    try:
        assert PROPER[kind](INPUTS[kind].check(value))
    except InputError as error:
        for lang in LANGUAGES:
            say(lang, error.key, **error.values)


@given(st.floats(0.05, 2), st.integers(-3, 2**32 - 1))
def test_numbers_within_bounds_stay_as_they_are(number: float, whole: int) -> None:
    assert INPUTS["number"].check(number) == number
    assert INPUTS["whole"].check(whole) == INPUTS["whole"].check(float(whole)) == whole


@given(st.text(max_size=8), st.lists(st.text(min_size=1, max_size=LONGEST_TOKEN), max_size=4))
def test_text_and_tokens_within_bounds_stay_as_they_are(text: str, tokens: list[str]) -> None:
    assert INPUTS["text"].check(text) == text
    assert INPUTS["tokens"].check(tokens) == INPUTS["tokens"].check(tuple(tokens)) == tokens


def test_halves_of_characters_become_one_or_the_sign_for_none() -> None:
    assert INPUTS["text"].check("a\ud83d\ude80b") == "a\U0001f680b"
    assert INPUTS["text"].check("a\ud83db\ude80") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("kind", "value", "key"),
    [
        ("text", 5, "error.not_text"),
        ("text", None, "error.not_text"),
        ("text", "x" * 9, "error.too_long"),
        ("choice", "c", "error.no_choice"),
        ("choice", ["a"], "error.no_choice"),
        ("number", 2.01, "error.out_of_range"),
        ("number", True, "error.out_of_range"),
        ("number", "1", "error.out_of_range"),
        ("number", math.nan, "error.out_of_range"),
        ("whole", 1.5, "error.not_whole"),
        ("whole", 2**32, "error.out_of_range"),
        ("whole", True, "error.out_of_range"),
        ("tokens", "abc", "error.written"),
        ("tokens", [""], "error.written"),
        ("tokens", ["x" * 65], "error.written"),
        ("tokens", ["x"] * 5, "error.written"),
        ("tokens", [5], "error.written"),
        ("places", [-1], "error.written"),
        ("places", [1.0], "error.written"),
        ("places", [0] * 5, "error.written"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(kind: str, value: Any, key: str) -> None:
    with pytest.raises(InputError) as raised:
        INPUTS[kind].check(value)
    assert raised.value.key == key


@DEMOS
def test_defaults_and_examples_pass_their_own_checks(demo: Demo) -> None:
    default = {i.name: list(i.default) if isinstance(i.default, tuple) else i.default for i in demo.inputs}
    assert demo.check({}) == default
    for values in demo.examples:
        assert demo.check(values) == default | values


@DEMOS
def test_what_is_no_input_is_dropped(demo: Demo) -> None:
    assert demo.check({"nonsense": 1}) == demo.check({})


@DEMOS
def test_one_wrong_input_refuses_them_all(demo: Demo) -> None:
    for wrong in demo.inputs:
        with pytest.raises(InputError):
            demo.check({wrong.name: {}})


@DEMOS
def test_each_language_opens_with_an_example_there_is(demo: Demo) -> None:
    assert set(demo.opening) == set(LANGUAGES)
    assert all(number in range(len(demo.examples)) for number in demo.opening.values())


# ---- steps ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (Step(read="a"), "R"),
        (Step(read=""), "R"),  # an empty token is a token
        (Step(written="a"), "W"),
        (Step(fed="a", written=""), "W"),
        (Step(read="a", written="b"), "B"),
        (Step(read="", written=""), "B"),
        (Step(fed="a"), "R"),
    ],
)
def test_kind_of_a_step(step: Step, kind: str) -> None:
    assert step.kind == kind


def test_shape_is_the_kinds_in_order() -> None:
    assert shape([Step(read="a"), Step(read="b", written="c"), Step(fed="c", written="d")]) == "RBW"
    assert shape([]) == ""


# ---- words ------------------------------------------------------------------------------

HAN = re.compile("[一-鿿]")
SAME_EVERYWHERE = {
    "input.top_p",
    "unrolled.sum.sum",
    "cell.gru",
    "cell.lstm",
    "caption.tree.total",
}  # names and a formula


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    english, chinese = words("en"), words("zh-CN")
    assert list(english) == list(chinese)
    for key in english:
        assert placeholders(english[key]) == placeholders(chinese[key]), key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_word_is_empty_or_padded(lang: str) -> None:
    assert [key for key, text in words(lang).items() if not text or text != text.strip()] == []


def test_chinese_is_written_in_chinese() -> None:
    chinese = words("zh-CN")
    assert {key for key, text in chinese.items() if not HAN.search(text)} <= SAME_EVERYWHERE
    assert [text for text in chinese.values() if re.search("[一-鿿][,;?:!][一-鿿]", text)] == []


def test_an_unknown_language_is_told_in_english() -> None:
    assert say("fr", "button.stop") == words("en")["button.stop"]


def test_every_error_that_is_raised_has_words() -> None:
    raised = {key for source in SOURCES.values() for key in re.findall(r'"(error\.\w+)"', source)}
    assert {"error.empty", "error.acrostic", "error.written", "error.not_text"} <= raised <= set(words("en"))


def test_every_error_gives_the_values_that_its_words_name() -> None:
    """InputError("error.x", a=…, b=…): the words use no other names than these."""
    calls = [c for s in SOURCES.values() for c in re.findall(r'InputError\("(error\.\w+)"((?:, \w+=[^,]+)*)\)', s)]
    assert len(calls) >= 8
    for key, arguments in calls:
        assert placeholders(words("en")[key]) <= set(re.findall(r", (\w+)=", arguments)), key


PARTS = "gallery|tab|demo|prose|input|info|choice|button|label|card|drawing|text|unrolled|verdict|cell|many|hint"
PARTS += "|caption|lecture|foundations"
KEY = rf"(?:{PARTS})\.[\w.]+\w"


def test_every_key_that_the_page_names_has_words() -> None:
    named = set(re.findall(f'"({KEY})"', "\n".join([SCRIPTS, *SOURCES.values()])))
    assert {"gallery.head", "button.stop", "card.size", "text.page", "unrolled.waiting"} <= named <= set(words("en"))


def test_every_key_that_the_page_completes_has_words() -> None:
    parts = re.findall(rf"`({KEY[:-2]})\$\{{", SCRIPTS)
    assert len(parts) >= 5
    assert all(any(key.startswith(part) for key in words("en")) for part in parts)
    gates = {gate for tick in TICKS.values() for gate in tick.gates}
    assert {f"unrolled.map.{name}" for name in gates | {"h", "memory"}} <= set(words("en"))


@DEMOS
def test_every_demo_has_its_words(demo: Demo) -> None:
    keys = {f"tab.{demo.tab}", f"demo.{demo.name}", f"prose.{demo.name}", f"button.run.{demo.name}"}
    keys |= {f"input.{i.name}" for i in demo.inputs if i.place != "hidden" or i.kind not in ("tokens", "places")}
    keys |= {f"choice.{choice}" for i in demo.inputs for choice in i.choices}
    assert keys <= set(words("en"))


@pytest.mark.usefixtures("tiny")
@DEMOS
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_card_can_be_read(demo: Demo, lang: str) -> None:
    cards: Mapping[str, list] = demo.cards()
    assert cards
    for title, rows in cards.items():
        assert say(lang, title) != title
        assert all("{" not in say(lang, key, **values) for key, values in rows)


WORDY = re.compile(r"[A-Za-z]{3,}|[\u4e00-\u9fff]")


def test_no_control_has_a_word_of_its_own() -> None:
    """What app.py hands to Gradio comes from demos/text, the window's title, too."""
    spoken = {"label", "value", "info", "placeholder", "description", "title", "x_title", "y_title"}
    ours = ("gr.", "Gallery", "PhotoBox")
    made = [node for node in ast.walk(ast.parse(SOURCES[ROOT / "app.py"])) if isinstance(node, ast.Call)]
    made = [node for node in made if ast.unparse(node.func).startswith(ours)]
    given = [value for node in made for value in [*node.args, *(k.value for k in node.keywords if k.arg in spoken)]]
    texts = [value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    assert [text for text in texts if text not in LANGUAGES and WORDY.search(text)] == []


def test_no_script_has_a_word_of_its_own() -> None:
    """What a script shows comes from `words`, but for mathematics and names of formats and of PyTorch."""
    given = r"(?:textContent|innerText|title|ariaLabel|placeholder|alt)\s*=\s*"
    given += r"(?P<quote>[\"'`])(?P<text>[^\"'`]*)(?P=quote)\s*[;,)]"
    texts = [match["text"] for match in re.finditer(given, SCRIPTS)]
    texts += re.findall(r"setAttribute\(\"(?:title|alt|aria-label|aria-valuetext)\", *[\"'`]([^\"'`]*)", SCRIPTS)
    texts += re.findall(r"[{,] *\"?(?:title|alt|aria-label|ariaLabel|placeholder)\"?: *[\"'`]([^\"'`]*)", SCRIPTS)
    texts += [text for call in calls("unrolledNode|node|said") for text in literals("".join(call[3:4]))]
    texts += sentences()
    bare = [re.sub(r"\$\{[^}]*\}?", "", text) for text in texts]  # what is filled in may hold a text itself
    assert [text for text in bare if WORDY.search(text) and "PyTorch" not in text] == []


def calls(names: str) -> Iterator[list[str]]:
    """The arguments of every call of these functions, as they are written."""
    for start in re.finditer(rf"(?<!function )\b(?:{names})\(", SCRIPTS):
        given, depth, quote = [""], 0, ""
        for c in SCRIPTS[start.end() :]:
            if c in "\"'`":
                quote = {"": c, c: ""}.get(quote, quote)
            depth += 0 if quote else (c in "([{") - (c in ")]}")
            if depth < 0:
                break
            given = [*given, ""] if c == "," and not depth and not quote else [*given[:-1], given[-1] + c]
        yield given


def literals(code: str) -> list[str]:
    """The texts in a piece of script, but for those that a function is called with."""
    while code != (code := re.sub(r"[\w.?]+\([^()]*\)", "", code)):
        pass
    return re.findall(r"[\"'`]([^\"'`]*)[\"'`]", code)


def sentences() -> list[str]:
    """Templates of more than one word that are no markup, style or mathematics."""
    template = r"`((?:[^`\\$]|\\.|\$(?!\{)|\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\})*)`"
    no_words = re.compile(r"(?:class|transform|d|style): $|\? $|PAPER = $")
    found = [m[1] for m in re.finditer(template, SCRIPTS) if not no_words.search(SCRIPTS[: m.start()][-20:])]
    bare = [re.sub(r"\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\}", "", text) for text in found]
    known = re.compile(r"tanh|output|<!doctype html>")  # mathematics, PyTorch's own names, markup
    return [text for text in bare if re.search(r"\s", text) and WORDY.search(known.sub("", text))]
