"""Many to one, 多对一: the network reads a sentence and says, at its last word, how it is meant.

    R*B     reads every word; at the last one it writes its verdict

At every tick h_t = f(U·x_t + W·h_{t-1}); the verdict is softmax(V·h_T). The same V can be put
to every earlier state, too: what the network would say if the sentence ended there. A
bidirectional network reads the sentence a second time from its end, and its verdict comes
from both last states side by side.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

import models
from demos import listing, sentences
from demos.base import Candidate, Demo, Input, InputError, Step, around, unit_numbers
from demos.limits import LIMITS, Pace
from models import device

LONGEST = LIMITS.sentence  # characters of a text
ANALYSED = 300  # tokens; of a longer text only the verdict is computed
STRANGE = 0.5  # share of words in pieces from which on another language is suspected
NAMES = {"positive": "verdict.positive", "negative": "verdict.negative"}

INPUTS = (
    Input("text", "text", "", high=LONGEST, lines=4, live=True),
    Input("change", "choice", "typed", choices=tuple(sentences.CHANGES), live=True),
    Input("fillers", "whole", 0, low=0, high=100, live=True),
    Input("network", "choice", "one_way", choices=tuple(sentences.FOLDERS), live=True),
    Input("language", "choice", "auto", choices=("auto", "en", "zh"), place="advanced", live=True),
)

EXAMPLES = (
    {
        "text": "It used to be the best restaurant in town, but now the food is bland and the waiters are rude.",
        "network": "one_way",
        "change": "typed",
        "fillers": 0,
    },
    {"text": "Not a single dull moment."},
    {"text": "The jokes are old, the plot is silly, and I have never laughed so much.", "network": "two_way"},
    {"text": "等了快一个小时，包装也很简单，但是味道真的不错，一点也不难吃。"},
    {"text": "外观很漂亮，可惜用了两天就坏了。"},
)


def choose(text: str, language: str, network: str) -> tuple[Any, str]:
    """The network for a text, and the text's language."""
    language = sentences.language_of(language, text)
    return models.load(sentences.network_of(language, network)), language


def reading(
    net: Any, text: str, language: str, change: str, fillers: int
) -> tuple[list[sentences.Word], list[sentences.Word], int]:
    """The words as typed, the words as the network reads them, and the characters left unread."""
    if not any(c.isalnum() for c in text):
        raise InputError("error.no_words" if text.strip() else "error.no_text")
    typed, unread = sentences.words_of(net, text)
    if not typed:
        raise InputError("error.no_words")
    read = sentences.CHANGES[change](typed, language=language, net=net)
    read = [*read, *sentences.fillers(net, language, fillers)]
    return typed, read[: sentences.MOST], unread


def steps(
    text: str, network: str = "one_way", language: str = "auto", change: str = "typed", fillers: int = 0
) -> Iterator[Step]:
    """One step a token: every layer's state, the verdict so far, why, and how far back it reaches."""
    net, language = choose(text, language, network)
    _, words, _ = reading(net, text, language, change, fillers)
    tokens, passes = sentences.tokens_of(words), [ticks(net, words, direction) for direction in net.layers]
    measured = measures(net, words, language, network, passes)
    for t, token in enumerate(tokens):
        fields = stacked([passed[t] for passed in passes])
        fields |= {kind: {n: float(v[t]) for n, v in of.items() if v[t] == v[t]} for kind, of in measured.items()}
        if t == len(tokens) - 1:
            fields |= written(net.verdict(*last(passes)))
        yield Step(read=token.text, before=token.before, **fields)


def ticks(net: Any, words: list[sentences.Word], direction: str) -> list[Any]:
    """One direction's reading, in the order of the text."""
    ids = sentences.ids_of(words)
    state, out = net.zero(direction), []
    for id_ in ids if direction == "forwards" else reversed(ids):
        tick = net.tick(id_, state, direction)
        state = tick.state
        out.append(tick)
    return out if direction == "forwards" else out[::-1]


