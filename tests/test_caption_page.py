"""The one-to-many tab in a real browser, with the shipped network."""

import io
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from demos import photos
from demos.one_to_many import DEMO, caption
from demos.text import say
from tests.serving import CHROMIUM, chromium, gallery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
VIEW = "#one_to_many-drawing"
DRAWING = "#one_to_many-unrolled .unrolled"
FIRST = DEMO.examples[0]["photo"]
SECOND = next(e["photo"] for e in DEMO.examples if e["photo"] != FIRST)


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
    page.goto(f"{url}/?tab=one_to_many&lang=en")
    expect(said(page)).to_have_text(said_of(FIRST), timeout=60_000)
    yield page
    context.close()


expect.set_options(timeout=30_000)  # the first run loads torch and the network


def said(page: Page) -> Locator:
    """The caption's words, and the end."""
    return page.locator(f"{VIEW} .page .token b")


def said_of(photo: str, **values: object) -> list[str]:
    """What stands on the page for a photo."""
    end = say("en", "caption.end")
    return [w["word"] for w in list(caption(photo, **values))[-1]["words"]] + [end]


def upload(page: Page, name: str, raw: bytes) -> None:
    page.locator("#one_to_many-photo input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/jpeg", "buffer": raw}
    )


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def choose(page: Page, name: str) -> None:
    page.locator("#one_to_many-method, #one_to_many-language").get_by_label(name, exact=True).check()


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f"#one_to_many-{name} input[type=number]").fill(str(value))
    page.keyboard.press("Enter")


def test_an_example_is_captioned_when_it_is_clicked(page: Page) -> None:
    number = [e["photo"] for e in DEMO.examples].index(SECOND)
    page.locator("#one_to_many-examples button:has(img), #one_to_many-examples td:has(img)").nth(number).click()
    expect(said(page)).to_have_text(said_of(SECOND))
    expect(page.locator(f"{VIEW} .photo img")).to_have_attribute("src", photos.shown(SECOND))


def test_the_first_tick_reads_the_photo_and_every_other_one_writes(page: Page) -> None:
    columns = page.locator(f"{DRAWING} .column")
    page.get_by_role("button", name="First tick").nth(0).click()
    expect(columns.first.locator("image")).to_have_count(1)
    kinds = columns.evaluate_all("nodes => nodes.map(node => node.dataset.kind).join('')")
    assert kinds[0] == "R"
    assert set(kinds[1:]) == {"W"}


def test_an_uploaded_photo_is_captioned_at_once(page: Page) -> None:
    path = photos.FOLDER / f"{SECOND}.jpg"
    upload(page, "mine.png", file_of(Image.open(path), "PNG"))
    again = photos.opened(file_of(Image.open(path), "PNG"))
    expect(said(page)).to_have_text(said_of(again))


def test_chinese_and_greedy_are_one_click_each(page: Page) -> None:
    choose(page, "Chinese")
    expect(said(page)).to_have_text(said_of(FIRST, language="zh"))
    expect(page.locator(f"{VIEW} .tree")).to_be_visible()
    choose(page, "Greedy: always the likeliest")
    expect(said(page)).to_have_text(said_of(FIRST, language="zh", method="greedy"))
    expect(page.locator(f"{VIEW} .tree")).to_be_hidden()


def test_a_word_is_exchanged_and_the_caption_goes_on(page: Page) -> None:
    said(page).nth(1).click()
    other = page.locator(f"{VIEW} .choice:not([data-here])").first
    word = other.get_attribute("data-token")
    other.click()
    expect(said(page).nth(1)).to_have_text(word)
    expect(page.locator(f"{VIEW} .token").nth(1)).to_have_attribute("data-chosen", "")
    expect(said(page).last).to_have_text(say("en", "caption.end"))


def test_a_chosen_word_shows_where_its_evidence_lies(page: Page) -> None:
    said(page).nth(1).click()
    expect(page.locator(f"{VIEW} figcaption")).to_contain_text(said(page).nth(1).text_content())
    expect(page.locator(f"{VIEW} .photo canvas")).to_be_visible()
    page.get_by_label(say("en", "caption.heat_toggle")).uncheck()
    expect(page.locator(f"{VIEW} .photo canvas")).to_be_hidden()
    expect(page.locator(f"{DRAWING} .column[data-selected]")).to_have_attribute("data-t", "2")


def test_erasing_the_photo_flattens_the_curve(page: Page) -> None:
    slide(page, "erase", 1)
    expect(page.locator(f"{VIEW} .token").nth(1)).to_have_attribute("data-erased", "")
    figures = page.locator(f"{VIEW} .token i").all_text_contents()[1:]
    assert {text.lstrip("+−") for text in figures} == {"0.0"}


