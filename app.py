"""The gallery: one tab a pattern, laid out from demos/ and launched.

No model code here: a demo tells its inputs, its words stand in demos/text, and whatever is
drawn comes from the steps that it yields.
"""

import ctypes
import functools
import inspect
import itertools
import json
import logging
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Set
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pandas
import segno
from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException
from gradio import routes, state_holder
from jinja2 import ChoiceLoader, DictLoader
from starlette.middleware import Middleware
from threadpoolctl import threadpool_limits

import models
from demos import discover, foundations, listing, photos
from demos.base import Demo, Input, InputError, around
from demos.examples import stored
from demos.limits import LIMITS, Pace
from demos.text import LANGUAGES, say, words
from demos.tours import Tour, all_tours
from demos.views import SLOT, TEMPLATE, page_script, script, style
from demos.views.trace import line, lines, tick_record
from hosting import guard
from models import NetworkError
from models.turns import TURNS

FRAME = 0.04  # seconds between two updates of the page
FIRST = 0.2  # seconds to the first at most: it waits for something that was written
SEPARATOR = "\x1f"  # between the tokens of a list in a link
SESSIONS = 500  # visitors whose page Gradio remembers; none of ours keeps anything there
HOUSEWORK = 60.0  # seconds between two sweeps
LAST_WORDS = 1.0  # seconds in which the end of a run reaches its reader
HELD = 100 * photos.BYTES  # bytes of uploads that outlive a sweep
SWITCH = 0.001  # seconds that one thread of Python keeps the others waiting; a request changes threads a dozen times
ARENAS = (-8, 2)  # M_ARENA_MAX of glibc's malloc.h, and how many parts memory is handed out from
SMALL = 24  # threads for what waits for no run
RUNS: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": LIMITS.runs}  # of all that compute
LOOKS = 4  # questions of the page's scripts that are answered at once
WAITING = 100  # further ones that may wait
LONGEST_QR = 8000  # characters; no QR code holds as many
SHOWN_TEXT = 300  # characters of a text in the table of many
COLUMNS = ("verdict", "positive", "text")  # of that table
VERDICTS = ("positive", "negative")
SANS = ("system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
MONO = ("ui-monospace", "Menlo", "Consolas", "Noto Sans Mono CJK SC", "monospace")
STYLE = """
.gallery-head { align-items: end; }
.gallery-head h1 { font-size: 2rem; letter-spacing: -.01em; margin: 0; }
.gallery-head > .column:last-child { text-align: right; }
.gallery-head .html-container { padding: 0; }
#language .wrap { justify-content: end; }
footer > .divider:last-child { display: none; }
.gallery-head p { color: var(--body-text-color-subdued); }
.lead { font-size: 1.05rem; max-width: 62rem; }
body { --color-accent: #2563eb; }
body.dark { --color-accent: #60a5fa; }
body.dark .drawing { --fill: .5; }
"""

# The page's language: the one in the link, the one chosen before, the one of the page before, or the browser's.
# Gradio chooses its own words by `navigator.language`, once, before any event.
SPOKEN = """<script>{
  const before = document.cookie.match(/(?:^|; )gallery[.]lang=([^;]*)/)?.[1];
  const asked = new URLSearchParams(location.search).get('lang') ?? localStorage.getItem('gallery.lang') ?? before;
  document.documentElement.lang = (asked ?? navigator.language).startsWith('zh') ? 'zh-CN' : 'en';
  Object.defineProperty(navigator, 'language', { value: document.documentElement.lang });
  // What the visitor chose last, whatever an answer that was on its way has made of it since.
  document.addEventListener('change', ({ target }) => {
    if (target.closest('#language')) document.documentElement.dataset.chosen = target.value;
  }, true);
}</script>"""
CHOOSE_LANGUAGE = """(shown) => {
  const lang = document.documentElement.lang;
  document.cookie = `gallery.lang=${lang}; path=/; SameSite=Lax; max-age=31536000`;
  document.title = TITLES[lang];
  document.body.classList.toggle('presenting', new URLSearchParams(location.search).get('present') === '1');
  return [lang];
}"""
KEEP_LANGUAGE = """() => {
  const lang = document.documentElement.dataset.chosen;
  localStorage.setItem('gallery.lang', lang);
  document.cookie = `gallery.lang=${lang}; path=/; SameSite=Lax; max-age=31536000`;
  document.documentElement.lang = lang;
  document.title = TITLES[lang];
  const here = new URL(location);
  if (here.searchParams.has('lang')) {
    here.searchParams.set('lang', lang);
    history.replaceState(history.state, '', here);
  }
  return [lang];
}"""
# The answer to the page's opening takes back a language that was chosen before it came: choose that once more.
CHOSEN_SINCE = """(shown) => {
  const { chosen } = document.documentElement.dataset;
  const again = (tries) => {
    const wanted = document.querySelector(`#language input[value="${chosen}"]`);
    if (!wanted.checked) wanted.click();
    else if (tries) requestAnimationFrame(() => again(tries - 1));
  };
  if (chosen && chosen !== shown) again(60);
}"""
# A link with a state is run once the page is there: a run waits in the queue like any other, the page does not.
OPEN = """() => {
  const link = new URLSearchParams(location.search), inputs = INPUTS;
  if (link.get('tab') === 'NAME' && inputs.some((name) => link.has(name))) document.getElementById('NAME-open').click();
}"""
PACK = "(...given) => [JSON.stringify(given)]"
STOP = "() => { document.dispatchEvent(new Event('gallery:stop')); }"


def titled_by(key: str, language_script: str) -> str:
    """A script that sets the page's language, with the titles of its window."""
    return language_script.replace("TITLES", json.dumps({lang: say(lang, key) for lang in LANGUAGES}))


class Words:
    """The components whose words change with the language, and how."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, Callable[[str], dict[str, Any]]]] = []

    def add(self, component: Any, update: Callable[[str], dict[str, Any]]) -> Any:
        """Register a component; `update(lang)` gives the properties to change. It starts in English."""
        self.entries.append((component, update))
        for name, value in update("en").items():
            setattr(component, name, value)
        return component

    @property
    def components(self) -> list[Any]:
        """All registered components, in the order of `updates`."""
        return [component for component, _ in self.entries]

    def arrive(self, lang: str) -> list[Any]:
        """The language that the page chose when it opened, and its words."""
        lang = lang if lang in LANGUAGES else "en"
        return [lang, *self.updates(lang)]

    def updates(self, lang: str) -> list[Any]:
        """What to send to the page for a language."""
        return [gr.update(**update(lang)) for _, update in self.entries]


def trace(demo: Demo, lang: str, values: dict[str, Any]) -> Iterator[str]:
    """The growing trace of a run: what the page draws. An error is a line, too. A run is named by the
    moment it was asked for: the page draws none that is older than the one that it shows."""
    yield from TURNS.share(growing(demo, lang, values, f"{time.time_ns() // 1000:x}"))


def growing(demo: Demo, lang: str, values: dict[str, Any], run: str) -> Iterator[str]:
    """The trace so far, as often as the page may be updated."""
    try:
        pieces = lines(demo, demo.check(brought(demo, values)), run)
        text = next(pieces) + next(pieces)  # a first step, or an error that leaves the page as it is
        due, waiting = time.monotonic() + FIRST, True
        for piece in pieces:
            text += piece
            if time.monotonic() > due or (waiting and '"w":' in piece):
                yield text
                due, waiting = time.monotonic() + FRAME, False
        yield text
    except InputError as error:
        yield wrong(run, lang, {at: sentence(error, at) for at in LANGUAGES})
    except NetworkError:
        yield wrong(run, lang, {at: say(at, "error.network") for at in LANGUAGES})


def wrong(run: str, lang: str, said: dict[str, str]) -> str:
    """A run's error as a line: in the visitor's language, and in all of them, should he choose another."""
    return line({"run": run, "error": said.get(lang, said["en"]), "said": said})


def sentence(error: InputError, lang: str) -> str:
    """What the visitor reads; inputs are called as on the page."""
    values = dict(error.values)
    if "name" in values:
        values["name"] = say(lang, f"input.{values['name']}")
    return say(lang, error.key, **values)


def inspector(demo: Demo) -> Callable[[str], str]:
    """What the drawing asks for one tick: its gates, or one unit's numbers. JSON in and out."""

    def inspect(asked: str) -> str:
        try:
            question = json.loads(asked)
            inputs, t = demo.check(question["inputs"]), int(question["t"])
            if question["unit"] is None:
                looked = demo.look(inputs, t) if demo.look else {}
                return line(tick_record(around(demo.steps(**inputs), t)[1]) | looked)
            return line(demo.numbers(inputs, t, int(question["layer"]), int(question["unit"])))
        except (InputError, NetworkError, AttributeError, KeyError, IndexError, TypeError, ValueError):
            return "{}"

    return inspect


class Aside:
    """Answers what scripts of the page ask, beside the runs: in a few threads of its own, so that no number of
    questions keeps the page from anybody. Where too many wait already, one more is refused at once."""

    def __init__(self) -> None:
        self.places, self.asked = CapacityLimiter(LOOKS), 0

    def of(self, function: Callable[[str], str]) -> Callable[..., Awaitable[str]]:
        """The function as the page calls it, under its own name."""

        async def answer(asked: str, request: gr.Request) -> str:
            if self.asked >= LOOKS + WAITING:
                raise HTTPException(429, say(guard.language(request.scope), "error.busy"))
            self.asked += 1
            try:
                return await to_thread.run_sync(function, asked, limiter=self.places)
            finally:
                self.asked -= 1

        answer.__name__ = function.__name__
        return answer


ASIDE = Aside()


def qr(address: str) -> str:
    """A link's QR code: {"rows": ["0101…", …]}, no rows where the link is too long for one."""
    try:
        rows = ["".join(map(str, row)) for row in segno.make_qr(str(address)[:LONGEST_QR], error="l").matrix]
    except ValueError:
        rows = []
    return json.dumps({"rows": rows})


class PhotoBox(gr.Image):
    """Gradio's picture box, but what opens the file, and what is said of a broken one, is ours."""

    is_template = True  # in the browser it is Gradio's own

    def preprocess(self, payload: Any) -> str | None:
        """Where the upload lies, or the data URL that was sent in its place."""
        if payload is None:
            return None
        return payload.url if payload.url and payload.url.startswith("data:") else str(payload.path)


class Page:
    """Lays one demo out and connects it."""

    def __init__(self, demo: Demo, lang: gr.Radio, said: Words, quiet: dict[str, Any]) -> None:
        self.demo, self.lang, self.said, self.quiet = demo, lang, said, quiet
        said.add(gr.Markdown(elem_classes=["lead", "aside"]), lambda at: {"value": say(at, f"prose.{demo.name}")})
        guide = gr.Accordion(open=False, elem_classes="aside", elem_id=f"{demo.name}-tours")
        with said.add(guide, lambda at: {"label": say(at, "label.tours")}):
            guided = gr.Row(elem_classes="tours")
        shelf = gr.Row(elem_classes="aside")  # the examples stand above the controls that they fill
        with gr.Row():
            with gr.Column(scale=1, min_width=300, elem_classes="controls"):
                self.controls = {i.name: self.control(i) for i in demo.inputs if i.place == "main"}
                with gr.Row():
                    self.run = self.button(f"button.run.{demo.name}", "primary")
                    self.run.elem_id = f"{demo.name}-run"
                    self.stop = self.button("button.stop", "secondary")
                with said.add(gr.Accordion(open=False), lambda at: {"label": say(at, "label.advanced")}) as more:
                    self.controls |= {i.name: self.control(i) for i in demo.inputs if i.place == "advanced"}
                self.more = more
                more.visible = any(i.place == "advanced" for i in demo.inputs)
            with gr.Column(scale=3, min_width=340):
                self.drawing = self.draw()
        with shelf:
            self.examples()
        with guided:
            self.tours = [(tour, self.tour(tour)) for tour in all_tours() if tour.demo == demo.name]
        gr.HTML(html_template=SLOT, css_template=style("unrolled"), js_on_load="", elem_id=f"{demo.name}-unrolled")
        if demo.many:
            with said.add(gr.Accordion(open=False, elem_classes="aside"), lambda at: {"label": say(at, "label.many")}):
                Many(self)
        with said.add(gr.Accordion(open=False, elem_classes="aside"), lambda at: {"label": say(at, "label.card")}):
            said.add(gr.Markdown(), lambda at: {"value": facts(demo, at)})
        self.packed = gr.Textbox(visible=False)
        self.compute = quiet | RUNS | {"outputs": self.drawing}
        self.connect()

    def control(self, given: Input) -> Any:
        """The component for an input."""
        visible = self.shown(given, {i.name: i.default for i in self.demo.inputs})
        common = {"value": given.default, "visible": visible, "elem_id": f"{self.demo.name}-{given.name}"}
        if given.kind == "text":
            component = gr.Textbox(lines=given.lines, max_lines=10, **common)
        elif given.kind == "photo":
            common |= {"value": None, "type": "filepath", "image_mode": None, "buttons": []}
            component = PhotoBox(sources=["upload", "clipboard", "webcam"], height=260, **common)
        elif given.kind == "choice":
            component = gr.Radio(choices=list(given.choices), **common)
        elif given.high - given.low > 10_000:
            component = gr.Number(precision=0, minimum=given.low, maximum=given.high, **common)
        else:
            component = gr.Slider(given.low, given.high, step=given.step, **common)
        return self.said.add(component, functools.partial(self.spoken, self.demo.name, given))

    @staticmethod
    def spoken(demo: str, given: Input, lang: str) -> dict[str, Any]:
        """The words of a control."""
        out: dict[str, Any] = {"label": say(lang, own("input", demo, given.name))}
        if (key := own("info", demo, given.name)) in words("en"):
            out["placeholder" if given.kind == "photo" else "info"] = say(lang, key)
        if given.kind == "choice":
            out["choices"] = [(say(lang, f"choice.{choice}"), choice) for choice in given.choices]
        return out

    def button(self, key: str, variant: str) -> gr.Button:
        return self.said.add(gr.Button(variant=variant, min_width=100), lambda at: {"value": say(at, key)})

    def draw(self) -> gr.HTML:
        """The drawing: its template is constant, what it draws is data (demos/views/trace.py)."""
        name = self.demo.name
        live = next((f"{name}-{i.name}" for i in self.demo.inputs if i.live and i.kind == "text"), "")
        given = {
            "WORDS": {at: words(at) for at in LANGUAGES},
            "SLOT": f"{name}-unrolled",
            "LIVE": live,
            "LARGEST": photos.BYTES,
            "EXAMPLES": [example.get("photo") for example in self.demo.examples],
            "WORD_OF": {i.name: own("input", name, i.name) for i in self.demo.inputs},
            "DEFAULTS": unsaid(self.demo),
            "ONLY": {i.name: dict(i.only) for i in self.demo.inputs if i.only},
        }
        drawing = gr.HTML(
            html_template=TEMPLATE,
            css_template=style(self.demo.view),
            js_on_load=script(self.demo.view, **given),
            server_functions=[ASIDE.of(inspector(self.demo)), ASIDE.of(qr)],
            lang="en",
            elem_id=f"{name}-drawing",
        )
        return self.said.add(drawing, lambda at: {"lang": at})

    def examples(self) -> None:
        """Rows that fill the controls and run at once; the first starts the page."""
        pictures = [n for n in self.controls if isinstance(self.controls[n], PhotoBox)][:1]
        columns = [n for n in self.controls if any(n in example for example in self.demo.examples)]
        labels = None if pictures else [example_label(example) for example in self.demo.examples]
        rows = [self.row(number, pictures or columns) for number in range(len(self.demo.examples))]
        self.shelf = gr.Dataset(
            components=[self.controls[n] for n in pictures or columns],
            samples=rows,
            sample_labels=labels,
            type="index",
            samples_per_page=20,
            show_label=True,
            elem_id=f"{self.demo.name}-examples",
        )
        label = own("label", self.demo.name, "examples")
        self.said.add(self.shelf, lambda at: {"label": say(at, label)})
        self.columns = pictures or columns

    def tour(self, tour: Tour) -> gr.Button:
        """An experiment's text, and the button that sets it up."""
        with gr.Column(min_width=250, elem_classes="tour"):
            self.said.add(gr.Markdown(container=False), lambda at: {"value": self.told(tour, at)})
            return self.button("button.tour", "secondary")

    @staticmethod
    def told(tour: Tour, lang: str) -> str:
        """What is said of an experiment, as Markdown."""
        said = tour.said[lang]
        parts = [f"**{say(lang, f'label.{key}')}** {said[key]}" for key in ("see", "try")]
        return "\n\n".join([f"#### {said['title']}", *parts])

    def set_up(self, tour: Tour) -> Any:
        """The controls as an experiment wants them, the others by default; open, if it sets one of the advanced."""
        values = {i.name: i.default for i in self.demo.inputs} | tour.inputs
        advanced = any(i.place == "advanced" and i.name in tour.inputs for i in self.demo.inputs)
        opened = gr.update(open=True) if advanced else gr.skip()
        return [opened, *(gr.update(value=self.as_shown(n, values[n])) for n in self.controls)]

    def row(self, number: int, columns: list[str]) -> list[Any]:
        """An example's values, as the controls show them."""
        values = {i.name: i.default for i in self.demo.inputs} | dict(self.demo.examples[number])
        return [self.as_shown(n, values[n]) for n in columns]

    def as_shown(self, name: str, value: Any) -> Any:
        """What a control shows for a value: for an example's photo its file."""
        if isinstance(self.controls[name], PhotoBox):
            return str(photos.FOLDER / f"{value}.jpg") if value in photos.examples() else None
        return value

    @staticmethod
    def shown(given: Input, values: dict[str, Any]) -> bool:
        return all(values.get(name) in allowed for name, allowed in given.only.items())

    def connect(self) -> None:
        """The events of this demo. What the page sends is checked in `trace`."""
        small = self.quiet | {"queue": False}  # what computes nothing waits for no run
        pressed = [self.run.click, *(c.submit for c in self.controls.values() if isinstance(c, gr.Textbox))]
        branch = self.drawing.branch(self.go_on, [self.lang, *self.controls.values()], **self.compute)
        picked = self.shelf.click(self.fill, self.shelf, [self.controls[n] for n in self.columns], **small)
        begun = [branch, self.run_after(functools.partial(gr.on, pressed)), self.run_after(picked.then)]
        for tour, button in self.tours:
            shown = [self.more, *self.controls.values()]
            chosen = button.click(functools.partial(self.set_up, tour), None, shown, **small)
            begun.append(self.run_after(chosen.then, js=look_at(self.demo, tour)))
        for i in (i for i in self.demo.inputs if i.live):
            # A text box itself reports keys only: not what is pasted, deleted or composed.
            event = self.drawing.typed if i.kind == "text" else self.controls[i.name].input
            begun.append(self.run_after(event, trigger_mode="always_last"))
        self.stop.click(None, cancels=begun, js=STOP, api_visibility="private")
        if {"network", "text"} <= set(self.controls) and all("network" in e for e in self.demo.examples):
            chosen, text = self.controls["network"], self.controls["text"]
            chosen.input(self.begin, [chosen, text], text, **small)
        hidden = [i for i in self.demo.inputs if i.only]
        for name in {name for given in hidden for name in given.only}:
            self.controls[name].change(
                self.show, [self.controls[name]], [self.controls[i.name] for i in hidden], **small
            )

    def run_after(self, event: Callable[..., Any], js: str = PACK, **settings: Any) -> Any:
        """A run from the controls after an event. Gradio's page tells every input of a run again and again how
        all runs go, so there is but one: what the others hold, as JSON."""
        packed = event(None, [self.lang, *self.controls.values()], self.packed, js=js, api_visibility="private")
        return packed.then(self.start, self.packed, **self.compute, **settings)

    def welcome(self, arrived: Any) -> None:
        """The events that show a newcomer what he finds, and then run what his link asks for."""
        name, inputs = self.demo.name, json.dumps([i.name for i in self.demo.inputs])
        here = arrived.then(
            self.arrive, self.lang, [self.drawing, *self.controls.values()], **self.quiet | {"queue": False}
        )
        opener = gr.Button(visible="hidden", elem_id=f"{name}-open")
        here.then(None, js=OPEN.replace("NAME", name).replace("INPUTS", inputs), api_visibility="private")
        run = opener.click(self.follow, self.lang, **self.compute)
        self.stop.click(None, cancels=[run], api_visibility="private")

    def arrive(self, lang: str, request: gr.Request) -> list[Any]:
        """What a visitor finds: the values in his link, or the first example in his language."""
        number = self.demo.opening[lang]
        values = {i.name: i.default for i in self.demo.inputs} | dict(self.demo.examples[number])
        asked = self.asked(lang, request)
        drawn = gr.skip() if asked else stored(self.demo, number)
        return [drawn, *(gr.update(value=self.as_shown(n, (asked or values)[n])) for n in self.controls)]

    def follow(self, lang: str, request: gr.Request) -> Iterator[Any]:
        """The run that a link asks for."""
        asked = self.asked(lang, request)
        yield from trace(self.demo, lang, asked) if asked else [gr.skip()]

    def asked(self, lang: str, request: gr.Request) -> dict[str, Any]:
        """All inputs of the run in a link; none where the link has no state of this demo."""
        default = {i.name: i.default for i in self.demo.inputs}
        given = {n: from_link(self.demo, n, v) for n, v in request.query_params.items() if n in default}
        if request.query_params.get("tab") != self.demo.name or not given:
            return {}
        return default | self.fitting(given, lang) | given

    def fitting(self, given: dict[str, Any], lang: str) -> dict[str, Any]:
        """Where a text is read as one types, an example for what a link leaves open, the opening one if
        that fits. Elsewhere an open text is empty: the network may begin by itself."""
        if not any(i.live and i.kind == "text" for i in self.demo.inputs):
            return {}
        examples = [self.demo.examples[self.demo.opening[lang]], *self.demo.examples]
        fits = (dict(e) for e in examples if all(e.get(n, v) == v for n, v in given.items()))
        return next(fits, {})

    def values(self, given: tuple) -> dict[str, Any]:
        """The controls' values by name."""
        return dict(zip(self.controls, given, strict=True))

    def start(self, packed: str) -> Iterator[str]:
        """A new run from the controls."""
        lang, *given = json.loads(packed)
        yield from trace(self.demo, lang, self.values(given))

    def go_on(self, event: gr.EventData, lang: str, *given: Any) -> Iterator[str]:
        """Go on from what is written, or from a branch of it: the run's own text and network,
        its temperature and other numbers as they stand on the page now."""
        run = event.inputs if isinstance(event.inputs, dict) else {}
        content = {
            n.name: run.get(n.name, n.default) for n in self.demo.inputs if n.kind in ("text", "choice", "photo")
        }
        more = {name: getattr(event, name) for name in ("written", "chosen")}
        yield from trace(self.demo, lang, self.values(given) | content | more)

    def fill(self, number: int) -> Any:
        """The values of an example; Gradio wants a single one bare."""
        values = self.row(number, self.columns)
        return values if len(values) > 1 else values[0]

    def begin(self, network: str, text: str) -> str:
        """A beginning in the network's language, unless the visitor wrote one of his own."""
        texts = {example["text"]: example["network"] for example in reversed(self.demo.examples)}
        if text not in texts:
            return text
        return next(example["text"] for example in self.demo.examples if example["network"] == network)

    def show(self, value: Any) -> list[Any]:
        """Show the inputs that belong to this choice, hide the others."""
        hidden = [i for i in self.demo.inputs if i.only]
        return [gr.update(visible=any(value in allowed for allowed in i.only.values())) for i in hidden]


class Many:
    """Many texts at once: pasted or uploaded, with progress, a table, their distribution and a CSV."""

    def __init__(self, page: Page) -> None:
        self.page, self.demo, said = page, page.demo, page.said
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self.lines = said.add(
                    gr.Textbox(lines=8, max_lines=8, elem_id=f"{self.demo.name}-lines"),
                    lambda at: {"label": say(at, "many.lines"), "info": say(at, "many.info")},
                )
                self.file = said.add(
                    gr.File(file_types=[".txt", ".csv", ".tsv"], type="filepath", height=120),
                    lambda at: {"label": say(at, "many.file")},
                )
                with gr.Row():
                    run, stop = page.button("many.run", "primary"), page.button("button.stop", "secondary")
            with gr.Column(scale=3, min_width=340):
                self.told = gr.Markdown(elem_id=f"{self.demo.name}-many", container=False)
                self.bars = said.add(gr.BarPlot(x="p", y="n", height=200, visible=False), self.titles)
                self.table = gr.Dataframe(type="array", visible=False, interactive=False, wrap=True, max_height=420)
                self.csv = said.add(gr.DownloadButton(visible=False), lambda at: {"label": say(at, "many.csv")})
        outputs = [self.told, self.bars, self.table, self.csv]
        inputs = [page.lang, self.lines, self.file, page.controls["language"], page.controls["network"]]
        event = run.click(self.compute, inputs, outputs, **RUNS, api_visibility="private")
        stop.click(None, cancels=[event], api_visibility="private")
        page.lang.input(
            self.relabel,
            [page.lang, self.table],
            [self.told, self.table],
            queue=False,
            **page.quiet,
        )

    def compute(
        self,
        lang: str,
        pasted: str,
        file: str | None,
        language: str,
        network: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for it among the defaults
    ) -> Iterator[list[Any]]:
        """Read all texts; an error is a sentence, and leaves the last table where it is. Every
        `yield` is a place where Stop can stop it."""
        yield from TURNS.share(self.results(lang, pasted, file, language, network, progress))

    def results(
        self, lang: str, pasted: str, file: str | None, language: str, network: str, progress: gr.Progress
    ) -> Iterator[list[Any]]:
        """How far it is, again and again, and then the table."""
        unchanged = [gr.skip()] * 3
        try:
            texts = listing.from_file(file) if file else listing.from_lines(pasted)
            rows: list[dict[str, Any]] = []
            pace = Pace()
            for row in listing.verdicts(texts, language, network):
                rows.append(row)
                if pace.due():
                    progress((len(rows), len(texts)))
                    yield [say(lang, "many.progress", done=f"{len(rows):,}", count=f"{len(texts):,}"), *unchanged]
        except InputError as error:
            yield [sentence(error, lang), *unchanged]
        except NetworkError:
            yield [say(lang, "error.network"), *unchanged]
        else:
            whole = [self.summary, self.bars_of, self.table_of, self.file_of]
            yield [show(rows, lang) for show in whole] if rows else [say(lang, "error.no_lines"), *unchanged]

    def relabel(self, lang: str, shown: list[list[Any]]) -> list[Any]:
        """The table that stands on the page, and what is said of it, in another language."""
        lang = lang if lang in LANGUAGES else "en"
        labels = {say(at, f"verdict.{name}"): name for at in LANGUAGES for name in VERDICTS}
        rows = [[labels.get(row[0]), *row[1:]] for row in shown if len(row) == len(COLUMNS)]
        if not rows:
            return ["", gr.skip()]
        return [self.told_of([row[0] for row in rows], lang), gr.update(value=self.grid(rows, lang))]

    @staticmethod
    def titles(lang: str) -> dict[str, Any]:
        """The words on the plot."""
        axes = {"x_title": say(lang, "many.axis.p"), "y_title": say(lang, "many.axis.n")}
        return axes | {"title": say(lang, "many.distribution")}

    def summary(self, rows: list[dict[str, Any]], lang: str) -> str:
        """How many, and how they are meant."""
        return self.told_of([row["label"] for row in rows], lang)

    @staticmethod
    def told_of(labels: list[str | None], lang: str) -> str:
        """How many verdicts there are of each kind."""
        counts = {name: f"{labels.count(name):,}" for name in VERDICTS}
        return say(lang, "many.summary", count=f"{len(labels):,}", none=f"{labels.count(None):,}", **counts)

    def bars_of(self, rows: list[dict[str, Any]], lang: str) -> Any:
        """The distribution over tenths of the probability of positive."""
        frame = pandas.DataFrame(
            {"p": [f"{10 * i}–{10 * i + 10} %" for i in range(10)], "n": listing.distribution(rows)}
        )
        return gr.update(value=frame, visible=True, sort=list(frame["p"]), **self.titles(lang))

    def table_of(self, rows: list[dict[str, Any]], lang: str) -> Any:
        """One row a text."""
        sure = [f"{row['positive']:.1%}" if row["label"] else "–" for row in rows]
        cells = [[row["label"], p, row["text"][:SHOWN_TEXT]] for row, p in zip(rows, sure, strict=True)]
        return gr.update(value=self.grid(cells, lang), visible=True)

    @staticmethod
    def grid(rows: list[list[Any]], lang: str) -> dict[str, Any]:
        """Rows that begin with a label, or none, as the table shows them."""
        headers = [say(lang, f"many.column.{name}") for name in COLUMNS]
        return {
            "headers": headers,
            "data": [[say(lang, f"verdict.{row[0]}") if row[0] else "–", *row[1:]] for row in rows],
        }

    @staticmethod
    def file_of(rows: list[dict[str, Any]], _: str) -> Any:
        """The table as a file, in Gradio's own folder for such files."""
        folder = Path(tempfile.mkdtemp(dir=gr.utils.get_upload_folder()))
        path = folder / "verdicts.csv"
        path.write_text(listing.to_csv(rows), "utf-8")
        return gr.update(value=str(path), visible=True)


def look_at(demo: Demo, tour: Tour) -> str:
    """Tell the drawing at which tick it is to look once the run is there."""
    told = json.dumps({"slot": f"{demo.name}-unrolled", "tick": tour.tick})
    event = f"new CustomEvent('gallery:look', {{ detail: {told} }})"
    return f"(...given) => {{ document.dispatchEvent({event}); return ({PACK})(...given); }}"


def unsaid(demo: Demo) -> dict[str, Any]:
    """What a link need not say: the defaults that no example replaces."""
    return {i.name: i.default for i in demo.inputs if not any(i.name in example for example in demo.examples)}


def from_link(demo: Demo, name: str, value: str) -> Any:
    """A link's text as a number or a list where one is due; `check` has the last word."""
    given = next(i for i in demo.inputs if i.name == name)
    try:
        if given.kind in ("number", "whole"):
            number = float(value)
            return number if math.isfinite(number) else given.default
        if given.kind in ("tokens", "places"):
            tokens = value.split(SEPARATOR)
            return tokens if given.kind == "tokens" else [int(token) for token in tokens]
        return value
    except ValueError:
        return given.default


def own(kind: str, demo: str, name: str) -> str:
    """The key of a demo's own word for an input where it has one, else of the common one."""
    key = f"{kind}.{demo}.{name}"
    return key if key in words("en") else f"{kind}.{name}"


def example_label(example: dict[str, Any]) -> str:
    """What an example is called: its own text."""
    words_of = [example.get("form"), example.get("text") or example.get("acrostic")]
    return " · ".join(str(w).strip() for w in words_of if w)


def facts(demo: Demo, lang: str) -> str:
    """What is known of a demo's networks, from their cards, as Markdown. A value may be the key of a word."""
    return "\n".join(
        f"### {say(lang, title)}\n" + "\n".join(f"- {fact(lang, key, values)}" for key, values in card)
        for title, card in demo.cards().items()
    )


def fact(lang: str, key: str, values: dict[str, Any]) -> str:
    """One line of a card; where a figure for it is missing, that its network is damaged."""
    try:
        return say(lang, key, **{k: words(lang).get(v, v) for k, v in values.items()})
    except KeyError:
        return say(lang, "error.network")


def brought(demo: Demo, values: dict[str, Any]) -> dict[str, Any]:
    """The values of inputs; where a photo is due and a file came, the photo that it holds."""
    due = [i.name for i in demo.inputs if i.kind == "photo"]
    return {name: photo_of(value) if name in due else value for name, value in values.items()}


def photo_of(value: Any) -> Any:
    """A file that Gradio took, by its path or as the record that a program sends for it."""
    if isinstance(value, dict):
        value = value.get("path") or value.get("url")
    if not isinstance(value, str) or not Path(value[:4096]).is_absolute():
        return value  # a name or a data URL
    path = Path(value).resolve()
    if not path.is_relative_to(uploads()) or not path.is_file():
        raise InputError("error.photo.none")
    return photos.from_file(path)


def served(demo: Demo, name: str, function: Callable[..., Iterator[dict]]) -> Callable[..., Iterator[dict]]:
    """An API function whose errors are sentences; a program has no language, so in all of ours."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def answer(*args: Any, **kwargs: Any) -> Iterator[dict]:
        try:
            yield from TURNS.share(function(**brought(demo, signature.bind(*args, **kwargs).arguments)))
        except InputError as error:
            raise gr.Error(" ".join(sentence(error, lang) for lang in LANGUAGES), print_exception=False) from None
        except NetworkError:
            raise gr.Error(everywhere("error.network"), print_exception=False) from None

    answer.__name__ = name  # what the MCP tool is called
    return answer


def everywhere(key: str) -> str:
    """A sentence in all languages, for programs."""
    return " ".join(say(lang, key) for lang in LANGUAGES)


def foundations_page(blocks: gr.Blocks) -> None:
    """The second page: what the networks of the first are made of."""
    said = Words()
    given = {
        "WORDS": {at: {k: v for k, v in words(at).items() if k.startswith("foundations.")} for at in LANGUAGES},
        "OPENING": foundations.OPENING,
        "FIRST": json.loads(foundations.answer(json.dumps({"ask": "hand", "tables": foundations.OPENING}))),
        "PRESETS": {name: asdict(size) for name, size in foundations.PRESETS.items()},
        "BOUNDS": foundations.BOUNDS,
        "PATTERNS": [asdict(pattern) for pattern in foundations.PATTERNS],
        "CODE": foundations.sources(),
    }
    with blocks.route("Foundations", "foundations", show_in_navbar=False):
        quiet = quietly()
        lang = head(said, "foundations.head", "foundations.back", "./")
        drawing = gr.HTML(
            html_template='<div class="foundations"></div>',
            js_on_load=page_script("foundations", **given),
            server_functions=[ASIDE.of(foundations.answer)],
            lang="en",
            elem_id="foundations",
        )
        said.add(drawing, lambda at: {"lang": at})
        follow(blocks, lang, said, "foundations.title", quiet)


def quietly() -> dict[str, Any]:
    """What an event of the page's own has. Gradio's page tells each component that may show an event's progress, at
    every later event, too: at one only, which is never shown and, as the first of its page, soon found."""
    return {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": gr.Textbox(visible=False)}


def follow(blocks: gr.Blocks, lang: gr.Radio, said: Words, title: str, quiet: dict[str, Any]) -> Any:
    """Let a page's words and its window's title follow its language; returns the event of its opening."""
    small = quiet | {"queue": False}
    lang.input(said.updates, lang, said.components, js=titled_by(title, KEEP_LANGUAGE), **small)
    choose = titled_by(title, CHOOSE_LANGUAGE)
    arrived = blocks.load(said.arrive, lang, [lang, *said.components], js=choose, **small)
    arrived.then(None, lang, js=CHOSEN_SINCE, api_visibility="private")
    return arrived


def head(said: Words, title: str, other: str, target: str) -> gr.Radio:
    """A page's title, the way to the other page, and its language."""
    with gr.Row(elem_classes="gallery-head"):
        with gr.Column(scale=5):
            said.add(gr.Markdown(), lambda at: {"value": say(at, title)})
        with gr.Column(scale=1, min_width=310):
            choices = [(name, lang) for lang, name in LANGUAGES.items()]
            lang = gr.Radio(choices, value="en", container=False, elem_id="language")
            said.add(lang, lambda at: {"label": say(at, "gallery.language")})
            link = gr.HTML(html_template='<a class="other-page" href="${target}">${label}</a>', target="", label="")
            said.add(link, lambda at: {"label": say(at, other), "target": f"{target}?lang={at}"})
    return lang


class Gallery(gr.Blocks):
    """Gradio's page, but what is sent to it in a wrong shape is answered in words, and nothing of it
    is printed: Gradio's own message would hold what the visitor wrote."""

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """One update of an event."""
        try:
            return await super().process_api(*args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            logging.getLogger(guard.__name__).warning(guard.place(error))
            raise gr.Error(everywhere("error.request"), print_exception=False) from None

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """What the components make of a request. No file is fetched from elsewhere."""
        try:
            if any(isinstance(given, dict) and distant(given) for given in inputs):
                raise ValueError
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except Exception:
            raise gr.Error(everywhere("error.request"), print_exception=False) from None


class Visitor(state_holder.SessionState):
    """What Gradio remembers of a visitor, but for the settings of all components: only its own links to a state
    need them, and to collect them would take 40 ms whenever somebody comes."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))
        self.blocks_config.config_for_block = lambda *_: {}


def distant(file: dict[str, Any]) -> bool:
    """Whether a file that a program sends lies on another machine."""
    return str(file.get("path") or "").lower().startswith(("http:", "https:"))


def build() -> gr.Blocks:
    """The whole page."""
    said, pages, inner = Words(), [], {}
    with Gallery(title=say("en", "gallery.title"), analytics_enabled=False, delete_cache=(60, LIMITS.keep)) as blocks:
        quiet = quietly()
        lang = head(said, "gallery.head", "foundations.open", "./foundations")
        with gr.Tabs() as outer:
            for tab, demos in itertools.groupby(discover(), key=lambda demo: demo.tab):
                with titled(said, tab, f"tab.{tab}"), gr.Tabs() as inner[tab]:
                    for demo in demos:
                        with titled(said, demo.name, f"demo.{demo.name}"):
                            pages.append(Page(demo, lang, said, quiet))
        for demo in discover():
            for name, function in demo.api.items():
                gr.api(served(demo, name, function), api_name=name, **RUNS)
        arrived = follow(blocks, lang, said, "gallery.title", quiet)
        blocks.load(open_tab, None, [outer, *inner.values()], queue=False, **quiet)
        for page in pages:
            page.welcome(arrived)
    foundations_page(blocks)
    return blocks


def titled(said: Words, name: str, key: str) -> gr.Tab:
    """A tab with its name in the page's language."""
    return said.add(gr.Tab(id=name), lambda at: {"label": say(at, key)})


def open_tab(request: gr.Request) -> list[Any]:
    """The tab that a link names, of a pattern or of one demo in it; else the first."""
    asked, demos = request.query_params.get("tab"), discover()
    named = next((demo for demo in demos if asked in (demo.name, demo.tab)), None)
    tabs = dict.fromkeys(demo.tab for demo in demos)
    if named is None:
        return [gr.skip() for _ in range(1 + len(tabs))]
    inner = [gr.update(selected=named.name) if tab == named.tab else gr.skip() for tab in tabs]
    return [gr.update(selected=named.tab), *inner]


def speak_first() -> None:
    """Let Gradio's page begin with our choice of a language; a script that `launch` takes would come too late."""
    env, name = routes.templates.env, "frontend/index.html"
    page, *_ = env.loader.get_source(env, name)
    ours = DictLoader({name: page.replace("<head>", f"<head>{{% raw %}}{SPOKEN}{{% endraw %}}", 1)})
    env.loader = ChoiceLoader([ours, env.loader])


def theme() -> gr.themes.Base:
    """System fonts, and greys that can be read from the last row."""
    return gr.themes.Base(font=SANS, font_mono=MONO, spacing_size="md", radius_size="md").set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
    )


def uploads() -> Path:
    """The folder of what visitors upload and what is made for them; on some machines the way to it is a link."""
    return Path(gr.utils.get_upload_folder()).resolve()


def shown_always(blocks: gr.Blocks) -> set[Path]:
    """The files in that folder that the page itself shows, such as the examples' photos."""
    return {Path(path).resolve() for block in blocks.blocks.values() for path in block.keep_in_cache}


def sweep(kept: Set[Path] = frozenset()) -> None:
    """Delete what was uploaded or made for download more than `keep` seconds ago, also by a process that
    died, and the oldest where all is more than the folder may hold; never what is `kept`."""
    found, held = [], 0
    for path in uploads().rglob("*"):
        with suppress(OSError):
            found.append((path.lstat(), path))
    for status, path in sorted(found, key=lambda pair: -pair[0].st_ctime):
        held += status.st_size
        if path not in kept and (time.time() - status.st_ctime > LIMITS.keep or held > HELD):
            with suppress(OSError):  # another replica was quicker, or a folder is not empty yet
                path.rmdir() if path.is_dir() else path.unlink()


def attend(blocks: gr.Blocks) -> None:
    """Open the networks behind the page; then keep house until the process is told to stop."""
    told = Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: told.set())
    Thread(target=models.warm, daemon=True).start()
    while not told.wait(HOUSEWORK):
        sweep(shown_always(blocks))
    guard.closing.set()  # what runs may end; what comes is told so
    end = time.monotonic() + LIMITS.grace
    while (ran := any(blocks._queue.active_jobs)) and time.monotonic() < end:
        time.sleep(FRAME)
    if not ran:
        time.sleep(min(LIMITS.grace, LAST_WORDS))
    blocks.close()


