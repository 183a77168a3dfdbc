"""Drawings of steps: plain data in, JSON out. No torch, no model."""

from pathlib import Path

HERE = Path(__file__).parent
TEMPLATE = '<div class="drawing"></div>'  # the text, and what runs the drawing
SLOT = '<div class="slot"></div>'  # the unrolled network


def script() -> str:
    """The drawing's JavaScript: two views, then the page's body that feeds them."""
    return "\n".join((HERE / name).read_text("utf-8") for name in ("text.js", "unrolled.js", "drawing.js"))


def style(view: str) -> str:
    """The CSS of one view, `text` or `unrolled`."""
    return (HERE / f"{view}.css").read_text("utf-8")
