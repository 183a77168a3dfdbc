"""The tools for a lecture in a real browser: links, code, handout, presenter's view, prediction, experiments."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import axe_playwright_python
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from demos import discover
from demos.base import Demo
from demos.text import LANGUAGES, say
from demos.tours import all_tours
from tests.serving import CHROMIUM, chromium, gallery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
DEMOS = {demo.name: demo for demo in discover()}
EVERY = pytest.mark.parametrize("demo", DEMOS.values(), ids=lambda demo: demo.name)
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gallery() as address:
        yield address


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A second process, as after a restart."""
    with gallery() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        locale="en-GB", viewport={"width": 1280, "height": 720}, reduced_motion="reduce", accept_downloads=True
    )
    context.set_default_timeout(60_000)
    yield context
    context.close()


def opened(context: BrowserContext, address: str, name: str) -> Page:
    page = context.new_page()
    page.goto(address)
    ready(page, name)
    return page


def ready(page: Page, name: str) -> None:
    expect(page.locator(f"#{name}-drawing .drawing[data-state=done]")).to_be_attached(timeout=180_000)


def tool(page: Page, name: str, key: str) -> Locator:
    return page.locator(f"#{name}-drawing").get_by_role("button", name=say("en", f"lecture.{key}"), exact=True)


def transport(page: Page, name: str) -> Locator:
    """Which tick of how many is selected."""
    return page.locator(f"#{name}-unrolled .transport .place")


def drawn(page: Page, name: str) -> list[str]:
    """The written words and the selected tick, as the drawing shows them."""
    chips = page.locator(f"#{name}-unrolled .columns text, #{name}-unrolled .scroller text").all_text_contents()
    return [*chips, transport(page, name).inner_text()]


def link_of(page: Page, name: str) -> str:
    tool(page, name, "share").click()
    link = page.locator(f"#{name}-drawing dialog.share input").input_value()
    tool(page, name, "close").click()
    return link


def inputs_of(demo: Demo) -> dict[str, object]:
    """An experiment of this page's that sets more than a text, or its second example."""
    sets = [tour.inputs for tour in all_tours() if tour.demo == demo.name] + [dict(demo.examples[1])]
    return max(sets, key=len)


# ---- links ------------------------------------------------------------------------------


@EVERY
def test_a_link_opens_the_very_same_drawing_in_another_browser(demo: Demo, context: BrowserContext, url: str) -> None:
    number = next(i for i, t in enumerate(t for t in all_tours() if t.demo == demo.name) if t.inputs == inputs_of(demo))
    page = opened(context, f"{url}/?tab={demo.name}&lang=en", demo.name)
    set_up(page, demo.name, number)
    page.locator(f"#{demo.name}-unrolled .transport .first").click()
    page.locator(f"#{demo.name}-unrolled .transport .forward").click()
    expect(transport(page, demo.name)).to_have_text(re.compile(r"^2 / "))
    wanted = drawn(page, demo.name)
    link = link_of(page, demo.name)
    expect(page).to_have_url(link)  # the address itself says the same
    with context.browser.new_context(
        locale="zh-CN", viewport={"width": 1280, "height": 720}, reduced_motion="reduce"
    ) as fresh:  # while the drawing still glides, other columns are drawn
        other = opened(fresh, link, demo.name)
        expect(transport(other, demo.name)).to_have_text(re.compile(r"^2 / "))
        assert drawn(other, demo.name) == wanted


def set_up(page: Page, name: str, number: int) -> None:
    """One click on an experiment."""
    page.locator(f"#{name}-tours").get_by_role("button", name=say("en", "label.tours")).click()
    before, stage = page.url, page.locator(f"#{name}-drawing .drawing")
    old = stage.get_attribute("data-wrote") or ""
    page.locator(f"#{name}-tours .tour button").nth(number).click()
    expect(page).not_to_have_url(before)
    expect(stage).not_to_have_attribute("data-wrote", old, timeout=180_000)  # until then the drawing is the old one
    ready(page, name)


