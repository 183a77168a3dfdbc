"""The page of foundations in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from demos import foundations
from demos.text import say
from tests.serving import CHROMIUM, chromium, gallery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gallery() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/foundations")
    expect(page.locator("#gradient .curve").first).to_be_attached(timeout=60_000)
    yield page
    context.close()


def numbers(page: Page, name: str) -> list[list[float]]:
    rows = page.locator(f".matrix.{name} tr").all()
    return [[float(cell.replace("−", "-")) for cell in row.locator("td").all_text_contents()] for row in rows]


def cell(page: Page, name: str, row: int, column: int) -> Locator:
    return page.get_by_label(f"{name} {row}, {column}", exact=True)


def told(page: Page, part: str) -> Locator:
    return page.locator(f"#{part} .told")


# ---- by hand ----------------------------------------------------------------------------


def test_the_tables_show_what_numpy_computed(page: Page) -> None:
    hs, os = foundations.by_hand(**foundations.checked(foundations.OPENING))
    np.testing.assert_allclose(numbers(page, "h"), hs, atol=6e-4)
    np.testing.assert_allclose(numbers(page, "o"), os, atol=6e-4)
    expect(page.locator("#hand .agree")).to_contain_text("nn.RNN agree")


def test_an_edit_marks_what_it_reaches_and_nothing_before(page: Page) -> None:
    before = numbers(page, "h")
    cell(page, "x", 2, 1).fill("2")
    expect(told(page, "hand")).to_have_text(say("en", "foundations.reach_x", t="₂", step=2))
    marked = [row.locator("td.reached").count() for row in page.locator(".matrix.h tr").all()]
    assert marked == [0, 3, 3]
    assert numbers(page, "h")[0] == before[0]
    page.get_by_role("button", name=say("en", "foundations.hand.reset")).click()
    expect(page.locator(".matrix.h td").nth(3)).to_have_text(f"{before[1][0]:.3f}")


def test_a_cell_without_a_number_gets_a_sentence_and_the_results_stay(page: Page) -> None:
    before = numbers(page, "h")
    cell(page, "W_hh", 2, 3).fill("")
    expect(told(page, "hand")).to_contain_text("W_hh, row 2, column 3")
    assert numbers(page, "h") == before
    cell(page, "W_hh", 2, 3).fill("0.9")
    expect(told(page, "hand")).to_have_text(say("en", "foundations.reach_recurrent"))


def test_the_code_is_the_code_that_runs(page: Page) -> None:
    page.locator("#hand details").first.locator("summary").click()
    shown = page.locator("#hand details pre").first.text_content()
    assert shown is not None
    names: dict = {"np": np}
    exec(shown, names)
    hs, _ = names["by_hand"](**foundations.checked(foundations.OPENING))
    np.testing.assert_allclose(numbers(page, "h"), hs, atol=6e-4)


@pytest.fixture
def plain(page: Page, url: str) -> Page:
    """The page over plain http from another computer: there is no clipboard but the old one."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(f"{url}/foundations")
    expect(page.locator("#hand details button").first).to_be_attached()
    return page


def test_code_is_copied_without_a_secure_address_and_the_label_comes_back(plain: Page) -> None:
    box = plain.locator("#hand details").first
    box.locator("summary").click()
    button = box.get_by_role("button")
    button.click()
    expect(button).to_have_text(say("en", "foundations.copied"))
    expect(button).to_be_focused()
    expect(button).to_have_text(say("en", "foundations.copy"))
    assert pasted(plain) == box.locator("pre").text_content()


def test_what_could_not_be_copied_is_not_called_copied(plain: Page) -> None:
    plain.evaluate("document.execCommand = () => false")
    box = plain.locator("#hand details").first
    box.locator("summary").click()
    box.get_by_role("button").click()
    shown = box.locator("pre").text_content()
    plain.wait_for_function("getSelection().toString().includes('def by_hand')")
    assert plain.evaluate("getSelection().toString()").strip() == shown.strip()
    expect(box.get_by_role("button")).to_have_text(say("en", "foundations.copy"))