def test_the_tree_grows_with_the_transport(page: Page) -> None:
    beams, results = page.locator(f"{VIEW} .beam"), page.locator(f"{VIEW} .tree tbody tr")
    whole = beams.count()
    expect(results).to_have_count(results.count())
    page.get_by_role("button", name="First tick").nth(0).click()
    page.get_by_role("button", name="One tick forward").nth(0).click()
    page.get_by_role("button", name="One tick forward").nth(0).click()
    expect(page.locator(f"{DRAWING} .column[data-selected]")).to_have_attribute("data-t", "2")
    assert 0 < beams.count() < whole
    expect(page.locator(f"{VIEW} .beam.greedy").first).to_be_attached()


def test_two_photos_mix(page: Page) -> None:
    page.get_by_text("More settings", exact=True).locator("visible=true").click()
    page.locator("#one_to_many-other input[type=file]").set_input_files(str(photos.FOLDER / f"{SECOND}.jpg"))
    slide(page, "mix", 1)
    expect(said(page)).to_have_text(said_of(SECOND))


def test_a_link_opens_the_same_caption(page: Page, url: str) -> None:
    page.goto(f"{url}/?tab=one_to_many&lang=en&photo={SECOND}&method=sample&temperature=1.2&seed=7")
    expect(said(page)).to_have_text(said_of(SECOND, method="sample", temperature=1.2, seed=7))


@pytest.mark.parametrize(
    ("raw", "key", "values"),
    [
        (b"", "error.photo.empty", {}),
        (b"%PDF-1.7\n" + bytes(900), "error.photo.kind", {"kind": "PDF"}),
        (b"<svg><script>window.hit=1</script></svg>", "error.photo.kind", {"kind": "SVG"}),
        (file_of(Image.new("RGB", (500, 500), "red"), "PNG")[:700], "error.photo.broken", {}),
        (b"hello", "error.photo.none", {}),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_said_in_words(page: Page, raw: bytes, key: str, values: dict) -> None:
    before = said(page).all_text_contents()
    upload(page, "photo.jpg", raw)
    expect(page.locator(f"{VIEW} .notice")).to_have_text(say("en", key, **values))
    assert said(page).all_text_contents() == before
    assert page.evaluate("window.hit") is None


def test_a_huge_file_is_refused_before_it_travels(page: Page, tmp_path: Path) -> None:
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(200_000_000)
    page.locator("#one_to_many-photo input[type=file]").set_input_files(huge)
    expect(page.locator(f"{VIEW} .notice")).to_have_text(say("en", "error.photo.file_too_large", limit=20))
    expect(said(page)).to_have_text(said_of(FIRST))


def test_noise_is_said_to_be_strange_and_a_moving_picture_to_move(page: Page) -> None:
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (300, 300, 3), dtype=np.uint8)) for i in (0, 1)]
    upload(page, "noise.png", file_of(noise[0]))
    expect(page.locator(f"{VIEW} .notice")).to_contain_text(say("en", "hint.photo.far"))
    upload(page, "moving.gif", file_of(noise[0], "GIF", save_all=True, append_images=noise[1:]))
    expect(page.locator(f"{VIEW} .notice")).to_contain_text(say("en", "hint.photo.animated"))


def test_another_language_of_the_page_keeps_the_photo_and_its_caption(page: Page) -> None:
    before = said(page).all_text_contents()[:-1]
    page.get_by_label("中文", exact=True).check()
    expect(said(page)).to_have_text([*before, say("zh-CN", "caption.end")])
    expect(page.locator(f"{VIEW} .matter h2")).to_have_text(say("zh-CN", "caption.matter.title"))


@pytest.mark.parametrize(
    ("lang", "scheme", "width"), [("en", "light", 1280), ("zh-CN", "dark", 1280), ("en", "light", 390)]
)
def test_axe_finds_nothing(browser: Browser, url: str, lang: str, scheme: str, width: int) -> None:
    size = {"width": width, "height": 800}
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{url}/?tab=one_to_many&lang={lang}")
    expect(page.locator(f"{VIEW} .drawing[data-state=done]")).to_be_attached(timeout=60_000)
    expect(page.locator(f"{VIEW} .photo canvas")).to_be_visible()
    expect(page.locator(f"{DRAWING} .stale")).to_have_count(0)
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document)")
    told = [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found["violations"]]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert told == [], "\n".join(map(str, told))
    assert wide <= 0
