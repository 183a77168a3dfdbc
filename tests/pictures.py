"""Take the README's screenshots: python -m tests.pictures

With a folder, `python -m tests.pictures FOLDER`, those and all that a hall sees, to look at: nothing is
written to docs/."""

import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.serving import ROOT, chromium, gallery

VIEWS = {
    "many-to-many": ("en-GB", "light", 1280, 720, "many_to_many", "en"),
    "many-to-many-zh": ("zh-CN", "dark", 1280, 720, "many_to_many", "zh-CN"),
    "one-to-many": ("en-GB", "light", 1280, 720, "one_to_many", "en"),
    "one-to-many-zh": ("zh-CN", "dark", 1280, 720, "one_to_many", "zh-CN"),
    "many-to-one": ("en-GB", "light", 1280, 720, "many_to_one", "en"),
    "many-to-one-zh": ("zh-CN", "dark", 1280, 720, "many_to_one", "zh-CN"),
    "presenter": ("en-GB", "dark", 1280, 720, "many_to_one", "en&present=1"),
    "phone": ("zh-CN", "light", 390, 844, "many_to_many", "zh-CN"),
}
HALL = {
    f"presenter-{demo}{'-quiz' if quiz else ''}": ("en-GB", "light", 1280, 720, demo, f"{lang}&present=1")
    for demo, lang, quiz in (
        ("one_to_many", "en", False),
        ("many_to_one", "zh-CN", False),
        ("many_to_many", "en", False),
        ("aligned", "zh-CN", False),
        ("many_to_one", "en", True),
    )
}


def main(folder: str = "") -> None:
    """One picture a view, of the whole page."""
    where = Path(folder) if folder else ROOT / "docs"
    where.mkdir(parents=True, exist_ok=True)
    with gallery() as url, chromium() as browser:
        for name, (locale, scheme, width, height, demo, lang) in (VIEWS | HALL if folder else VIEWS).items():
            size = {"width": width, "height": height}
            page = browser.new_context(locale=locale, color_scheme=scheme, viewport=size).new_page()
            page.goto(f"{url}/?tab={demo}&lang={lang}")
            expect(page.locator(f"#{demo}-drawing .drawing[data-state=done]")).to_be_attached(timeout=60_000)
            if demo == "many_to_many":
                page.locator("#many_to_many-drawing .token[data-role=written]").nth(9).click()
            if name.endswith("quiz"):
                page.keyboard.press("p")
            page.mouse.move(0, 0)
            expect(page.locator(f"#{demo}-unrolled .stale")).to_have_count(0)
            page.screenshot(path=where / f"{name}.png", full_page="present" not in lang)


if __name__ == "__main__":
    main(*sys.argv[1:])
