"""The page, in a real browser, with the shipped networks."""

import math
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from demos import discover
from tests.serving import CHROMIUM, chromium, gallery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
WRITER = "#many_to_many-drawing"
READER = "#aligned-drawing"
HOSTILE = (
    '<img src=x onerror="window.hit=1">${window.hit=1}{{value}}`"\'\\\n\u202eabc\u0301 😀</script><script>window.hit=1'
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gallery() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def opened(page: Page, address: str, drawing: str = WRITER) -> Page:
    page.goto(address if "?" in address else f"{address}/?tab=many_to_many")
    expect(page.locator(f"{drawing} .drawing[data-state=done]")).to_be_attached(timeout=180_000)
    return page


def run(page: Page, name: str = "Write") -> None:
    page.get_by_role("button", name=name, exact=True).click()


def text(page: Page, role: str = "", drawing: str = WRITER) -> str:
    chosen = f"[data-role={role}]" if role else ""
    return "".join(page.locator(f"{drawing} .token{chosen}").all_text_contents())


def test_an_example_stands_on_the_page_and_nothing_is_asked_from_elsewhere(page: Page, url: str) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    opened(page, url)
    assert text(page, "read") == "First Citizen:↵\n"
    assert len(text(page, "written")) >= 200
    assert errors == []
    assert [u for u in asked if not u.startswith((url, "data:", "blob:"))] == []


def test_characters_arrive_one_after_another(page: Page, url: str) -> None:
    opened(page, url)
    page.evaluate(
        """() => {
          window.counts = [];
          const target = document.querySelector('#many_to_many-drawing .page');
          new MutationObserver(() => window.counts.push(target.children.length)).observe(target, {childList: true});
        }"""
    )
    page.locator("#many_to_many-text textarea").fill("ROMEO:\n")
    run(page)
    expect(page.locator(f"{WRITER} .token[data-role=read]")).to_have_count(7)
    expect(page.locator(f"{WRITER} .drawing[data-state=done]")).to_be_attached()
    counts = page.evaluate("window.counts")
    growing = [n for n in counts if n > 0]
    assert len(set(growing)) >= 10
    assert text(page, "read") == "ROMEO:↵\n"


def test_a_click_shows_the_candidates_that_the_network_had(page: Page, url: str) -> None:
    opened(page, url)
    page.locator(f"{WRITER} .token[data-role=written]").nth(5).click()
    rows = page.locator(f"{WRITER} .choices .choice")
    expect(rows.first).to_be_visible()
    shown = [float(p) for p in rows.evaluate_all("rows => rows.map(row => row.dataset.probability)")][:10]
    demo = next(d for d in discover() if d.name == "many_to_many")
    steps = [s for s in demo.steps(**demo.check(demo.examples[0])) if s.written is not None]
    assert shown == pytest.approx([c.probability for c in steps[5].candidates], abs=1e-4)


def test_choosing_another_character_branches_there(page: Page, url: str) -> None:
    opened(page, url)
    before = text(page, "written")
    page.locator(f"{WRITER} .token[data-role=written]").nth(5).click()
    other = page.locator(f"{WRITER} .choices button.choice:not([data-here])").first
    token = other.get_attribute("data-token")
    other.click()
    chosen = page.locator(f"{WRITER} .token[data-role=chosen]")
    expect(chosen).to_have_count(1)
    expect(page.locator(f"{WRITER} .drawing[data-state=done]")).to_be_attached()
    assert (chosen.text_content() or "").startswith(token if token != "\n" else "↵")
    after = "".join(page.locator(f"{WRITER} .token:not([data-role=read])").all_text_contents())
    assert after[:5] == before[:5]
    assert after[5:40] != before[5:40]


def test_continue_goes_on_where_it_stopped(page: Page, url: str) -> None:
    opened(page, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=40&seed=3")
    first = text(page, "written")
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.locator(f"{WRITER} .token[data-role=written]")).to_have_count(80)
    assert text(page, "written").startswith(first)
    demo = next(d for d in discover() if d.name == "many_to_many")
    whole = demo.steps(**demo.check({"text": "KING:", "length": 80, "seed": 3}))
    written = "".join(s.written or "" for s in whole)
    assert text(page, "written").replace("↵", "") == written


def test_stop_ends_a_run_and_it_can_go_on(page: Page, url: str) -> None:
    opened(page, f"{url}/?tab=many_to_many&lang=en&text=KING%3A&length=2000&seed=3&network=hongloumeng")
    run(page)
    expect(page.locator(f"{WRITER} .drawing[data-state=running]")).to_be_attached()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_visible()


def test_a_link_opens_the_very_same_text_again(page: Page, url: str) -> None:
    link = f"{url}/?tab=many_to_many&lang=en&text=JULIET%3A%0A&seed=11&length=60&temperature=1.2"
    first = text(opened(page, link))
    assert text(opened(page, link)) == first
    assert first.startswith("JULIET:↵\n")


def test_a_link_opens_the_tab_that_it_names(page: Page, url: str) -> None:
    opened(page, f"{url}/?tab=aligned&lang=en&text=To+be,+or+not", READER)
    expect(page.get_by_role("tab", name="Read a text")).to_have_attribute("aria-selected", "true")
    assert text(page, drawing=READER) == "To be, or not"


def test_reading_a_text_shows_the_mean_surprise_that_the_network_measures(page: Page, url: str) -> None:
    opened(page, url)
    page.get_by_role("tab", name="Read a text").click()
    own = page.locator("#aligned-text textarea")
    own.fill("Recurrent networks read this.")
    run(page, "Read")
    expect(page.locator(f"{READER} .token")).to_have_count(29)
    expect(page.locator(f"{READER} .drawing[data-state=done]")).to_be_attached()
    demo = next(d for d in discover() if d.name == "aligned")
    bits = [s.surprise for s in demo.steps("Recurrent networks read this.") if s.surprise is not None]
    said = page.locator(f"{READER} .status").text_content() or ""
    assert f"{math.fsum(bits) / len(bits):.2f} bits" in said


def test_hostile_text_is_shown_as_typed_and_never_runs(page: Page, url: str) -> None:
    opened(page, url)
    page.locator("#many_to_many-text textarea").fill(HOSTILE)
    run(page)
    expect(page.locator(f"{WRITER} .token[data-role=read]")).to_have_count(len(HOSTILE))
    expect(page.locator(f"{WRITER} .drawing[data-state=done]")).to_be_attached()
    assert page.evaluate("window.hit") is None
    assert text(page, "read").replace("↵", "") == normalised(HOSTILE)
    expect(page.locator(f"{WRITER} .notice")).to_contain_text("never saw")


def normalised(typed: str) -> str:
    import models

    return models.load("charlm/shakespeare").normalise(typed)


@pytest.mark.parametrize(
    ("language", "typed", "sentence"),
    [("en", "", "Please give the network something to read"), ("zh-CN", "", "请先给网络一点可读的内容")],
)
def test_an_error_is_a_sentence_and_the_drawing_stays(
    page: Page, url: str, language: str, typed: str, sentence: str
) -> None:
    opened(page, f"{url}/?tab=many_to_many&lang={language}")
    page.locator("#many_to_many-network input[value=shakespeare]").check()
    box = page.locator("#many_to_many-text textarea")
    expect(box).to_have_value("First Citizen:\n")  # the beginning that comes with this network
    stood = text(page)
    box.fill(typed)
    run(page, {"en": "Write", "zh-CN": "开始写"}[language])
    expect(page.locator(f"{WRITER} .notice")).to_contain_text(sentence)
    assert text(page) == stood


def test_the_language_switches_on_the_page_and_nothing_typed_is_lost(page: Page, url: str) -> None:
    opened(page, url)
    box = page.locator("#many_to_many-text textarea")
    box.fill("What I typed")
    page.get_by_label("中文").check()
    expect(page.get_by_role("button", name="开始写", exact=True)).to_be_visible()
    expect(page.locator(f"{WRITER} .status")).to_contain_text("比特")
    assert box.input_value() == "What I typed"
    assert not re.search(r"[A-Za-z]{12,}", page.locator(".lead").first.text_content() or "")
    page.reload()
    expect(page.get_by_role("button", name="开始写", exact=True)).to_be_visible()


def test_the_browsers_language_decides_at_first(browser: Browser, url: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = opened(context.new_page(), url)
    expect(page.get_by_role("button", name="开始写", exact=True)).to_be_visible()
    assert "五绝" in text(page)
    context.close()


def test_a_phone_shows_everything_within_its_width(browser: Browser, url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = opened(context.new_page(), url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
