"""Take the README's screenshots: python -m tests.pictures"""

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


def main() -> None:
    """One picture a view, of the whole page."""
    folder = ROOT / "docs"
    folder.mkdir(exist_ok=True)
    with gallery() as url, chromium() as browser:
        for name, (locale, scheme, width, height, demo, lang) in VIEWS.items():
            size = {"width": width, "height": height}
            page = browser.new_context(locale=locale, color_scheme=scheme, viewport=size).new_page()
            page.goto(f"{url}/?tab={demo}&lang={lang}")
            expect(page.locator(f"#{demo}-drawing .drawing[data-state=done]")).to_be_attached(timeout=60_000)
            if demo == "many_to_many":
                page.locator("#many_to_many-drawing .token[data-role=written]").nth(9).click()
            page.mouse.move(0, 0)
            expect(page.locator(f"#{demo}-unrolled .stale")).to_have_count(0)
            page.screenshot(path=folder / f"{name}.png", full_page="present" not in lang)


if __name__ == "__main__":
    main()