def pasted(page: Page) -> str:
    """What the clipboard holds."""
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), { id: 'paper' }))")
    page.locator("#paper").focus()
    page.keyboard.press("Control+V")
    return page.locator("#paper").input_value()


# ---- sizes ------------------------------------------------------------------------------


def shapes(page: Page) -> dict[str, str]:
    rows = page.locator("#sizes table.shapes tr").all()
    return {row.locator("th").inner_text(): row.locator("td").first.inner_text() for row in rows}


@pytest.mark.parametrize(
    ("preset", "wanted"),
    [
        ("classifier", {"output": "(32, 50, 128)", "scores": "(32, 2)"}),
        ("small", {"output": "(1, 2, 3)", "h_n": "(1, 1, 3)"}),
        ("both_ways", {"output": "(1, 2, 6)", "h_n": "(2, 1, 3)"}),
        ("time_first", {"output": "(5, 3, 12)", "h_n": "(2, 3, 6)"}),
        ("batch_first", {"output": "(5, 3, 12)", "h_n": "(2, 5, 6)"}),
    ],
)
def test_the_course_text_s_cases_are_presets(preset: str, wanted: dict[str, str], page: Page) -> None:
    page.get_by_role("button", name=say("en", f"foundations.preset.{preset}"), exact=True).click()
    expect(page.locator("#sizes table.shapes .shape").nth(1)).to_have_text(wanted["output"])
    found = shapes(page)
    assert {name: found[name] for name in wanted} == wanted


def test_every_weight_is_in_the_table_and_counted(page: Page) -> None:
    page.get_by_role("button", name=say("en", "foundations.preset.both_ways"), exact=True).click()
    expect(page.locator("#sizes table.shapes .shape").nth(1)).to_have_text("(1, 2, 6)")
    found = shapes(page)
    assert (found["weight_ih_l0"], found["weight_hh_l0_reverse"], found["bias_hh_l0"]) == ("(3, 4)", "(3, 3)", "(3,)")
    assert (found["linear.weight"], found["linear.bias"]) == ("(2, 6)", "(2,)")
    expect(page.locator("#sizes .formula")).to_contain_text("2·6 + 2 = 14. Together 68.")


def test_a_sequence_without_a_batch_is_told_as_one(page: Page) -> None:
    page.get_by_label(say("en", "foundations.sizes.shape")).fill("50, 100")
    rows = page.locator("#sizes table.shapes").first.locator("tr")
    expect(rows.first).to_contain_text("(50, 100)")
    assert [row.locator("td").last.inner_text() for row in rows.all()] == [
        say("en", f"foundations.tensor.{name}.single") for name in ("input", "output", "h_n", "last", "scores")
    ]


def test_a_shape_that_cannot_be_gets_pytorch_s_words_and_ours(page: Page) -> None:
    page.get_by_label(say("en", "foundations.sizes.shape")).fill("(32, 50, 7)")
    expect(told(page, "sizes")).to_contain_text("PyTorch: “")
    expect(told(page, "sizes")).to_contain_text("built for 100 features")
    page.get_by_label(say("en", "foundations.sizes.shape")).fill("<script>")
    expect(told(page, "sizes")).to_have_text(say("en", "foundations.error_shape"))
    page.get_by_label(say("en", "foundations.size.hidden")).fill("0")
    expect(told(page, "sizes")).to_contain_text(say("en", "foundations.size.hidden"))


@pytest.mark.parametrize(("part", "label"), [("hand", "W_hh 1, 1"), ("sizes", "size.hidden"), ("gradient", "radius")])
def test_a_question_without_an_answer_is_told_and_asked_again(page: Page, part: str, label: str) -> None:
    names = {"size.hidden": say("en", "foundations.size.hidden"), "radius": say("en", "foundations.gradient.radius")}
    field = page.get_by_label(names.get(label, label), exact=label not in names)
    page.route("**/component_server**", lambda route: route.fulfill(status=429, body="{}"))
    field.fill("1.5" if part == "gradient" else "7")
    expect(told(page, part)).to_have_text(say("en", "foundations.no_answer"))
    page.unroute("**/component_server**")
    field.fill("1" if part == "gradient" else "8")
    expect(told(page, part)).not_to_have_text(say("en", "foundations.no_answer"))