def last(passes: list[list[Any]]) -> list[np.ndarray]:
    """The top state (1, H) of each direction when it has read everything."""
    ends = [passes[0][-1], *(passed[0] for passed in passes[1:])]
    return [tick.state[-1].h for tick in ends]


def stacked(now: list[Any]) -> dict[str, Any]:
    """The states, memories and gates of all layers at a tick, forwards first: rows of (L, H)."""
    layers = [layer for tick in now for layer in tick.state]
    gates = [layer for tick in now for layer in tick.gates]
    fields: dict[str, Any] = {"state": np.concatenate([layer.h for layer in layers])}
    if layers[0].c is not None:
        fields["memory"] = np.concatenate([layer.c for layer in layers])
    return fields | {"gates": {name: np.concatenate([layer[name] for layer in gates]) for name in gates[0]}}


def measures(
    net: Any, words: list[sentences.Word], language: str, network: str, passes: list[list[Any]]
) -> dict[str, dict[str, Any]]:
    """The whole analysis of a text; of a long one only the network's verdict, where it costs nothing."""
    length = len(passes[0])
    if length <= ANALYSED:
        return sentences.analysis(language, network, tuple(words))
    curve = [np.nan] * (length - 1)
    if len(passes) == 1:
        curve = [net.verdict(tick.state[-1].h) for tick in passes[0][:-1]]
    bag = sentences.bag_curve(language, sentences.ids_of(words))
    return {"verdicts": {"network": np.array([*curve, net.verdict(*last(passes))]), "bag": bag}}


def written(positive: float) -> dict[str, Any]:
    """The verdict as what the last tick writes."""
    both = sorted((("positive", positive), ("negative", 1 - positive)), key=lambda pair: -pair[1])
    candidates = tuple(Candidate(name, p, p) for name, p in both)
    return {"written": both[0][0], "probability": both[0][1], "candidates": candidates}


def header(text: str, network: str, language: str, change: str, fillers: int) -> dict[str, Any]:
    """What a drawing needs to know before the first step: the network, and what was done to the text."""
    net, language = choose(text, language, network)
    typed, words, unread = reading(net, text, language, change, fillers)
    tokens, config = sentences.tokens_of(words), net.config
    return {
        "network": network,
        "language": language,
        "cell": config["cell"],
        "layers": config["num_layers"],
        "directions": 1 + config["bidirectional"],
        "sizes": [config["embedding_size"], config["hidden_size"], 2],
        "parameters": net.parameters,
        "unknown": list(dict.fromkeys(token.text for token in tokens if token.id == net.unknown)),
        "names": NAMES,
        "reader": "network",
        "read": len(tokens),
        "unread": unread,
        "analysed": len(tokens) <= ANALYSED,
        "change": change,
        "fillers": fillers,
        "before": before(net, typed, language) if change != "typed" or fillers else None,
        "hints": hints(words, language),
    }


def before(net: Any, typed: list[sentences.Word], language: str) -> dict[str, Any]:
    """The text as it was typed, and its verdicts."""
    ids = sentences.ids_of(typed)
    text = "".join(token.before + token.text for token in sentences.tokens_of(typed))
    verdicts = {"network": sentences.chance_of(net, [ids])[0], "bag": float(sentences.bag_curve(language, ids)[-1])}
    return {"text": text, "verdicts": verdicts}


def hints(words: list[sentences.Word], language: str) -> list[str]:
    """What the visitor should know before he believes the verdict: keys of demos/text."""
    letters = [word for word in words if any(c.isalpha() for token in word for c in token.text)]
    if language == "en":
        strange = [word for word in letters if len(word) > 1 or not word[0].text.isascii()]
    else:
        strange = [word for word in letters if not sentences.HAN.search("".join(token.text for token in word))]
    return ["hint.strange"] if letters and len(strange) >= STRANGE * len(letters) else []


