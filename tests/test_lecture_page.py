"""The tools for a lecture in a real browser: links, code, handout, presenter's view, prediction, experiments."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import axe_playwright_python
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from demos import discover
from demos.base import Demo
from demos.text import say
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
    expect(page.locator(f"#{name}-drawing .drawing[data-state=done]")).to_be_attached(timeout=60_000)


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
    before = page.url
    page.locator(f"#{name}-tours .tour button").nth(number).click()
    expect(page).not_to_have_url(before)
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
    before = page.url
    page.locator("#one_to_many-photo input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    expect(page).not_to_have_url(before)
    tool(page, "one_to_many", "share").click()
    dialog = page.locator("#one_to_many-drawing dialog.share")
    expect(dialog).to_contain_text(say("en", "lecture.own_photo"))
    assert "data%3A" not in dialog.locator("input").input_value()


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
    page.locator("#many_to_one-text textarea").press_sequentially("fpc")
    expect(page.locator("body.presenting")).to_have_count(0)


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


@pytest.mark.parametrize(("locale", "lang"), [("zh-TW", "zh-CN"), ("zh-CN", "zh-CN"), ("de-DE", "en")])
def test_the_browser_s_language_decides_at_first(locale: str, lang: str, browser: Browser, url: str) -> None:
    with browser.new_context(locale=locale) as context:
        page = context.new_page()
        page.goto(url)
        expect(page.get_by_role("button", name=say(lang, "lecture.share"), exact=True).first).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", lang)


# ---- for everybody ----------------------------------------------------------------------


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
