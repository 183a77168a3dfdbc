"""Every visible word, in the languages of the page."""

import json
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "zh-CN": "中文"}


@cache
def words(lang: str) -> dict[str, str]:
    """All words of a language, by key."""
    return json.loads((Path(__file__).parent / f"{lang}.json").read_text("utf-8"))


def say(lang: str, key: str, **values: Any) -> str:
    """One sentence, its placeholders filled; English where a translation is missing."""
    text = words(lang if lang in LANGUAGES else "en").get(key) or words("en")[key]
    return text.format(**values)
