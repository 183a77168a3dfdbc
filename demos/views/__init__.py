"""Drawings of steps: plain data in, JSON out. No torch, no model."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TEMPLATE = '<div class="drawing"></div>'  # the text, and what runs the drawing
SLOT = '<div class="slot"></div>'  # the unrolled network


def script(view: str, **constants: Any) -> str:
    """The drawing's JavaScript: constants of ours, two views, then the body that feeds them."""
    constants |= {"VIEW": view}
    given = [f"const {name} = {json.dumps(value)};" for name, value in constants.items()]
    names = (f"{view}.js", "unrolled.js", "copy.js", "lecture.js", "drawing.js")
    parts = [(HERE / name).read_text("utf-8") for name in names]
    return "\n".join([*given, f"const makeView = {view}View;", *parts])


def page_script(page: str, **constants: Any) -> str:
    """The JavaScript of a page of its own, behind constants of ours."""
    given = [f"const {name} = {json.dumps(value)};" for name, value in constants.items()]
    return "\n".join([*given, *((HERE / f"{name}.js").read_text("utf-8") for name in ("copy", page))])


def style(view: str) -> str:
    """The CSS of one view, `text`, `verdict`, `caption` or `unrolled`, or of the `lecture`."""
    return (HERE / f"{view}.css").read_text("utf-8")
