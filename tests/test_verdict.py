"""The drawing of a verdict: alone, on made-up runs."""

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from demos.text import LANGUAGES, words
from demos.views import HERE
from demos.views.trace import line
from tests.serving import CHROMIUM, chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
HOSTILE = [
    "<img src=x onerror=hit()>",
    "${hit()}",
    "{{value}}",
    "{word}",
    "\"'`",
    "\n",
    "\u202eabc",
    "שלום",
    "e\u0301",
    "😀",
    "</script>",
    "x" * 300,
]
TEXT = ["the", "food", "was", "good", "at", "first", "but", "then", "it", "was", "awful"]
EFFECTS = [0.0, 0.2, -0.1, 2.0, 0.1, -0.2, -0.8, 0.1, 0.0, -0.1, -3.0]
GRADIENTS = [0.0, 0.1, -0.1, 1.0, 0.1, -0.1, 0.9, 0.0, 0.0, 0.0, -1.5]
CURVE = [0.5, 0.55, 0.52, 0.9, 0.9, 0.88, 0.7, 0.71, 0.71, 0.69, 0.07]
# Gradio's variables in the drawing's two themes.
THEME = """
body { margin: 0; padding: 1rem; background: var(--background-fill-primary); color: var(--body-text-color);
  --body-text-color: #27272a; --body-text-color-subdued: #71717a; --background-fill-primary: #fff;
  --background-fill-secondary: #fafafa; --border-color-primary: #e4e4e7; --color-accent: #2563eb; }
body.dark { --body-text-color: #f4f4f5; --body-text-color-subdued: #a1a1aa; --background-fill-primary: #18181b;
  --background-fill-secondary: #27272a; --border-color-primary: #3f3f46; --color-accent: #60a5fa; }
"""
DRAW = """([words, header, records]) => {
  window.hit = () => { window.wasHit = true; };
  window.words = words;
  const fill = (text, values) => text.replace(/\\{(\\w+)\\}/g, (whole, name) => values[name] ?? whole);
  window.selected = [];
  window.view = verdictView(document.querySelector('.verdict'), {
    words: (key, values = {}) => fill(window.words[key], values),
    onSelect: (t) => window.selected.push(t),
  });
  view.reset(header);
  view.append(records);
  view.done();
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def made_up(tokens: list[str] = TEXT, curve: list[float] = CURVE) -> list[dict[str, Any]]:
    """Records as a run sends them, one a token."""
    steps = []
    for t, token in enumerate(tokens):
        back = len(tokens) - 1 - t
        k = t % len(EFFECTS)
        step = {
            "r": token,
            "v": {"network": curve[t % len(curve)], "bag": 0.6, "rnn": 0.5, "gru": 0.3, "lstm": 0.2, "bilstm": 0.1},
            "e": {"left_out": EFFECTS[k], "gradient": GRADIENTS[k]},
            "g": {"rnn": 10**-back, "gru": 10 ** (-0.1 * back), "lstm": 0.5, "lstm_c": 0.4, "bilstm": 2 ** (t % 2)},
        }
        steps.append(step | ({"b": " "} if t else {}))
    steps[-1] |= {"w": "negative", "p": 0.93}
    return steps


def draw(page: Page, steps: list[dict[str, Any]], lang: str = "en", theme: str = "", **header: Any) -> None:
    """Put the drawing alone on an empty page and hand the steps to it."""
    head = {"run": "1", "cell": "lstm", "layers": 1, "directions": 1, "reader": "network", "analysed": True}
    head |= {"change": "typed", "fillers": 0, "before": None, **header}
    page.set_content(
        f"<!doctype html><html lang={lang}><title>drawing</title><body class='{theme}'>"
        "<main class=drawing><h1>drawing</h1><div class=verdict></div></main>"
    )
    page.add_style_tag(content=THEME + (HERE / "verdict.css").read_text("utf-8"))
    for name in ("unrolled.js", "verdict.js"):
        page.add_script_tag(content=(HERE / name).read_text("utf-8"))
    page.evaluate(DRAW, [words(lang), json.loads(line(head)), [json.loads(line(step)) for step in steps]])
    expect(page.locator(".page[role=listbox] .token")).to_have_count(len(steps))


def data(page: Page, selector: str, name: str) -> list[float]:
    return page.locator(selector).evaluate_all(f"nodes => nodes.map((node) => Number(node.dataset.{name}))")


def test_the_curve_has_every_point_of_the_trace(page: Page) -> None:
    draw(page, made_up())
    expect(page.locator(".curve .ground .point")).to_have_count(len(TEXT))
    assert data(page, ".curve .ground .point", "p") == CURVE
    assert data(page, ".curve .ground .point", "t") == list(range(len(TEXT)))
    height = page.locator(".curve .ground .point").evaluate_all(
        "nodes => nodes.map((n) => Number(n.getAttribute('cy')))"
    )
    assert [h < height[0] for h in height[1:]] == [p > CURVE[0] for p in CURVE[1:]]
    expect(page.locator(".curve .word")).to_have_text(TEXT)


def test_a_tick_without_a_verdict_is_skipped(page: Page) -> None:
    steps = made_up()
    for step in steps[:-1]:
        del step["v"]["network"]
    draw(page, steps)
    expect(page.locator(".curve .ground .point")).to_have_count(1)
    assert data(page, ".curve .point", "t") == [len(TEXT) - 1]
    assert page.locator(".curve .line.bag").last.get_attribute("d").count("L") == len(TEXT) - 1


def test_the_last_crossing_is_the_word_that_turns(page: Page) -> None:
    draw(page, made_up())
    expect(page.locator(".curve .what")).to_have_text("“awful” turns the verdict: from 69 % positive to 7 %.")
    expect(page.locator(".curve .word.turning")).to_have_text("awful")


def test_without_a_crossing_the_largest_step_is_named(page: Page) -> None:
    curve = [0.6, 0.6, 0.6, 0.95, *[0.9] * 7]
    draw(page, made_up(curve=curve))
    expect(page.locator(".curve .what")).to_contain_text("No word turns the verdict. “good” moves it most")


def test_a_step_onto_the_edge_is_not_yet_the_turn(page: Page) -> None:
    curve = [*[0.7] * 6, *[0.499] * 2, *[0.1] * 3]
    draw(page, made_up(curve=curve))
    expect(page.locator(".curve .what")).to_contain_text("turns the verdict: from 50 % positive to 10 %.")


def test_a_hardly_visible_step_is_told_with_more_digits(page: Page) -> None:
    draw(page, made_up(curve=[*[0.697] * 6, *[0.704] * 5]))
    expect(page.locator(".curve .what")).to_have_text(
        "No word turns the verdict. “but” moves it most: from 69.7 % positive to 70.4 %."
    )


@pytest.mark.parametrize(
    ("p", "told"),
    [(0.93, "Positive, 93 %"), (0.07, "Negative, 93 %"), (0.65, "Positive, 65 %"), (0.999, "Positive, > 99 %")],
)
def test_the_verdict_is_a_sentence(page: Page, p: float, told: str) -> None:
    draw(page, made_up(curve=[*CURVE[:-1], p]))
    expect(page.locator(".headline")).to_have_text(told)
    expect(page.locator(".summary .hint")).to_be_hidden()


@pytest.mark.parametrize("p", [0.58, 0.42, 0.5])
def test_an_unsure_verdict_says_so(page: Page, p: float) -> None:
    draw(page, made_up(curve=[*CURVE[:-1], p]))
    expect(page.locator(".headline")).to_have_text(f"Not sure: {p:.0%} positive".replace("%", "\u00a0%"))
    expect(page.locator(".summary .hint")).to_contain_text("unsure")


@pytest.mark.parametrize(
    ("change", "bag", "lesson"),
    [("shuffled", 0.604, "order does not exist"), ("dropped", 0.604, "next to nothing"), ("reversed", 0.59, None)],
)
def test_before_and_after_a_change(page: Page, change: str, bag: float, lesson: str | None) -> None:
    before = {"text": "<b>as typed</b>", "verdicts": {"network": 0.93, "bag": bag}}
    draw(page, made_up(), change=change, fillers=3, before=before)
    figures = page.locator(".before td .figure").all_inner_texts()
    assert [text.replace("\u00a0", " ") for text in figures] == ["93 %", "7 %", f"{bag:.0%}"[:-1] + " %", "60 %"]
    expect(page.locator(".before .quote")).to_have_text("<b>as typed</b>")
    expect(page.locator(".before .what")).to_contain_text("3")
    expect(page.locator(".before .lesson")).to_contain_text(lesson or "")
    assert bool(page.locator(".before .lesson").text_content()) == (lesson is not None)


def test_without_a_change_there_is_no_table(page: Page) -> None:
    draw(page, made_up())
    expect(page.locator(".curve")).to_be_visible()
    expect(page.locator(".before")).to_be_hidden()


@pytest.mark.parametrize(("method", "effects"), [("left_out", EFFECTS), ("gradient", GRADIENTS)])
def test_words_are_coloured_by_their_effect(page: Page, method: str, effects: list[float]) -> None:
    draw(page, made_up())
    tokens = page.locator(f".method.{method} .token")
    expect(tokens.last).to_have_attribute("data-effect", f"{effects[-1]:g}")
    assert data(page, f".method.{method} .token", "effect") == effects
    shares = tokens.evaluate_all("nodes => nodes.map((n) => Number(n.style.getPropertyValue('--effect')))")
    assert shares == pytest.approx([e / max(map(abs, effects)) for e in effects], abs=1e-3)
    assert tokens.last.get_attribute("title") == f"−{abs(effects[-1]):.2f}"
    ranked = sorted(zip(TEXT, effects, strict=True), key=lambda pair: -abs(pair[1]))[:3]
    told = [f"{word}{value:+.2f}".replace("-", "−") for word, value in ranked]
    expect(page.locator(f".method.{method} .strongest li")).to_have_text(told)


def test_the_pieces_of_a_word_count_as_one(page: Page) -> None:
    steps = made_up()
    steps[-1] = steps[-1] | {"r": "aw"}
    steps.append({k: v for k, v in steps[-1].items() if k != "b"} | {"r": "ful"})
    draw(page, steps)
    expect(page.locator(".method.left_out .strongest li").first).to_have_text("awful−3.00")
    expect(page.locator(".curve .what")).to_contain_text("“awful” turns")
    expect(page.locator(".method.left_out .page")).to_have_text(" ".join(TEXT))


def test_where_the_two_methods_differ_most(page: Page) -> None:
    draw(page, made_up())
    said = page.locator(".why .lesson")
    expect(said).to_contain_text("“but”: leaving it out gives −0.80 (27 % of the strongest effect)")
    expect(said).to_contain_text("gradient × input +0.90 (60 %)")


def test_methods_that_agree_are_said_to(page: Page) -> None:
    steps = made_up()
    for step in steps:
        step["e"]["gradient"] = step["e"]["left_out"] / 3
    draw(page, steps)
    expect(page.locator(".why .lesson")).to_have_text("The two agree.")


def test_mouse_and_keys_select_a_tick(page: Page) -> None:
    draw(page, made_up())
    page.locator(".method.gradient .token").nth(3).click()
    page.locator(".curve .ground .point").nth(5).click()
    page.locator(".memory .plot").click(position={"x": 75, "y": 100})
    page.locator(".page[role=listbox]").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home"):
        page.keyboard.press(key)
    assert page.evaluate("selected") == [3, 5, 0, 1, 2, 1, 10, 0]
    active = page.locator(".page[role=listbox]").get_attribute("aria-activedescendant")
    assert page.locator(f"[id='{active}']").text_content() == TEXT[0]


def test_a_selection_from_outside_is_shown_everywhere_and_not_reported(page: Page) -> None:
    draw(page, made_up())
    page.evaluate("view.select(6)")
    expect(page.locator(".token.selected")).to_have_text(["but", "but"])
    expect(page.locator(".token[aria-selected=true]")).to_have_text("but")
    expect(page.locator(".curve .word.selected")).to_have_text("but")
    expect(page.locator(".guide")).to_have_count(2)
    assert data(page, ".curve .over .point", "t") == [6]
    expect(page.locator(".curve .readout")).to_contain_text("Tick 7 of 11, after “but”: This network 70 % positive.")
    expect(page.locator(".why .readout")).to_have_text("“but”: left out −0.80, gradient × input +0.90.")
    page.evaluate("view.select(99)")
    assert page.evaluate("selected") == []
    expect(page.locator(".token[aria-selected=true]")).to_have_text("but")


def test_a_unit_colours_the_text(page: Page) -> None:
    draw(page, made_up())
    page.evaluate("view.follow(Float32Array.from({ length: 11 }, (_, t) => t / 10))")
    colour = page.locator(".method.left_out .token").last.evaluate("node => getComputedStyle(node).backgroundColor")
    page.evaluate("view.follow(null)")
    back = page.locator(".method.left_out .token").last.evaluate("node => getComputedStyle(node).backgroundColor")
    assert colour != back
    expect(page.locator(".page.following")).to_have_count(0)


def test_memory_is_drawn_for_each_cell(page: Page) -> None:
    draw(page, made_up())
    cells = ["rnn", "gru", "lstm", "lstm_c", "bilstm"]
    expect(page.locator(".memory .ground g.cell")).to_have_count(len(cells))
    drawn = page.locator(".memory .ground g.cell").evaluate_all("nodes => nodes.map((node) => node.dataset.cell)")
    assert drawn == cells
    dashes = page.locator(".memory .ground g.cell .line").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('stroke-dasharray'))"
    )
    assert len(set(dashes)) == len(cells)
    losses = page.locator(".memory .loss").all_text_contents()
    assert "10.0 orders of magnitude" in losses[0]
    assert "1.0 orders" in losses[1]
    assert all("no loss" in loss for loss in losses[2:])
    expect(page.locator(".memory .cells .figure")).to_have_text([f"says {n} % positive" for n in (50, 30, 20, 10)])


def test_the_memory_axis_is_logarithmic_and_has_a_floor(page: Page) -> None:
    draw(page, made_up())
    path = page.locator(".memory .ground g.cell[data-cell=rnn] .line").get_attribute("d")
    heights = [float(part.split()[1]) for part in path.replace("M", "L").split("L")[1:]]
    falls = [a - b for a, b in pairwise(heights)]
    assert falls[:2] == pytest.approx([0, 0], abs=0.2)  # below the floor
    assert falls[3:] == pytest.approx([falls[3]] * 7, abs=0.2)


def test_a_gradient_that_vanishes_completely_is_told(page: Page) -> None:
    steps = made_up()
    steps[0]["g"]["rnn"] = 0.0
    draw(page, steps)
    expect(page.locator(".memory .loss").first).to_contain_text("nothing arrives")
    assert "NaN" not in page.locator(".memory .plot").inner_html()


def test_a_text_too_long_to_analyse_keeps_its_verdict(page: Page) -> None:
    steps = made_up(["word"] * 1000, [0.5, 0.6])
    for step in steps:
        del step["e"], step["g"]
        step["v"] = {"network": step["v"]["network"]}
    draw(page, steps, analysed=False)
    expect(page.locator(".memory .hint")).to_contain_text("too long")
    expect(page.locator(".memory .plot")).to_be_hidden()
    expect(page.locator(".why .hint").first).to_contain_text("too long")
    expect(page.locator(".method.gradient")).to_be_hidden()
    expect(page.locator(".headline")).to_have_text("Not sure: 60 % positive")
    page.evaluate("view.select(999)")
    page.locator(".page[role=listbox]").focus()
    page.keyboard.press("Home")
    assert page.evaluate("selected") == [0]
    assert page.locator(".verdict svg *").count() < 100


def test_a_run_comes_in_parts_and_the_next_one_starts_clean(page: Page) -> None:
    draw(page, made_up())
    page.evaluate("view.select(4)")
    header = {"run": "2", "cell": "lstm", "reader": "network", "analysed": True, "change": "typed", "fillers": 0}
    page.evaluate("([header, steps]) => { view.reset(header); view.append(steps.slice(0, 2)); }", [header, made_up()])
    expect(page.locator(".curve .ground .point")).to_have_count(2)
    expect(page.locator(".token.selected")).to_have_count(0)
    expect(page.locator(".curve .turn")).to_have_count(0)
    page.evaluate("(steps) => { view.append(steps.slice(2)); view.done(); }", made_up())
    expect(page.locator(".curve .ground .point")).to_have_count(len(TEXT))
    expect(page.locator(".curve .turn")).to_have_count(1)
    expect(page.locator(".spoken")).to_have_text("Negative, 93 %")


@pytest.mark.parametrize("tokens", [HOSTILE, ["😀"], ["<img src=x onerror=hit()>"] * 3])
def test_hostile_text_is_drawn_as_typed_and_never_runs(page: Page, tokens: list[str]) -> None:
    before = {"text": " ".join(tokens), "verdicts": {"network": 0.5, "bag": 0.5}}
    draw(page, made_up(tokens), change="shuffled", before=before)
    expect(page.locator(".curve .ground .point")).to_have_count(len(tokens))
    for t in range(len(tokens)):
        page.evaluate(f"view.select({t})")
    assert page.evaluate("window.wasHit") is None
    assert page.locator(".verdict :is(img, script)").count() == 0
    for method in ("left_out", "gradient"):
        assert page.locator(f".method.{method} .token").all_text_contents() == tokens
    assert page.locator(".before .quote").text_content() == before["text"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_word_of_the_drawing_changes_with_the_language(page: Page, lang: str) -> None:
    before = {"text": "as typed", "verdicts": {"network": 0.93, "bag": 0.6}}
    draw(page, made_up(), change="reversed", before=before)
    page.evaluate("(words) => { window.words = words; view.relabel(); }", words(lang))
    expect(page.locator(".memory .title")).to_have_text(words(lang)["verdict.memory.title"])
    expect(page.locator(".curve .title")).to_have_text(words(lang)["verdict.curve.title"])
    shown = page.locator(".verdict").inner_text()
    assert "verdict." not in shown
    assert "{" not in shown
    other = words("en" if lang != "en" else "zh-CN")
    plain = [key for key in other if key.startswith("verdict.") and "{" not in other[key] and len(other[key]) > 3]
    assert [key for key in plain if other[key] in shown and other[key] != words(lang)[key]] == []


def test_both_languages_have_the_same_words() -> None:
    given = [{key for key in words(lang) if key.startswith(("verdict.", "cell."))} for lang in LANGUAGES]
    assert given[0] == given[1]


@pytest.mark.parametrize(("lang", "count"), [("en", 11), ("zh-CN", 60)])
def test_a_phone_needs_no_scrolling_sideways(page: Page, lang: str, count: int) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    tokens = [TEXT[t % len(TEXT)] for t in range(count)]
    before = {"text": "word " * 200, "verdicts": {"network": 0.93, "bag": 0.6}}
    draw(page, made_up(tokens), lang=lang, change="shuffled", fillers=20, before=before)
    page.evaluate(f"view.select({count - 1})")
    expect(page.locator(".curve .word.selected")).to_have_text(tokens[-1])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    right = page.locator(".curve .word").evaluate_all(
        "nodes => Math.max(...nodes.map((n) => n.getBoundingClientRect().right))"
    )
    assert right <= 390


def test_the_plots_follow_the_width_of_the_page(page: Page) -> None:
    draw(page, made_up())
    expect(page.locator(".curve .ground .point")).to_have_count(len(TEXT))
    page.set_viewport_size({"width": 700, "height": 720})
    page.wait_for_function("document.querySelector('.curve .plot').viewBox.baseVal.width < 700")
    last = page.locator(".memory .plot").evaluate("node => node.viewBox.baseVal.width")
    assert math.isclose(last, page.locator(".memory .stage").evaluate("node => node.clientWidth"), abs_tol=1)


@pytest.mark.parametrize("theme", ["", "dark"])
@pytest.mark.parametrize(("lang", "width"), [("en", 1280), ("zh-CN", 390)])
def test_axe_finds_nothing(page: Page, theme: str, lang: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    before = {"text": "word " * 400, "verdicts": {"network": 0.93, "bag": 0.6}}
    draw(page, made_up(TEXT * 12), lang=lang, theme=theme, change="shuffled", before=before)
    page.evaluate("view.select(3)")
    expect(page.locator(".memory .line").first).to_be_attached()
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document)")
    told = [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found["violations"]]
    assert told == [], "\n".join(map(str, told))
