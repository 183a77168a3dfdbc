"""Drawings of steps: plain data in, JSON out. No torch, no model."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TEMPLATE = '<div class="drawing"></div>'  # the text, and what runs the drawing
SLOT = '<div class="slot"></div>'  # the unrolled network


def script(**constants: Any) -> str:
    """The drawing's JavaScript: constants of ours, two views, then the body that feeds them."""
    given = [f"const {name} = {json.dumps(value)};" for name, value in constants.items()]
    return "\n".join(given + [(HERE / name).read_text("utf-8") for name in ("text.js", "unrolled.js", "drawing.js")])


def style(view: str) -> str:
    """The CSS of one view, `text` or `unrolled`."""
    return (HERE / f"{view}.css").read_text("utf-8")