def test_an_experiment_opens_the_settings_that_it_sets(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=one_to_many&lang=en", "one_to_many")
    share = page.locator("#one_to_many-mix")
    expect(share).to_be_hidden()
    names = [tour.name for tour in all_tours() if tour.demo == "one_to_many"]
    page.locator("#one_to_many-tours").get_by_role("button", name=say("en", "label.tours")).click()
    page.locator("#one_to_many-tours .tour button").nth(names.index("one_to_many.4-mixed")).click()
    expect(share).to_be_visible()
    expect(share).to_contain_text(say("en", "input.mix"))


def test_a_link_is_copied_without_a_secure_address(context: BrowserContext, url: str) -> None:
    context.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    tool(page, "many_to_one", "share").click()
    dialog = page.locator("#many_to_one-drawing dialog.share")
    tool(page, "many_to_one", "copy").click()
    expect(dialog).to_contain_text(say("en", "lecture.copied"))
    link = dialog.locator("input").input_value()
    tool(page, "many_to_one", "close").click()
    page.locator("#many_to_one-text textarea").fill("")
    page.locator("#many_to_one-text textarea").press("Control+V")
    assert page.locator("#many_to_one-text textarea").input_value() == link


@EVERY
def test_a_link_opens_the_very_same_drawing_from_another_process(
    demo: Demo, context: BrowserContext, url: str, elsewhere: str
) -> None:
    """With a followed unit, in Chinese, in the presenter's view: every column with every number that it draws."""
    page = opened(context, f"{url}/?tab={demo.name}&lang=en", demo.name)
    set_up(page, demo.name, 0)
    page.locator(f"#{demo.name}-unrolled .map.h .cells").first.click(position={"x": 12, "y": 12})
    page.locator(f"#{demo.name}-unrolled .transport .first").click()
    page.locator(f"#{demo.name}-unrolled .transport .forward").click()
    page.locator("#language").get_by_label("中文").check()
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile(r"lang=zh-CN.*tick=2&unit=\d+\.\d+&present=1$"))
    expect(page.locator(f"#{demo.name}-unrolled .column").first).to_have_attribute("aria-label", re.compile("步"))
    wanted = columns(page, demo.name)
    with context.browser.new_context(
        locale="de-DE", viewport={"width": 1280, "height": 720}, reduced_motion="reduce"
    ) as fresh:
        other = opened(fresh, page.url.replace(url, elsewhere), demo.name)
        expect(other.locator("body.presenting")).to_be_attached()
        expect(other.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(transport(other, demo.name)).to_have_text(re.compile(r"^2 / "))
        assert_alike(columns(other, demo.name), wanted)


def assert_alike(found: list[str], wanted: list[str]) -> None:
    """The same drawing but for roundings: until all networks are open, NumPy multiplies in PyTorch's place."""
    number = re.compile(r"-?\d+(?:\.\d+)?")
    assert [number.sub("0", column) for column in found] == [number.sub("0", column) for column in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert list(map(float, number.findall(one))) == pytest.approx(list(map(float, number.findall(other))), abs=1.01)


def columns(page: Page, name: str) -> list[str]:
    """All that the columns in view draw, once the followed unit's line is there."""
    expect(page.locator(f"#{name}-unrolled .column .dot-value").first).to_be_attached()
    expect(page.locator(f"#{name}-unrolled .scroller")).to_have_js_property("scrollLeft", 0)
    return page.locator(f"#{name}-unrolled .column").evaluate_all("nodes => nodes.map((node) => node.outerHTML)")


def test_a_link_says_only_what_a_page_does_not_open_with(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10", "many_to_many")
    said = parse_qs(urlsplit(link_of(page, "many_to_many")).query)
    assert set(said) == {"tab", "lang", "network", "text", "length", "tick"}


def test_the_address_follows_a_tab_that_is_opened_again(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    for tab in ("one_to_many", "many_to_one", "one_to_many"):
        page.get_by_role("tab", name=say("en", f"tab.{tab}"), exact=True).first.click()
        expect(page).to_have_url(re.compile(f"tab={tab}&"))


def test_a_followed_unit_is_in_the_link(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10&unit=1.37&tick=3", "many_to_many")
    expect(transport(page, "many_to_many")).to_have_text("3 / 14")
    followed = page.locator("#many_to_many-drawing .page.following")
    expect(followed).to_be_attached()
    assert parse_qs(urlsplit(link_of(page, "many_to_many")).query)["unit"] == ["1.37"]


@pytest.mark.parametrize("tail", ["tick=999999", "tick=x&unit=9.9.9", "unit=99.99", "tick=-4", "seed=1e999&length=x"])
def test_a_spoilt_link_still_opens_the_page(tail: str, context: BrowserContext, url: str) -> None:
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{url}/?tab=many_to_many&lang=en&text=KING%3A&{tail}")
    view = page.locator("#many_to_many-drawing")
    expect(view.locator(".drawing[data-state=done], .notice[data-kind=error]").first).to_be_attached()
    assert errors == []


def test_a_branch_is_in_the_link(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10", "many_to_many")
    page.locator("#many_to_many-drawing .token[data-role=written]").nth(2).click()
    page.locator("#many_to_many-drawing .choices button.choice:not([data-here])").first.click()
    expect(page.locator("#many_to_many-drawing .token[data-role=chosen]")).to_have_count(1)
    ready(page, "many_to_many")
    text = "".join(page.locator("#many_to_many-drawing .token").all_text_contents())
    other = opened(context, link_of(page, "many_to_many"), "many_to_many")
    expect(other.locator("#many_to_many-drawing .token[data-role=chosen]")).to_have_count(1)
    assert "".join(other.locator("#many_to_many-drawing .token").all_text_contents()) == text


def test_the_code_on_the_page_is_the_link(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    tool(page, "many_to_one", "share").click()
    code = page.locator("#many_to_one-drawing dialog.share .code svg")
    expect(code).to_be_visible()
    shot = Image.open(io.BytesIO(code.screenshot()))
    assert zxingcpp.read_barcode(shot).text == page.locator("#many_to_one-drawing dialog.share input").input_value()


def test_an_own_photo_stays_behind_and_the_page_says_so(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=one_to_many&lang=en", "one_to_many")
    file = io.BytesIO()
    Image.new("RGB", (90, 60), "teal").save(file, "PNG")
    stage = page.locator("#one_to_many-drawing .drawing")
    before = stage.get_attribute("data-wrote") or ""
    page.locator("#one_to_many-photo input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    expect(stage).not_to_have_attribute("data-wrote", before)
    ready(page, "one_to_many")
    tool(page, "one_to_many", "share").click()
    dialog = page.locator("#one_to_many-drawing dialog.share")
    expect(dialog).to_contain_text(say("en", "lecture.own_photo"))
    assert "data%3A" not in dialog.locator("input").input_value()


def test_what_is_not_in_the_link_is_said(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en", "many_to_many")
    told = page.locator("#many_to_many-drawing dialog.share .hint")
    pending = say("en", "lecture.pending", button=say("en", "button.run.many_to_many"))

    tool(page, "many_to_many", "share").click()
    expect(told).not_to_contain_text(pending)
    tool(page, "many_to_many", "close").click()
    page.locator("#many_to_many-text textarea").fill("KING:")
    tool(page, "many_to_many", "share").click()
    expect(told).to_contain_text(pending)
    tool(page, "many_to_many", "close").click()
    page.locator("#many_to_many-run").click()
    expect(page).to_have_url(re.compile("text=KING"))
    page.locator("#many_to_many-temperature input[type=number]").fill("0.3")
    tool(page, "many_to_many", "share").click()
    expect(told).to_contain_text(pending)


def test_a_list_is_not_in_the_link_and_the_page_says_so(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    told = page.locator("#many_to_one-drawing dialog.share .hint")
    tool(page, "many_to_one", "share").click()
    expect(told).not_to_contain_text(say("en", "lecture.listed"))
    tool(page, "many_to_one", "close").click()
    page.get_by_role("button", name=say("en", "label.many")).click()
    page.locator("#many_to_one-lines textarea").fill("Good.")
    tool(page, "many_to_one", "share").click()
    expect(told).to_contain_text(say("en", "lecture.listed"))


# ---- the handout ------------------------------------------------------------------------


def test_the_handout_is_a_page_of_its_own_and_inert(context: BrowserContext, url: str) -> None:
    text = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%20A%20wonderful%20film."
    page = opened(context, f"{url}/?tab=many_to_one&lang=en&text={text}", "many_to_one")
    tool(page, "many_to_one", "share").click()
    expect(page.locator("#many_to_one-drawing dialog.share .code svg")).to_be_visible()
    with page.expect_download() as download:
        tool(page, "many_to_one", "save").click()
    sheet = download.value.path().read_text("utf-8")
    paper = context.new_page()
    paper.on("dialog", lambda _: pytest.fail("a script ran"))
    paper.set_content(sheet)
    expect(paper.locator("h1")).to_contain_text(say("en", "demo.many_to_one"))
    expect(paper.locator(".result")).to_contain_text("<img src=x onerror=alert(1)> A wonderful film.")
    expect(paper.locator("figure svg").first).to_be_visible()
    expect(paper.locator("footer svg")).to_be_visible()
    assert paper.locator("script, img").count() == 0
    assert "http" not in re.sub(r"http://(www\.w3\.org|127\.0\.0\.1)", "", sheet)


LONG = " ".join(f"{word} {i}" for i, word in enumerate(["good", "bad", "long", "dull", "film"] * 100))  # 1,000 words


@pytest.mark.parametrize(
    ("name", "text"),
    [*((name, "") for name in DEMOS), ("many_to_one", LONG), ("many_to_many", LONG[:800]), ("aligned", LONG[:800])],
)
def test_the_handout_is_one_page(name: str, text: str, context: BrowserContext, url: str) -> None:
    given = f"&text={quote(text)}" if text else ""
    page = opened(context, f"{url}/?tab={name}&lang=en{given}", name)
    paper = handout(page, name)
    pages = re.findall(rb"/Type\s*/Page\b", paper.pdf(format="A4"))
    assert len(pages) == 1
    if name == "many_to_one":
        first = paper.locator("h2 + .verdict")
        expect(first).to_have_text(re.compile(r"(positive|negative), .*%"))


def test_the_handout_of_a_dark_page_is_light(browser: Browser, url: str) -> None:
    context = browser.new_context(color_scheme="dark", reduced_motion="reduce")
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    expect(page.locator("body.dark")).to_have_count(1)
    paper = handout(page, "many_to_one")
    with Image.open(io.BytesIO(paper.locator("figure").screenshot())) as picture:
        shades = picture.convert("L").histogram()
    assert sum(shades[200:]) > 0.8 * sum(shades)
    context.close()


def test_the_handout_lists_what_had_an_effect(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=one_to_many&lang=en", "one_to_many")
    told = handout(page, "one_to_many").locator("table")
    expect(told).to_contain_text(say("en", "input.width"))
    expect(told).not_to_contain_text(say("en", "input.temperature"))
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10", "many_to_many")
    told = handout(page, "many_to_many").locator("table")
    expect(told).to_contain_text(say("en", "input.temperature"))
    expect(told).not_to_contain_text(say("en", "input.form"))


def handout(page: Page, name: str) -> Page:
    """The sheet that is saved, opened in a page of its own."""
    tool(page, name, "share").click()
    with page.expect_download() as download:
        tool(page, name, "save").click()
    paper = page.context.new_page()
    paper.set_content(download.value.path().read_text("utf-8"))
    return paper


# ---- presenter's view -------------------------------------------------------------------


@EVERY
def test_presenting_shows_input_drawing_and_result_on_one_screen(demo: Demo, context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab={demo.name}&lang=en&present=1", demo.name)
    expect(page.locator(".gallery-head")).to_be_hidden()
    expect(page.locator(f"#{demo.name}-examples")).to_be_hidden()
    expect(page.locator(f"#{demo.name}-unrolled .transport")).to_be_in_viewport(ratio=1)
    expect(page.locator(f"#{demo.name}-unrolled .frame")).to_be_in_viewport(ratio=0.99)
    controls = page.locator(".controls:visible")
    expect(controls).to_have_count(0)
    page.keyboard.press("c")
    expect(controls).to_have_count(1)
    page.keyboard.press("c")
    page.keyboard.press("Home")
    page.keyboard.press("f")
    expect(page.locator(".gallery-head")).to_be_visible()
    expect(page).not_to_have_url(re.compile("present"))


def test_a_clicker_steps(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10&tick=5&present=1", "many_to_many")
    expect(transport(page, "many_to_many")).to_have_text("5 / 14")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    expect(transport(page, "many_to_many")).to_have_text("7 / 14")
    page.keyboard.press("PageUp")
    expect(transport(page, "many_to_many")).to_have_text("6 / 14")
    expect(page).to_have_url(re.compile("tick=6"))


def test_letters_that_are_typed_are_no_commands(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    page.locator("#many_to_one-text textarea").press_sequentially("fpcdl")
    expect(page.locator("body.presenting")).to_have_count(0)
    expect(page.locator("#many_to_one-drawing .quiz")).to_be_hidden()
    expect(page.locator("dialog[open]")).to_have_count(0)


@pytest.mark.parametrize("tail", ["", "&present=1"])
def test_the_keys_that_the_buttons_name(tail: str, context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en{tail}", "many_to_one")
    for _ in range(2):
        page.keyboard.press("p")
        expect(page.locator("#many_to_one-drawing .quiz .guesses button").first).to_be_visible()
        page.keyboard.press("p")
        expect(page.locator("#many_to_one-drawing .quiz")).to_be_hidden()
    page.keyboard.press("l")
    expect(page.locator("#many_to_one-drawing dialog.share")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#many_to_one-drawing dialog.share")).to_be_hidden()
    for key, name in (("c", "controls"), ("d", "details")):
        page.keyboard.press(key)
        expect(page.locator(f"body.with-{name}")).to_have_count(len(tail and "1"))
        page.keyboard.press(key)
        expect(page.locator(f"body.with-{name}")).to_have_count(0)


def test_a_control_keeps_its_arrows_and_the_clicker_its_keys(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10&tick=5&present=1", "many_to_many")
    page.keyboard.press("c")
    slider = page.locator("#many_to_many-temperature input[type=range]")
    slider.focus()
    before = float(slider.input_value())
    page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) == pytest.approx(before + 0.05)
    page.locator("#many_to_many-network input").first.focus()
    page.keyboard.press("ArrowDown")
    expect(transport(page, "many_to_many")).to_have_text("5 / 14")
    page.locator("#many_to_many-unrolled .speed").focus()
    page.keyboard.press("PageDown")
    expect(transport(page, "many_to_many")).to_have_text("6 / 14")
    expect(page.locator("#many_to_many-unrolled .speed")).to_have_value("4")


def test_the_text_that_is_judged_stays_in_view(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en&text=Not+bad+at+all.&present=1", "many_to_one")
    given = page.locator("#many_to_one-drawing .given")
    expect(given).to_be_in_viewport()
    expect(given).to_have_text("Not bad at all.")
    page.keyboard.press("PageUp")
    expect(given.locator("mark")).to_have_text("all")
    page.keyboard.press("f")
    expect(given).to_be_hidden()


def test_a_long_text_is_shown_around_the_selected_word(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en&text={quote(LONG[:900])}&tick=80&present=1", "many_to_one")
    expect(page.locator("#many_to_one-drawing .given mark")).to_be_in_viewport(ratio=1)
    expect(page.locator("#many_to_one-drawing .given")).to_have_text(re.compile("^…"))


def test_two_directions_and_the_controls_fit_the_screen(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en&network=two_way&present=1", "many_to_one")
    page.keyboard.press("c")
    expect(page.locator(".controls:visible")).to_be_in_viewport(ratio=1)
    expect(page.locator("#many_to_one-run")).to_be_visible()
    expect(page.locator("#many_to_one-unrolled .transport")).to_be_in_viewport(ratio=1)
    expect(page.locator("#many_to_one-unrolled .frame")).to_be_in_viewport(ratio=0.99)


@EVERY
def test_the_last_row_can_read_the_drawing(demo: Demo, context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab={demo.name}&lang=en&present=1", demo.name)
    labels = page.locator(f"#{demo.name}-unrolled").locator(
        ".column text:not(.letters), .gutter .row > span:last-child"
    )
    page.wait_for_function(
        "(id) => document.getElementById(id).style.getPropertyValue('--least')", arg=f"{demo.name}-unrolled"
    )
    sizes = labels.evaluate_all(
        "nodes => nodes.map((node) => parseFloat(getComputedStyle(node).fontSize) * node.currentCSSZoom)"
    )
    assert min(sizes) >= 14.5
    cut = page.locator(f"#{demo.name}-unrolled .column .letters", has_text="…")
    assert cut.all_text_contents() == []


# ---- predict before reveal --------------------------------------------------------------


def test_the_next_output_waits_for_a_guess(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=5", "many_to_many")
    tokens = page.locator("#many_to_many-drawing .token[data-role=written]")
    written = tokens.all_text_contents()
    tool(page, "many_to_many", "predict").click()
    quiz = page.locator("#many_to_many-drawing .quiz")
    expect(quiz).to_contain_text(say("en", "lecture.ask_read", token=":"))
    expect(tokens).to_have_count(0)
    quiz.get_by_role("button", name="↵", exact=True).click()
    expect(tokens).to_have_count(1)
    expect(quiz).to_contain_text(say("en", "lecture.score", right=1 if written[0] == "↵\n" else 0, of=1))
    tool(page, "many_to_many", "reveal").click()
    expect(tokens).to_have_count(2)
    for _ in range(3):
        tool(page, "many_to_many", "reveal").click()
    expect(quiz).to_contain_text(say("en", "lecture.asked_all"))
    assert tokens.all_text_contents() == written
    tool(page, "many_to_many", "predict").click()
    expect(quiz).to_be_hidden()
    ready(page, "many_to_many")
    assert tokens.all_text_contents() == written


def test_a_clicker_reveals_wherever_the_focus_is(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=10&present=1", "many_to_many")
    page.keyboard.press("p")
    expect(transport(page, "many_to_many")).to_have_text("4 / 4")
    page.locator("#many_to_many-unrolled .transport button").first.focus()
    page.keyboard.press("PageDown")
    expect(transport(page, "many_to_many")).to_have_text("5 / 5")


def test_a_prediction_opens_with_a_first_word(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en&text=Not+bad+at+all.&present=1", "many_to_one")
    page.keyboard.press("p")
    expect(page.locator("#many_to_one-drawing .quiz .ask")).to_contain_text(
        say("en", "lecture.ask_verdict", token="bad")
    )
    expect(transport(page, "many_to_one")).to_have_text("1 / 1")
    expect(page.locator("#many_to_one-drawing .headline")).not_to_have_text(say("en", "verdict.reading"))


@pytest.mark.parametrize("name", ["one_to_many", "many_to_one", "aligned"])
def test_a_clicker_reveals_to_the_end(name: str, context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab={name}&lang=en&present=1", name)
    whole = transport(page, name).inner_text()
    page.keyboard.press("p")
    quiz = page.locator(f"#{name}-drawing .quiz")
    expect(quiz.locator(".guesses button").first).to_be_visible()
    while quiz.locator(".guesses button").count():
        page.keyboard.press("PageDown")
    expect(quiz).to_contain_text(say("en", "lecture.asked_all"))
    expect(transport(page, name)).to_have_text(whole)


# ---- the page's language ----------------------------------------------------------------


def test_another_language_keeps_what_was_typed_and_the_choice(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    box = page.locator("#many_to_one-text textarea")
    box.fill("Not quite finished, this sent")
    page.locator("#language").get_by_label("中文").check()
    expect(page.get_by_role("button", name=say("zh-CN", "lecture.share")).first).to_be_visible()
    assert box.input_value() == "Not quite finished, this sent"
    expect(page).to_have_url(re.compile("lang=zh-CN"))
    again = opened(context, url, "one_to_many")
    expect(again.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(again.get_by_role("button", name=say("zh-CN", "lecture.share")).first).to_be_visible()


def test_what_was_said_follows_the_language(context: BrowserContext, url: str) -> None:
    """A remark, an error, and the line of a guess."""
    page = opened(context, f"{url}/?tab=many_to_many&lang=en&text=%E4%B8%8D%3A&length=5", "many_to_many")
    notice = page.locator("#many_to_many-drawing .notice")
    expect(notice).to_have_text(say("en", "drawing.unknown", characters="“不”"))
    page.locator("#language").get_by_label("中文").check()
    expect(notice).to_have_text(say("zh-CN", "drawing.unknown", characters="“不”"))
    page.locator("#many_to_many-text textarea").fill("")
    page.locator("#many_to_many-run").click()
    expect(notice).to_have_text(say("zh-CN", "error.empty"))
    page.keyboard.press("p")
    page.locator("#many_to_many-drawing .quiz").get_by_role("button", name=say("zh-CN", "lecture.reveal")).click()
    told = page.locator("#many_to_many-drawing .quiz .told")
    expect(told).to_have_text(re.compile("^答案是"))
    page.locator("#language").get_by_label("English").check()
    expect(notice).to_have_text(say("en", "error.empty"))
    expect(told).to_have_text(re.compile("^It was"))


def test_a_list_follows_the_language(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=en", "many_to_one")
    page.get_by_role("button", name=say("en", "label.many")).click()
    page.locator("#many_to_one-lines textarea").fill("Good.\nBad.\n?!")
    page.get_by_role("button", name=say("en", "many.run"), exact=True).click()
    told, table = page.locator("#many_to_one-many"), page.get_by_role("grid").or_(page.locator("table:visible")).first
    expect(told).to_contain_text("1 positive, 1 negative, 1 without")
    bars = page.locator(".vega-embed:visible, [data-testid=bokeh]:visible, .vega-visualization")
    expect(bars).to_contain_text(say("en", "many.distribution"))
    for lang, name in reversed(LANGUAGES.items()):
        page.locator("#language").get_by_label(name).check()
        counts = dict.fromkeys(("positive", "negative", "none"), 1)
        expect(told).to_have_text(say(lang, "many.summary", count=3, **counts).replace("**", ""))
        expect(table).to_contain_text(say(lang, "many.column.verdict"))
        expect(bars).to_contain_text(say(lang, "many.distribution"))
        expect(page.get_by_text(say(lang, "verdict.negative"), exact=True).last).to_be_visible()


def test_the_language_of_a_link_reaches_the_other_page_and_the_window(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=zh-CN", "many_to_one")
    expect(page).to_have_title(say("zh-CN", "gallery.title"))
    page.locator("a.other-page").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page).to_have_title(say("zh-CN", "foundations.title"))
    expect(page.locator("#language").get_by_label("中文")).to_be_checked()
    page.locator("#language").get_by_label("English").check()
    expect(page).to_have_title(say("en", "foundations.title"))
    page.goto(f"{url}/foundations")
    expect(page).to_have_title(say("en", "foundations.title"))


@pytest.mark.parametrize("path", ["", "foundations"])
def test_a_language_chosen_before_the_page_is_there_stays(path: str, context: BrowserContext, url: str) -> None:
    page, held = context.new_page(), []
    page.route("**/gradio_api/run/**", lambda route: held.append(route) if len(held) < 2 else route.continue_())
    with page.expect_request("**/gradio_api/run/**"):
        page.goto(f"{url}/{path}?lang=en")
    page.locator("#language").get_by_label("中文").check()
    for route in held:
        route.continue_()
    expect(page.locator("a.other-page")).to_have_text(say("zh-CN", "foundations.back" if path else "foundations.open"))
    expect(page.locator("#language").get_by_label("中文")).to_be_checked()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


@pytest.mark.parametrize(("locale", "lang", "word"), [("en-GB", "zh-CN", "使用"), ("zh-CN", "en", "Use")])
def test_gradio_s_own_words_follow_the_page_not_the_browser(
    locale: str, lang: str, word: str, browser: Browser, url: str
) -> None:
    with browser.new_context(locale=locale) as context:
        page = opened(context, f"{url}/?tab=one_to_many&lang={lang}", "one_to_many")
        expect(page.locator("footer .show-api")).to_contain_text(word)


def test_without_a_choice_the_next_page_has_the_language_of_the_one_before(context: BrowserContext, url: str) -> None:
    page = opened(context, f"{url}/?tab=many_to_one&lang=zh-CN", "many_to_one")
    page.goto(f"{url}/foundations")
    expect(page).to_have_title(say("zh-CN", "foundations.title"))


@pytest.mark.parametrize(("locale", "lang"), [("zh-TW", "zh-CN"), ("zh-CN", "zh-CN"), ("de-DE", "en")])
def test_the_browser_s_language_decides_at_first(locale: str, lang: str, browser: Browser, url: str) -> None:
    with browser.new_context(locale=locale) as context:
        page = context.new_page()
        page.goto(url)
        expect(page.get_by_role("button", name=say(lang, "lecture.share"), exact=True).first).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", lang)


# ---- how it looks -----------------------------------------------------------------------


def test_rows_and_tables_are_even(context: BrowserContext, url: str) -> None:
    """No frame around a table, no button lower than its neighbours, one right edge in the head, no stray dot."""
    page = opened(context, f"{url}/?tab=many_to_one&lang=en&text=Not+bad+at+all.&change=reversed", "many_to_one")
    rows = page.locator("#many_to_one-drawing .before tr")
    frames = rows.evaluate_all("nodes => nodes.map((node) => getComputedStyle(node).borderLeftWidth)")
    assert set(frames) == {"0px"}
    assert len(tops(page.locator("#many_to_one-unrolled .export button"))) == 1
    boxes = [page.locator(part).first.bounding_box() for part in ("#language .wrap label:last-child", "a.other-page")]
    assert boxes[0]["x"] + boxes[0]["width"] == pytest.approx(boxes[1]["x"] + boxes[1]["width"], abs=1)
    expect(page.locator("footer .divider").last).to_be_hidden()
    page.locator("#many_to_one-tours").get_by_role("button", name=say("en", "label.tours")).click()
    assert len(tops(page.locator("#many_to_one-tours .tour button"))) <= 2  # one a row


def tops(nodes: Locator) -> set[int]:
    """How high these stand."""
    expect(nodes.first).to_be_visible()
    return set(nodes.evaluate_all("nodes => nodes.map((node) => Math.round(node.getBoundingClientRect().top))"))


# ---- for everybody ----------------------------------------------------------------------


@EVERY
def test_axe_finds_nothing_on_the_whole_page(demo: Demo, context: BrowserContext, url: str) -> None:
    """In both languages, light and dark, as it opens and in the presenter's view: one page a demo."""
    page = opened(context, f"{url}/?tab={demo.name}&lang=en", demo.name)
    page.add_style_tag(content="* { transition: none !important; }")  # no colour is caught on its way
    page.evaluate(AXE)
    told = []
    for lang, name in LANGUAGES.items():
        page.locator("#language").get_by_label(name).check()
        expect(page.get_by_role("button", name=say(lang, "lecture.share"), exact=True).first).to_be_visible()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("body.dark")).to_have_count(int(scheme == "dark"))
            for view in ("page", "presenter"):
                told += [(lang, scheme, view, *found) for found in violations(page, demo.name)]
                page.keyboard.press("f")
    assert told == [], "\n".join(map(str, told))


def violations(page: Page, name: str) -> list[tuple[str, ...]]:
    """What axe says of the whole document once the last tick's numbers no longer fade."""
    expect(page.locator(f"#{name}-unrolled .stale")).to_have_count(0)
    found = page.evaluate("axe.run(document)")["violations"]
    return [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["share", "predict", "tours", "present"])
def test_nothing_stands_in_anybodys_way(part: str, scheme: str, browser: Browser, url: str) -> None:
    with browser.new_context(locale="zh-CN", color_scheme=scheme, viewport={"width": 1280, "height": 720}) as context:
        tail = "&present=1" if part == "present" else ""
        page = opened(context, f"{url}/?tab=many_to_one&lang=en{tail}", "many_to_one")
        if part == "tours":
            page.locator("#many_to_one-tours").get_by_role("button", name=say("en", "label.tours")).click()
            expect(page.locator("#many_to_one-tours .tour button").first).to_be_visible()
        elif part != "present":
            tool(page, "many_to_one", part).click()
        if part == "share":
            expect(page.locator("#many_to_one-drawing dialog.share .code svg")).to_be_visible()
        page.evaluate(AXE)
        rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
        parts = ["#many_to_one-drawing", "#many_to_one-tours"]
        found = page.evaluate("([where, rules]) => axe.run({include: where}, rules)", [parts, rules])["violations"]
        told = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found]
        assert told == [], "\n".join(map(str, told))