def main() -> None:
    """Launch; address, port and root path come from Gradio's environment variables."""
    # A folder of our own, since what is old in it is deleted.
    folder = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()) / "rnn-gallery"
    os.environ["GRADIO_TEMP_DIR"] = str(folder.resolve())
    # Gradio counts over all its events whenever one ends, for a page of figures that is switched off here.
    os.environ |= {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000"}
    # A core that waits for the other's share of a product sleeps: spinning, it would keep that one from its work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.setswitchinterval(SWITCH)
    share_memory()
    open_many()
    if "SPACE_ID" in os.environ:  # only the hub's proxy reaches a Space; it names the visitor
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    threadpool_limits(1, "blas")  # runs share the cores; each with threads of its own would be slower for all
    handler = logging.StreamHandler()
    handler.setFormatter(guard.Places())
    logging.basicConfig(handlers=[handler])
    speak_first()
    state_holder.SessionState = Visitor
    blocks = build()
    launch(blocks)
    attend(blocks)


def share_memory() -> None:
    """Let a hundred threads share a few stores of free memory: with one each, what a run gives back lies idle
    until the same thread runs again, and a hall's memory grows for minutes. Only glibc has the setting."""
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError, TypeError, OSError):
            ctypes.CDLL(None).mallopt(*ARENAS)


def open_many() -> None:
    """As many connections as the machine lets a process hold: every visitor has a few. Windows has no such limit."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def launch(blocks: gr.Blocks) -> None:
    """Serve the page, without waiting for anything."""
    blocks.queue(max_size=LIMITS.queue, default_concurrency_limit=LIMITS.runs, api_open=False)
    blocks.launch(
        theme=theme(),
        css=STYLE + style("lecture") + style("foundations"),
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        max_file_size=photos.BYTES,
        mcp_server=True,
        app_kwargs={"middleware": [Middleware(guard.Guard)]},
        state_session_capacity=SESSIONS,
        max_threads=LIMITS.runs + SMALL,
        prevent_thread_lock=True,
    )


if __name__ == "__main__":
    main()
