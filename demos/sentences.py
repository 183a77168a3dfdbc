"""What stands behind the many-to-one tab: a text as words of tokens, and what can be done to it."""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import models

FAMILY = ("rnn", "gru", "lstm", "bilstm")
FOLDERS = {"one_way": "{}", "two_way": "{}-bidirectional"} | {cell: f"{{}}-{cell}" for cell in FAMILY}
MOST = 1000  # tokens that are read; the rest is named as unread
CHARACTERS = 20 * MOST  # looked at to find them
FILLERS = {
    "en": "The film was shown in the hall on Monday and it is two hours long. The hall has a door and a clock. ",
    "zh": "影片星期一在大厅放映，片长两个小时。大厅里有一扇门和一个钟。",
}
WRITTEN_OUT = ("not", "can", "will", "shall", "is")  # see models/sentiment/data.py
HAN = re.compile(r"[㐀-䶿一-鿿]")
AUXILIARY = ("is", "was", "are", "were", "am", "be", "been", "does", "did", "do", "has", "had", "have")
AUXILIARY += ("will", "would", "can", "could", "should", "may", "might")


class Token(NamedTuple):
    """One tick's input: its id, how it looks, and what stood before it."""

    id: int
    text: str
    before: str


Word = tuple[Token, ...]


def network_of(language: str, network: str) -> str:
    """The folder of a network, as `models.load` wants it."""
    return f"sentiment/{FOLDERS[network].format(language)}"


def language_of(language: str, text: str) -> str:
    """Chinese where a Chinese character stands, else English, unless the visitor says which."""
    if language != "auto":
        return language
    return "zh" if HAN.search(text[:CHARACTERS]) else "en"


def words_of(net: Any, text: str) -> tuple[list[Word], int]:
    """The words of a text, each with its tokens, and how many characters are left unread."""
    found = net.tokenizer.encode(text[:CHARACTERS])
    words: list[Word] = []
    end = 0
    for id_, name, (start, stop) in list(zip(found.ids, found.tokens, found.offsets, strict=True))[:MOST]:
        goes_on = name.startswith("##") and bool(words)
        shown = as_typed(text[start:stop], name.removeprefix("##"))
        as_it_stands = shown == text[start:stop] and not text[end:start].strip()
        gap = text[end:start] if as_it_stands else " " * (bool(words) and not goes_on)
        token = Token(id_, shown, gap)
        words[-1:] = [(*words[-1], token)] if goes_on else [*words[-1:], (token,)]
        end = max(end, stop)
    return words, len(text[end:].strip())


def as_typed(typed: str, name: str) -> str:
    """A token as the visitor wrote it; a short form as what it stands for: n't as not."""
    return name if name in WRITTEN_OUT and typed.lower() != name else typed or name


def tokens_of(words: list[Word]) -> list[Token]:
    """All tokens, one a tick."""
    return list(chain(*words))


def ids_of(words: list[Word]) -> list[int]:
    """What the network reads."""
    return [token.id for token in tokens_of(words)]


# ---- changes, one click each ----------------------------------------------------------------


def spaced(words: list[Word], language: str) -> list[Word]:
    """Words in a new order, with one space between where the language has spaces."""
    gap = " " if language == "en" else ""
    return [(word[0]._replace(before=gap if i else ""), *word[1:]) for i, word in enumerate(words)]


def shuffled(words: list[Word], language: str, **_: Any) -> list[Word]:
    """The same words in a random order, the same one each time."""
    order = np.random.default_rng(1).permutation(len(words))
    return spaced([words[i] for i in order], language)


def reversed_(words: list[Word], language: str, **_: Any) -> list[Word]:
    """The last word first."""
    return spaced(words[::-1], language)


def dropped(words: list[Word], net: Any, **_: Any) -> list[Word]:
    """Without the word that moves the verdict most."""
    if len(words) < 2:
        return words
    from models.sentiment.explain import left_out

    at = int(np.abs(left_out(net, [[token.id for token in word] for word in words])).argmax())
    return words[:at] + words[at + 1 :]


def negated(words: list[Word], language: str, net: Any, **_: Any) -> list[Word]:
    """One negation more; or one less, if the text has one."""
    names = ["".join(token.text for token in word).lower() for word in words]
    no = "不" if language == "zh" else "not"
    if no in names:
        at = names.index(no)
        return words[:at] + words[at + 1 :]
    at = place_of_negation(names, language)
    id_ = net.tokenizer.token_to_id(no)
    space = " " if language == "en" else ""
    if at == 0:
        (first, *pieces), *others = words
        return [(Token(id_, no, ""),), (first._replace(before=first.before or space), *pieces), *others]
    return [*words[:at], (Token(id_, no, space),), *words[at:]]


def place_of_negation(names: list[str], language: str) -> int:
    """After the first auxiliary verb in English, before the first adverb of degree in Chinese; else in front."""
    if language == "zh":
        return next((i for i, name in enumerate(names) if name[0] in "很太真好挺非特"), 0)
    return next((i + 1 for i, name in enumerate(names) if name in AUXILIARY), 0)


CHANGES: dict[str, Callable[..., list[Word]]] = {
    "typed": lambda words, **_: words,
    "shuffled": shuffled,
    "reversed": reversed_,
    "dropped": dropped,
    "negated": negated,
}


def fillers(net: Any, language: str, count: int) -> list[Word]:
    """`count` neutral words."""
    text = FILLERS[language]
    line, _ = words_of(net, text)
    line = [(line[0][0]._replace(before=" " if language == "en" else ""), *line[0][1:]), *line[1:]]
    return (line * (count // len(line) + 1))[:count]


# ---- what the network and its relatives say --------------------------------------------------


@lru_cache(maxsize=32)
def analysis(language: str, network: str, text: tuple[Word, ...]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """For each reader the verdict after every token, for each method each word's effect, and for
    each cell the norm of the verdict's gradient at every tick: `verdicts`, `effects`, `pulls`."""
    from models.sentiment.explain import after_every_word, gradients, left_out
    from models.sentiment.network import chance

    net, ids, words = models.load(network_of(language, network)), ids_of(list(text)), list(text)
    lengths = [len(word) for word in words]
    effects = gradients(net, ids).effects
    per_word = np.add.reduceat(effects, np.cumsum([0, *lengths[:-1]]))
    out = {
        "verdicts": {"network": chance(after_every_word(net, ids)), "bag": bag_curve(language, ids)},
        "effects": {
            "left_out": np.repeat(left_out(net, [[token.id for token in word] for word in words]), lengths),
            "gradient": np.repeat(per_word, lengths),
        },
        "pulls": {},
    }
    for cell in FAMILY:
        relative = models.load(network_of(language, cell))
        out["verdicts"][cell] = chance(after_every_word(relative, ids))
        found = gradients(relative, ids)
        out["pulls"][cell] = found.pulls
        if cell == "lstm":
            out["pulls"]["lstm_c"] = found.cell_pulls
    return out


def chance_of(net: Any, rows: list[list[int]]) -> list[float]:
    """The calibrated probability that each text is positive."""
    from models.sentiment.network import chance

    return chance(net.odds(rows)).tolist()


def bag_curve(language: str, ids: list[int]) -> NDArray[np.float64]:
    """The bag of words' verdict after every token."""
    from models.sentiment.network import chance

    return chance(models.load(network_of(language, "one_way")).bag.odds(ids))