def test_a_comparison_without_an_answer_is_told_and_asked_again(page: Page) -> None:
    def refused(route: Route) -> None:
        asked = "compare" in (route.request.post_data or "")
        route.fulfill(status=429, body="{}") if asked else route.fallback()

    page.route("**/component_server**", refused)
    page.get_by_label("W_hh 1, 1", exact=True).fill("7")
    expect(page.locator("#hand .agree")).to_have_text(say("en", "foundations.no_answer"))
    page.unroute("**/component_server**")
    page.get_by_label("W_hh 1, 1", exact=True).fill("8")
    expect(page.locator("#hand .agree")).to_contain_text("agree")


# ---- gradients and patterns -------------------------------------------------------------


def test_the_radius_decides_whether_gradients_vanish_or_explode(page: Page) -> None:
    slider = page.get_by_label(say("en", "foundations.gradient.radius"))
    slider.fill("0.5")
    expect(told(page, "gradient")).to_contain_text("tanh: vanishes")
    expect(told(page, "gradient")).to_contain_text("LSTM: stays alive")
    slider.fill("1.5")
    expect(told(page, "gradient")).to_contain_text("ReLU: explodes")
    assert page.locator("#gradient .plots svg").count() == 4


def test_a_pattern_plays_tick_by_tick(page: Page) -> None:
    now = page.locator("#patterns g[data-state=now]")
    later = page.locator("#patterns g[data-state=later]")
    expect(later).to_have_count(0)
    step = page.get_by_role("button", name=say("en", "foundations.patterns.step"))
    step.click()
    expect(now).to_have_count(len(foundations.PATTERNS))
    ticks = [pattern.ticks for pattern in foundations.PATTERNS]
    expect(later).to_have_count(sum(len(t) - 1 for t in ticks))
    step.click()
    expect(now).to_have_count(sum(len(t) > 1 for t in ticks))
    page.get_by_role("button", name=say("en", "foundations.patterns.play")).click()
    expect(later).to_have_count(0)


def test_the_two_pages_lead_to_each_other(page: Page, url: str) -> None:
    page.locator("#patterns a").first.click()
    expect(page).to_have_url(f"{url}/?tab=one_to_many")
    expect(page.locator("#one_to_many-drawing .drawing[data-state=done]")).to_be_attached(timeout=60_000)
    page.get_by_role("link", name=say("en", "foundations.open")).click()
    expect(page.locator("#hand .matrix.h")).to_be_visible()


def test_what_stands_in_a_row_or_a_column_is_aligned(page: Page) -> None:
    for row in page.locator(".presets").all():
        heights = row.locator("button").evaluate_all("all => all.map((button) => button.offsetHeight)")
        assert len(set(heights)) == 1
    figure = page.locator("#patterns figure").nth(1)
    told, link = (figure.locator(tag).evaluate(TEXT_LEFT) for tag in ("p", "a"))
    assert abs(told - link) < 1
    weights = page.locator("#hand .matrix.W_xh")
    assert abs(weights.locator("caption").evaluate(TEXT_LEFT) - weights.locator("input").first.bounding_box()["x"]) < 5


# Where the first letter of an element stands.
TEXT_LEFT = """(node) => {
  const range = document.createRange();
  range.selectNodeContents(node);
  return range.getClientRects()[0].left;
}"""


def test_every_link_leads_to_its_tab(page: Page) -> None:
    links = page.locator("#patterns a").evaluate_all("all => all.map((a) => a.href)")
    tabs = [pattern.tab for pattern in foundations.PATTERNS if pattern.tab]
    assert len(links) == len(tabs) == 4
    for link, tab in zip(links, tabs, strict=True):
        page.goto(link)
        expect(page.locator(f"#{tab}-drawing")).to_be_visible()