def numbers(inputs: dict[str, Any], t: int, layer: int, unit: int) -> dict[str, Any]:
    """Everything that one unit computed at a tick, so that it can be done again by hand."""
    net, language = choose(inputs["text"], inputs["language"], inputs["network"])
    _, words, _ = reading(net, inputs["text"], language, inputs["change"], inputs["fillers"])
    before, now, after = around(steps(**inputs), t)
    backwards = layer >= net.config["num_layers"]
    direction, own = ("backwards", layer - net.config["num_layers"]) if backwards else ("forwards", layer)
    x = net.embedding[sentences.ids_of(words)[t]] if own == 0 else now.state[layer - 1]
    return unit_numbers(net.layers[direction][own], x, after if backwards else before, now, layer, unit)


def cards() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The facts on the networks of each language, from their files; none is loaded."""
    return {
        f"card.sentiment.{language}": [
            (f"card.sentiment.{language}.data", {}),
            *(card_of(language, network) for network in sentences.FOLDERS),
            (f"card.sentiment.{language}.failures", {}),
        ]
        for language in ("en", "zh")
    }


def card_of(language: str, network: str) -> tuple[str, dict[str, Any]]:
    """One network's size and scores, as a key of demos/text; a damaged one costs its own line only."""
    try:
        with models.reading(name := sentences.network_of(language, network)):
            return f"card.sentiment.{language}.network", values_of(models.facts(name), network)
    except models.NetworkError:
        return "error.network", {}


def values_of(facts: dict[str, Any], network: str) -> dict[str, Any]:
    """The figures on a network's card."""
    values = {"name": f"choice.{network}", "units": facts["config"]["hidden_size"]}
    values["parameters"] = f"{facts['scores']['parameters']:,}"
    for name, score in facts["scores"]["files"].items():
        values |= {name: f"{score['accuracy']:.1%}", f"{name}_error": f"{score['calibration_error']:.1%}"}
    return values


def sentiment(
    text: str | list[str],
    language: Literal["auto", "en", "zh"] = "auto",
    network: Literal["one_way", "two_way", "rnn", "gru", "lstm", "bilstm"] = "one_way",
) -> Iterator[dict[str, Any]]:
    """Say whether a text is meant positively or negatively, with a recurrent network.

    Args:
        text: One text, or a list of up to 10,000. Of each, the first 1,000 words and pieces of words are read.
        language: en, zh, or auto to recognise it.
        network: one_way (LSTM, the last state decides), two_way (bidirectional LSTM), or one of four small networks
            that differ in the cell only: rnn, gru, lstm, bilstm.

    Returns:
        The verdict and its calibrated probability, that of positive, and the language; for a list, `results` of these,
        and before them, streamed, how many are `done`.
    """
    single = isinstance(text, str)
    given = DEMO.check({"language": language, "network": network, "text": text if single else ""})
    rows: list[dict[str, Any]] = []
    pace, texts = None, [given["text"]] if single else text
    for row in listing.verdicts(texts, given["language"], given["network"]):
        rows.append(row)
        pace = pace or Pace()  # from the first verdict on, since a network may have to be opened before
        if pace.due() and len(rows) < len(texts):  # where nobody waits for the rest any more, this is where it ends
            yield {"done": len(rows), "count": len(texts)}
    yield rows[0] if single else {"results": rows}


def devices(text: str, network: str, language: str, **_: Any) -> dict[str, str]:
    """What computed which part."""
    return {"tick": device.CPU, "effects": device.name(choose(text, language, network)[0].module)}


DEMO = Demo(
    name="many_to_one",
    tab="many_to_one",
    order=20,
    pattern="R*B",
    inputs=INPUTS,
    examples=EXAMPLES,
    opening={"en": 0, "zh-CN": 3},
    steps=steps,
    header=header,
    devices=devices,
    numbers=numbers,
    cards=cards,
    api={"sentiment": sentiment},
    view="verdict",
    many=True,
)
