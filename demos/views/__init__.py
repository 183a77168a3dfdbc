"""Drawings of steps: plain data in, JSON out. No torch, no model."""

from pathlib import Path

HERE = Path(__file__).parent
TEMPLATE = '<div class="drawing"></div>'


def script() -> str:
    """The drawing's JavaScript: two views, then the page's body that feeds them."""
    return "\n".join((HERE / name).read_text("utf-8") for name in ("text.js", "unrolled.js", "drawing.js"))


def style() -> str:
    """The drawing's CSS."""
    return "\n".join((HERE / name).read_text("utf-8") for name in ("text.css", "unrolled.css"))