def test_the_state_of_the_page_is_in_its_address(page: Page, browser: Browser, url: str) -> None:
    expect(page).to_have_url(f"{url}/foundations")
    cell(page, "x", 2, 1).fill("-2.5")
    page.get_by_role("button", name=say("en", "foundations.preset.time_first"), exact=True).click()
    page.get_by_label(say("en", "foundations.sizes.shape")).fill("(7, 2, 4)")
    page.get_by_label(say("en", "foundations.gradient.radius")).fill("1.5")
    expect(page).to_have_url(
        f"{url}/foundations?x=1_2*-2.5_-1*-1_0.5&sizes=3_5_4_6_1_2_2_0&shape=%287%2C+2%2C+4%29&radius=1.5"
    )
    wanted = state_of(page)
    with browser.new_context(locale="en-GB") as fresh:
        other = fresh.new_page()
        other.goto(page.url)
        expect(other.locator("#sizes table.shapes .shape").first).to_have_text("(7, 2, 4)", timeout=60_000)
        expect(told(other, "gradient")).to_have_text(wanted["gradient"])
        expect(other.locator(".matrix.h td").nth(3)).to_have_text(page.locator(".matrix.h td").nth(3).inner_text())
        assert state_of(other) == wanted
    page.get_by_role("button", name=say("en", "foundations.hand.reset")).click()
    page.get_by_role("button", name=say("en", "foundations.preset.classifier"), exact=True).click()
    page.get_by_label(say("en", "foundations.gradient.radius")).fill("1")
    expect(page).to_have_url(f"{url}/foundations")


def state_of(page: Page) -> dict[str, object]:
    """What the sections show."""
    expect(page.locator("#hand .agree")).to_contain_text("nn.RNN agree")
    return {
        "h": numbers(page, "h"),
        "shapes": shapes(page),
        "formula": page.locator("#sizes .formula").inner_text(),
        "gradient": told(page, "gradient").inner_text(),
    }


@pytest.mark.parametrize("tail", ["x=<b>*_&W_hh=", "sizes=_&radius=x", "sizes=9_9&shape=<script>", "b_h=1e999_1_1_1_1"])
def test_a_spoilt_address_still_opens_the_page(tail: str, page: Page, url: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{url}/foundations?{tail}")
    expect(page.locator("#gradient .curve").first).to_be_attached()
    expect(page.locator(".foundations .told[data-kind=error]")).not_to_have_count(0)
    assert errors == []


def test_another_language_keeps_the_numbers(page: Page) -> None:
    cell(page, "x", 1, 1).fill("0.25")
    expect(told(page, "hand")).to_have_text(say("en", "foundations.reach_first"))
    page.get_by_label("中文", exact=True).check()
    expect(told(page, "hand")).to_have_text(say("zh-CN", "foundations.reach_first"))
    expect(page.locator("#sizes h2")).to_have_text(say("zh-CN", "foundations.sizes.title"))
    assert cell(page, "x", 1, 1).input_value() == "0.25"


@pytest.mark.parametrize(
    ("lang", "scheme", "width"), [("en", "light", 1280), ("zh-CN", "dark", 1280), ("zh-CN", "light", 390)]
)
def test_axe_finds_nothing(browser: Browser, url: str, lang: str, scheme: str, width: int) -> None:
    size = {"width": width, "height": 800}
    with browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{url}/foundations?lang={lang}")
        expect(page.locator("#gradient .curve").first).to_be_attached(timeout=60_000)
        expect(page.locator("#hand .agree")).to_contain_text("nn.RNN")
        page.evaluate(AXE)
        found = page.evaluate("axe.run(document)")
        told = [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found["violations"]]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert told == [], "\n".join(map(str, told))
    assert wide <= 0
