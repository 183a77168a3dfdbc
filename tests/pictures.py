"""Take the README's screenshots: python -m tests.pictures"""

from playwright.sync_api import expect

from tests.serving import ROOT, chromium, gallery

VIEWS = {
    "many-to-many": ("en-GB", "light", 1280, 720, "/?lang=en"),
    "many-to-many-zh": ("zh-CN", "dark", 1280, 720, "/?lang=zh-CN"),
    "phone": ("zh-CN", "light", 390, 844, "/?lang=zh-CN"),
}


def main() -> None:
    """One picture a view, of the whole page."""
    folder = ROOT / "docs"
    folder.mkdir(exist_ok=True)
    with gallery() as url, chromium() as browser:
        for name, (locale, scheme, width, height, link) in VIEWS.items():
            size = {"width": width, "height": height}
            page = browser.new_context(locale=locale, color_scheme=scheme, viewport=size).new_page()
            page.goto(url + link)
            expect(page.locator("#many_to_many-drawing .drawing[data-state=done]")).to_be_attached(timeout=60_000)
            page.locator("#many_to_many-drawing .token[data-role=written]").nth(9).click()
            page.mouse.move(0, 0)
            expect(page.locator("#many_to_many-unrolled .stale")).to_have_count(0)
            page.screenshot(path=folder / f"{name}.png", full_page=True)


if __name__ == "__main__":
    main()
