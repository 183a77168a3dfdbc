"""The many-to-one tab in a real browser, with the shipped networks."""

import csv
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from demos import listing
from demos.text import say
from tests.serving import CHROMIUM, chromium, gallery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
VIEW = "#many_to_one-drawing"
DRAWING = "#many_to_one-unrolled .unrolled"
HOSTILE = '<img src=x onerror="window.hit=1">${window.hit=1}{{value}} \u202eabc\u0301 😀</script><script>window.hit=1'


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
    """The tab with its first example drawn."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/?tab=many_to_one&lang=en")
    expect(headline(page)).not_to_be_empty(timeout=60_000)
    yield page
    context.close()


expect.set_options(timeout=30_000)  # the first run loads torch and six networks


def headline(page: Page) -> Locator:
    return page.locator(f"{VIEW} .headline")


def type_in(page: Page, text: str) -> None:
    page.locator("#many_to_one-text textarea").fill(text)


def choose(page: Page, name: str) -> None:
    page.get_by_label(name, exact=True).check()


def positive(text: str, network: str = "one_way") -> float:
    (row,) = listing.verdicts([text], "auto", network)
    return row["positive"]


def percent(text: str) -> str:
    p = positive(text)
    return f"{round(100 * max(p, 1 - p))}"


def test_the_verdict_moves_as_one_types(page: Page) -> None:
    for text in ("I loved this wonderful film.", "I hated this boring film."):
        type_in(page, text)
        side = "Positive" if positive(text) >= 0.5 else "Negative"
        expect(headline(page)).to_contain_text(side)
        expect(headline(page)).to_contain_text(percent(text))
    assert positive("I hated this boring film.") < 0.5 < positive("I loved this wonderful film.")


def test_the_pattern_reads_and_only_the_last_tick_writes(page: Page) -> None:
    type_in(page, "A short and happy tale.")
    expect(page.locator(f"{DRAWING} .column")).to_have_count(6)
    kinds = page.locator(f"{DRAWING} .column").evaluate_all("nodes => nodes.map(node => node.dataset.kind).join('')")
    assert kinds == "RRRRRB"


def test_chinese_is_recognised_and_read_by_its_own_network(page: Page) -> None:
    type_in(page, "味道很好，下次还来！")
    expect(headline(page)).to_contain_text("Positive")
    tokens = page.locator(f"{VIEW} .page").first.locator(".token").all_text_contents()
    assert "".join(tokens) == "味道很好，下次还来！"


def test_a_bag_of_words_cannot_tell_the_order(page: Page) -> None:
    choose(page, "Reversed")
    expect(page.locator(f"{VIEW} .lesson").first).to_contain_text("order")
    choose(page, "Negated")
    expect(page.locator(f"{VIEW} .quote")).to_contain_text("It used to be the best restaurant")
    choose(page, "As typed")
    expect(page.locator(f"{VIEW} .quote")).to_be_hidden()


def test_neutral_words_lengthen_the_way_back(page: Page) -> None:
    before = page.locator(f"{VIEW} .page").first.locator(".token").count()
    page.locator("#many_to_one-fillers input[type=number]").fill("40")
    page.keyboard.press("Enter")
    expect(page.locator(f"{VIEW} .page").first.locator(".token")).to_have_count(before + 40)
    cells = page.locator(f"{VIEW} li.cell").evaluate_all("nodes => nodes.map(node => node.dataset.cell)")
    assert {"rnn", "gru", "lstm", "bilstm"} <= set(cells)


def test_both_directions_are_drawn_with_their_shapes(page: Page) -> None:
    choose(page, "LSTM, both directions")
    expect(page.locator(f"{DRAWING} .shapes")).to_contain_text("(2, 1, H)")
    expect(page.locator(f"{DRAWING} .gutter .row")).to_have_count(4)  # output, backward, forward, input
    expect(page.locator(f"{DRAWING} .skin.last").first).to_be_attached()


def test_a_link_with_a_network_alone_reads_an_example_that_fits(page: Page, url: str) -> None:
    page.goto(f"{url}/?tab=many_to_one&lang=en&network=rnn")
    expect(page.get_by_label("Small vanilla RNN", exact=True)).to_be_checked()
    expect(page.locator(f"{VIEW} .page").first).to_contain_text("Not a single dull moment")


def test_a_word_selected_in_the_text_is_selected_in_the_drawing(page: Page) -> None:
    page.locator(f"{VIEW} .page").first.locator(".token").nth(4).click()
    expect(page.locator(f"{DRAWING} .column[data-selected]")).to_have_attribute("data-t", "4")


@pytest.mark.parametrize(("text", "key"), [("", "error.no_text"), ("?!… 😀", "error.no_words")])
def test_what_cannot_be_read_is_said_in_words(page: Page, text: str, key: str) -> None:
    type_in(page, text)
    expect(page.locator(f"{VIEW} .notice")).to_have_text(say("en", key))
    expect(headline(page)).not_to_be_empty()


def test_of_a_very_long_text_the_rest_is_named_as_unread(page: Page) -> None:
    type_in(page, "good " * 20_000)
    expect(page.locator(f"{VIEW} .notice")).to_contain_text("1000 words and pieces were read")


def test_visitors_text_never_runs(page: Page) -> None:
    type_in(page, HOSTILE)
    expect(page.locator(f"{VIEW} .page").first).to_contain_text("onerror")
    page.get_by_text("Many texts at once").click()
    page.locator("#many_to_one-lines textarea").fill(HOSTILE)
    page.get_by_role("button", name="Read all").click()
    expect(page.locator("#many_to_one-many")).to_contain_text("1 texts")
    assert page.evaluate("window.hit") is None


def test_a_list_becomes_a_table_and_a_file(page: Page) -> None:
    lines = ["Terrible service.", "很好吃！", "!!!", "=1+1 is great"]
    page.get_by_text("Many texts at once").click()
    page.locator("#many_to_one-lines textarea").fill("\n".join(lines))
    page.get_by_role("button", name="Read all").click()
    expect(page.locator("#many_to_one-many")).to_contain_text("4 texts")
    with page.expect_download() as download:
        page.get_by_text("Take the table home").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
    assert [row["text"] for row in rows] == [*lines[:3], "'" + lines[3]]
    assert [row["label"] for row in rows][:3] == ["negative", "positive", ""]


def test_a_binary_file_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    page.get_by_text("Many texts at once").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="upload").click()
    chooser.value.set_files(tmp_path / "a.csv")
    page.locator(".file-preview", has_text="a").wait_for()
    page.get_by_role("button", name="Read all").click()
    expect(page.locator("#many_to_one-many")).to_have_text(say("en", "error.binary"))


def test_another_language_keeps_what_was_typed(page: Page) -> None:
    type_in(page, "Not bad.")
    page.get_by_label("中文").check()
    expect(headline(page)).to_contain_text("面")
    assert page.locator("#many_to_one-text textarea").input_value() == "Not bad."


@pytest.mark.parametrize(
    ("lang", "scheme", "width"), [("en", "light", 1280), ("zh-CN", "dark", 1280), ("en", "light", 390)]
)
def test_axe_finds_nothing(browser: Browser, url: str, lang: str, scheme: str, width: int) -> None:
    size = {"width": width, "height": 800}
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{url}/?tab=many_to_one&lang={lang}")
    expect(headline(page)).not_to_be_empty(timeout=60_000)
    expect(page.locator(f"{DRAWING} .stale")).to_have_count(0)
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document)")
    told = [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found["violations"]]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert told == [], "\n".join(map(str, told))
    assert wide <= 0


def test_the_page_says_where_a_run_was_computed(page: Page) -> None:
    type_in(page, "A short and happy tale.")
    expect(page.locator(f"{DRAWING} .ran")).to_contain_text("NumPy on the ")
    expect(page.locator(f"{DRAWING} .ran")).to_contain_text("What each word adds: ")
