"""The README in two languages: the same headings, commands, pictures, links and figures."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))


def body(text: str) -> str:
    """Without the front matter."""
    return text.split("\n---\n", 1)[1] if text.startswith("---") else text


def headings(text: str) -> list[str]:
    """The level of every heading outside of code."""
    return re.findall(r"^(#+) ", re.sub(r"```.*?```", "", body(text), flags=re.DOTALL), re.MULTILINE)


def commands(text: str) -> list[str]:
    """Code blocks without their comments, line by line."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    return [line.split("  # ")[0].split("    #")[0].rstrip() for block in blocks for line in block.splitlines()]


def inline(text: str) -> set[str]:
    """What stands between single backticks."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", body(text), flags=re.DOTALL)))


def links(text: str) -> set[str]:
    return {target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("README")}


@pytest.mark.parametrize("part", [headings, commands, inline, links])
def test_both_say_the_same(part: object) -> None:
    assert part(ENGLISH) == part(CHINESE)
    assert part(ENGLISH)


def test_the_figures_are_the_same() -> None:
    figures = [
        sorted(re.findall(r"\d[\d,.]*\d|\d", re.sub(r"`[^`]*`|\([^)]*\)", "", body(t)))) for t in (ENGLISH, CHINESE)
    ]
    words = {"one": "1"}  # English writes some numbers out
    assert set(figures[0]) - set(words.values()) <= set(figures[1])


def test_every_file_that_is_named_is_there() -> None:
    for target in links(ENGLISH) | {"README.zh-CN.md", "README.md"}:
        assert (ROOT / target).exists(), target
    assert len(body(ENGLISH).split("## In a lecture")[1].split("\n## ")[0].splitlines()) <= 25  # one screen
