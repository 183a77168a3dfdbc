"""From the click to the paint, in Chromium: python -m benchmarks.page

On each tab the run's button is clicked again and again on a warm page, and the page itself notes
when the first output of the new run has been painted: the verdict, the first character, the first
word. The gallery keeps nothing of what it computed, so that each click costs what a new text or a new
photo costs. An echo handler in a Gradio page of its own, measured in the same way and in turn, shows
how much of it is Gradio's. Also what a first visit transfers, and that all of it comes from here.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, Request

from benchmarks.results import Bound, save
from tests.serving import chromium, free_port, process_of

TIMES = 21  # clicks
FRESH = """
import sys
import app
from demos import one_to_many, photos, sentences
run, kept = app.trace, (sentences.analysis, one_to_many.encoding_of, photos.pixels_of)
def fresh(*given):
    for function in kept:
        function.cache_clear()
    yield from run(*given)
app.trace = fresh
app.main()
"""
PAUSE = 3000  # milliseconds between two clicks of a visitor: the drawing asks for more after a run
ECHO = """
import time
import gradio as gr
with gr.Blocks() as page:
    box, button, out = gr.Textbox("a"), gr.Button("go"), gr.HTML(html_template="<p class='out'>${value}</p>", value="")
    button.click(lambda text: f"{text} {time.time()}", box, out, show_progress="hidden")
page.launch()
"""
# Click, then wait until an attribute or a text has changed, and until the frame that begins then has been painted.
CLICK = """([button, place, name]) => new Promise((resolve) => {
  const node = document.querySelector(place), mark = () => node.dataset[name] ?? node.textContent;
  const before = mark(), begun = performance.now();
  document.querySelector(button).click();
  const look = () => {
    if (mark() === before) requestAnimationFrame(look);
    else setTimeout(() => resolve(performance.now() - begun)); // after this frame's painting
  };
  look();
})"""
TABS = {  # what is waited for -> the demo, and a link to a state of it
    "verdict": ("many_to_one", "?tab=many_to_one&lang=en&text=Not+bad+at+all."),
    "first_character": ("many_to_many", "?tab=many_to_many&lang=en&text=ROMEO%3A&length=300"),
    "first_word": ("one_to_many", "?tab=one_to_many&lang=en&photo=football"),
}
BOUNDS = {
    "first_visit_foreign_hosts": Bound(most=0),
    "verdict_median_ms": Bound(most=150),
    "first_character_median_ms": Bound(most=150),
    "first_word_median_ms": Bound(most=400),
}


@contextmanager
def echo() -> Iterator[str]:
    """The echo page as a process of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "echo.py"
        script.write_text(ECHO)
        settings = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
        process = subprocess.Popen([sys.executable, script], env=settings, stdout=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def opened(browser: Browser, url: str, ready: str) -> Page:
    """A page once it is up, in a window of its own."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    while True:
        try:
            urlopen(url).close()
            break
        except OSError:
            page.wait_for_timeout(100)
    page.goto(url)
    page.wait_for_selector(ready, state="attached", timeout=60_000)
    return page


@contextmanager
def fresh() -> Iterator[str]:
    """The gallery without what it keeps of earlier runs."""
    with process_of({}, program=("-c", FRESH)) as (url, _):
        yield url


def clicked(page: Page, ready: str, places: list[str]) -> float:
    """Milliseconds of one click on a page at rest. Nothing else computes or draws meanwhile: the run that
    it begins has ended before another page is clicked."""
    page.bring_to_front()
    page.wait_for_timeout(PAUSE)
    took = page.evaluate(CLICK, places)
    page.wait_for_selector(ready, state="attached")
    return took


def weight(page: Page, url: str) -> dict[str, float]:
    """What a first visit asks for and gets."""
    done: list[Request] = []
    page.on("requestfinished", lambda request: done.append(request))  # streams that stay open are not
    page.goto(url)
    page.wait_for_selector(".drawing[data-state=done]", state="attached", timeout=60_000)
    sizes = [request.sizes()["responseBodySize"] for request in list(done)]
    foreign = {urlparse(r.url).netloc for r in done if r.url.startswith("http")} - {urlparse(url).netloc}
    return {"requests": len(sizes), "megabytes": sum(sizes) / 1e6, "foreign_hosts": len(foreign)}


def main() -> None:
    """Print and store the medians and 95th percentiles."""
    with ExitStack() as stack:
        url, bare, browser = (stack.enter_context(part()) for part in (fresh, echo, chromium))
        found = {f"first_visit_{key}": value for key, value in weight(browser.new_page(), url).items()}
        clicks = {"echo": (bare, "button", "button", ".out", "none")}
        for what, (demo, link) in TABS.items():
            done = f"#{demo}-drawing .drawing[data-state=done]"
            clicks[what] = (f"{url}/{link}", done, f"#{demo}-run", f"#{demo}-drawing .drawing", "wrote")
        pages = {what: opened(browser, address, ready) for what, (address, ready, *_) in clicks.items()}
        rounds = [{what: clicked(pages[what], *parts(click)) for what, click in clicks.items()} for _ in range(TIMES)]
    for what in clicks:
        rank = statistics.quantiles((round_[what] for round_ in rounds), n=100, method="inclusive")
        found |= {f"{what}_median_ms": rank[49], f"{what}_p95_ms": rank[94]}
    save("page", found, BOUNDS)


def parts(click: tuple[str, ...]) -> tuple[str, list[str]]:
    """What is waited for before a click, and what is clicked and looked at."""
    _, ready, *places = click
    return ready, places


if __name__ == "__main__":
    main()
