"""One to many, 一对多: the network looks at a photo once and writes a caption.

    RW+     reads the photo at the first tick; from then on it writes, and reads nothing more

At the first tick x_0 = S·CNN(photo); after it h_t = f(U·x_t + W·h_{t-1}), where x_t is the word
written before, and p(word) = softmax(V·h_t). All that the caption says about the photo has to
come through the state: nobody looks at the picture again.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

import numpy as np

import models
from demos import photos
from demos.base import Beam, Candidate, Demo, Input, InputError, Step, around, unit_numbers
from models import device
from models.captioner.data import END, STARTS, UNKNOWN
from models.sampling import draw, soften
from models.tick import Array, State

NETWORK = "captioner/flickr8k"
METHODS = ("beam", "greedy", "sample")
MOST = 20  # words
SHOWN = 10  # candidates a tick
CUT = 4  # beams a tick that are shown although they are cut
PHOTO = "[photo]"
NAMES = {PHOTO: "caption.photo", END: "caption.end", STARTS["en"]: "choice.en", STARTS["zh"]: "choice.zh"}
BASES = ("mean", "blank")  # what the photo is compared with: the mean photo, and a white one

INPUTS = (
    Input("photo", "photo", "shepherd", live=True),
    Input("language", "choice", "en", choices=("en", "zh"), live=True),
    Input("method", "choice", "beam", choices=METHODS, live=True),
    Input("width", "whole", 3, low=1, high=10, live=True, only={"method": ("beam",)}),
    Input("temperature", "number", 0.7, low=0, high=2, step=0.05, live=True, only={"method": ("sample",)}),
    Input("seed", "whole", 1, low=0, high=9999, live=True, only={"method": ("sample",)}),
    Input("erase", "whole", 0, low=0, high=MOST, live=True),
    Input("other", "photo", "", optional=True, live=True, place="advanced"),
    Input("mix", "number", 0.0, low=0, high=1, step=0.05, live=True, place="advanced"),
    Input("written", "tokens", (), high=MOST + 1, place="hidden"),
    Input("chosen", "places", (), high=MOST + 1, place="hidden"),
)


@lru_cache(maxsize=128)
def encoding_of(photo: str) -> Array:
    """A checked photo's encoding (D,)."""
    return models.load(NETWORK).encode(photos.pixels_of(photo)[None])[0]


@lru_cache(maxsize=1)
def blank() -> Array:
    """The encoding (D,) of a white square."""
    return models.load(NETWORK).encode(np.full((1, photos.SIZE, photos.SIZE, 3), 255, np.uint8))[0]


def seed_of(photo: str, other: str, mix: float) -> Array:
    """The encoding that seeds the caption: of one photo, or of two mixed."""
    mine = encoding_of(photo)
    return mine + mix * (encoding_of(other) - mine) if other and mix else mine


def steps(
    photo: str,
    language: str = "en",
    method: str = "beam",
    width: int = 3,
    temperature: float = 0.7,
    seed: int = 1,
    erase: int = 0,
    other: str = "",
    mix: float = 0.0,
    written: Sequence[str] = (),
    chosen: Sequence[int] = (),
) -> Iterator[Step]:
    """One step a tick: reads the photo, replays `written`, then goes on writing.

    Three streams read the same words: one has seen the photo, one the mean photo of the training
    set, one a white square. After `erase` words the first stream takes over the second one's
    state, and goes on as if it had never seen this photo.
    """
    net = models.load(NETWORK)
    tick = net.look(np.stack([seed_of(photo, other, mix), net.familiar.mean, blank()]), net.zero(3))
    yield Step(read=PHOTO, **fields_of(tick))
    token, plan = STARTS[language], Plan(net, language, width)
    for place, uniform in enumerate(np.random.default_rng(seed).random(MOST + 1)):
        state = tick.state
        if erase and place == erase:
            state = State(*(part[[1, 1, 2]] for part in state))
            plan = Plan(net, language, width)
        before = state
        tick = net.tick([net.ids[token]] * len(state.h), state)
        logits = net.writable(tick.logits, language)
        if place == MOST:
            logits[:, np.arange(logits.shape[1]) != net.end] = -1e9
        chances = soften(logits)  # (3, V)
        fields: dict[str, Any] = {"fed": token}
        if erase and place == erase:
            fields["replaced"] = (before.h[:1], before.c[:1])
        if place < len(written):
            wish = net.ids.get(written[place], net.ids[UNKNOWN])
            if logits[0, wish] < -1e8:  # no word of this language
                raise InputError("error.written")
        elif method == "beam":
            wish, fields["beams"], fields["later"] = plan.next(tick.state, tick.logits)
        else:
            wish = draw(soften(logits[0], temperature if method == "sample" else 0), uniform)
        fields |= belief(net, chances, wish, soften(logits[0], temperature) if method == "sample" else None)
        token = net.tokens[wish]
        yield Step(**fields, **fields_of(tick), written=token, chosen=place in chosen)
        if token == END:
            return


def fields_of(tick: Any) -> dict[str, Any]:
    """The first stream's state, memory and gates, one layer: rows of (1, H)."""
    gates = {name: gate[:1] for name, gate in tick.gates.items()}
    return {"state": tick.state.h[:1], "memory": tick.state.c[:1], "gates": gates}


def belief(net: Any, chances: Array, wish: int, drawn: Array | None) -> dict[str, Any]:
    """What stood to choose from at a tick, and what the photo has to do with the word `wish`, in nats."""
    best = np.argpartition(-chances[0], SHOWN)[:SHOWN]
    best = best[np.argsort(-chances[0][best], kind="stable")]
    odds = np.log(np.maximum(chances[:, wish], 1e-30))
    return {
        "probability": float(chances[0, wish]),
        "effects": {base: float(odds[0] - odds[i]) for i, base in enumerate(BASES, 1)},
        "candidates": tuple(
            Candidate(net.tokens[i], float(chances[0, i]), float(drawn[i]) if drawn is not None else float(i == wish))
            for i in best
        ),
    }


class Plan:
    """The rest of a caption by beam search, and what the search looked at on the way."""

    def __init__(self, net: Any, language: str, width: int) -> None:
        self.net, self.language, self.width = net, language, width
        self.path: list[int] = []
        self.levels: list[tuple[Beam, ...]] = []

    def next(self, state: State, logits: Array) -> tuple[int, tuple[Beam, ...], tuple[tuple[Beam, ...], ...]]:
        """The next word, all beginnings of this length, and behind the last word those that are longer. It
        searches when first asked."""
        if not self.path:
            self.search(State(*(part[:1] for part in state)), logits[:1])
        word, level = self.path.pop(0), self.levels.pop(0)
        return word, level, () if self.path else tuple(self.levels)

    def search(self, state: State, logits: Array) -> None:
        """Both searches, the wide one and the greedy one, from a state (1, H) and logits (1, V)."""
        from models.captioner.search import levels

        wide = list(levels(self.net, state, logits, self.language, self.width))
        greedy = [level[0] for level in levels(self.net, state, logits, self.language, 1)]
        done = [b for level in wide for b in level if b.kept and b.finished]
        self.path = max(done, key=lambda b: b.score()).tokens()
        self.levels = tree(self.net, self.width, wide, greedy)


def tree(net: Any, width: int, wide: list[list[Any]], greedy: list[Any]) -> list[tuple[Beam, ...]]:
    """The levels of a search as plain data; greedy's path is in it to its end, also where it was cut."""
    out, before = [], {(): 0}
    for depth in range(max(len(wide), len(greedy))):
        level = wide[depth][: width + CUT] if depth < len(wide) else []
        path = tuple(greedy[depth].tokens()) if depth < len(greedy) else None
        paths = [tuple(b.tokens()) for b in level]
        rows = [
            Beam(net.tokens[b.token], before[p[:-1]], b.total, b.kept, p == path)
            for b, p in zip(level, paths, strict=True)
        ]
        if path is not None and path not in paths:
            rows.append(Beam(net.tokens[path[-1]], before[path[:-1]], greedy[depth].total, False, True))
            paths.append(path)
        before = {p: i for i, p in enumerate(paths)}
        out.append(tuple(rows))
    return out


def header(photo: str, language: str, method: str, other: str, mix: float, erase: int, **_: Any) -> dict[str, Any]:
    """What a drawing needs to know before the first step: the network, the photo, how strange it is."""
    net = models.load(NETWORK)
    encoding = seed_of(photo, other, mix)
    farther = net.farther(encoding)
    hints = [*getattr(photo, "hints", ()), *getattr(other, "hints", ())]
    if not (other and mix) and farther < net.familiar.least:
        hints.append("hint.photo.far")
    return {
        "network": "flickr8k",
        "cell": "lstm",
        "layers": 1,
        "sizes": [net.config["embedding_size"], net.config["hidden_size"], net.config["vocab_size"]],
        "parameters": net.parameters,
        "names": NAMES,
        "unknown": [],
        "hints": hints,
        "photo": photos.shown(photo, other, mix),
        "language": language,
        "method": method,
        "erase": erase,
        "alpha": alpha(),
        "farther": farther,
    }


def alpha() -> float:
    """The power of the length by which a beam's score is divided."""
    from models.captioner.search import ALPHA

    return ALPHA


def numbers(inputs: dict[str, Any], t: int, layer: int, unit: int) -> dict[str, Any]:
    """Everything that one unit computed at a tick, so that it can be done again by hand."""
    net = models.load(NETWORK)
    before, now, _ = around(steps(**inputs), t)
    if now.read is None:
        x = net.embedding[net.ids[now.fed]]
    else:
        x = net.seed @ seed_of(inputs["photo"], inputs["other"], inputs["mix"]) + net.seed_bias
    if now.replaced is not None:
        before = before._replace(state=now.replaced[0], memory=now.replaced[1])
    return unit_numbers(net.cell, x, before, now, layer, unit)


def heat(inputs: dict[str, Any], t: int) -> dict[str, Any]:
    """Grad-CAM (Selvaraju et al. 2017) for the word written at a tick: how much each of the 9 × 9
    places of the photo speaks for it, from 0 to 1, row by row. Only for what the photo alone says."""
    found = list(islice(steps(**inputs), t + 1))
    words = [inputs["language"], *(step.written for step in found[1:])]
    if len(words) < 2 or (inputs["other"] and inputs["mix"]) or 0 < inputs["erase"] < t:
        return {}
    net = models.load(NETWORK)
    ids = [net.starts[inputs["language"]], *(net.ids[word] for word in words[1:])]
    return {"heat": net.attribution(photos.pixels_of(inputs["photo"]), ids).ravel().round(3).tolist()}


def devices(**_: Any) -> dict[str, str]:
    """What computed which part."""
    return {"tick": device.CPU, "photo": device.name(models.load(NETWORK).module)}


def cards() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The facts on the network, from its files; it is not loaded."""
    try:
        with models.reading(NETWORK):
            return {"card.captioner": card(models.facts(NETWORK))}
    except models.NetworkError:
        return {"card.captioner": [("error.network", {})]}


def card(facts: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The network's size, data, scores and failures, as keys of demos/text with their values."""
    config, scores = facts["config"], facts["scores"]
    size = {"units": config["hidden_size"], "vocab": f"{config['vocab_size']:,}"}
    return [
        ("card.captioner.size", size | {"parameters": f"{scores['parameters']:,}"}),
        ("card.captioner.data", {}),
        *(("card.captioner.score", score_of(scores[lang], lang)) for lang in ("en", "zh")),
        ("card.captioner.published", {}),
        ("card.captioner.failures", {}),
    ]


def score_of(scores: dict[str, Any], language: str) -> dict[str, Any]:
    """One language's figures, for a reader."""
    kept = {name: f"{scores[name]:.1f}" for name in ("bleu1", "bleu4", "cider")}
    shares = {name: f"{scores[name]:.0%}" for name in ("distinct_captions", "copied")}
    return kept | shares | {"language": f"choice.{language}", "words": scores["words"], "beam": scores["beam"]}


def caption(
    photo: str | dict,
    language: Literal["en", "zh"] = "en",
    method: Literal["beam", "greedy", "sample"] = "beam",
    width: int = 3,
    temperature: float = 0.7,
    seed: int = 1,
) -> Iterator[dict[str, Any]]:
    """Write a caption for a photo, word by word, with a recurrent network.

    Args:
        photo: A picture as a data URL (data:image/jpeg;base64,...), an uploaded file, or the name of an example photo.
        language: en for English, zh for Chinese.
        method: beam (beam search), greedy (always the likeliest word) or sample (draw at random).
        width: For beam: how many beginnings are kept at each word, 1 to 10.
        temperature: For sample: from 0 (always the likeliest word) to 2 (wild).
        seed: For sample: the same seed gives the same caption.

    Returns:
        The caption so far, streamed: its words with their probabilities and how much the photo raised the
        log-probability of each over the mean photo; the other captions of a beam search with their scores;
        and which share of ordinary photos lies farther from those that the network knows.
    """
    inputs = DEMO.check(locals())
    words: list[dict[str, Any]] = []
    beams: list[tuple[Beam, ...]] = []
    known = {"language": language, "farther": round(header(**inputs)["farther"], 4)}
    for step in steps(**inputs):
        beams += [step.beams, *step.later] if step.beams else []
        if step.written not in (None, END):
            raised = round(step.effects["mean"], 4)
            words.append({"word": step.written, "probability": round(step.probability, 5), "raised": raised})
            yield known | result(words, language) | {"others": [], "complete": False}
    others = finished(beams, language)[1:]
    yield known | result(words, language) | {"others": others, "complete": True}


def result(words: list[dict[str, Any]], language: str) -> dict[str, Any]:
    """The caption so far."""
    return {"caption": as_text([w["word"] for w in words], language), "words": list(words)}


def finished(beams: list[tuple[Beam, ...]], language: str) -> list[dict[str, Any]]:
    """The captions that a search kept to their end, the best one first."""
    found = []
    for depth, level in enumerate(beams):
        for beam in level:
            if beam.kept and beam.token == END:
                score = beam.total / (depth + 1) ** alpha()
                found.append({"caption": as_text(back(beams, depth, beam)[:-1], language), "score": round(score, 4)})
    return sorted(found, key=lambda row: -row["score"])


def back(beams: list[tuple[Beam, ...]], depth: int, beam: Beam) -> list[str]:
    """The tokens that lead to a beam."""
    tokens = [beam.token]
    for level in reversed(beams[:depth]):
        beam = level[beam.parent]
        tokens.append(beam.token)
    return tokens[::-1]


def as_text(words: list[str], language: str) -> str:
    """Words as one reads them."""
    return "".join(words) if language == "zh" else " ".join(words)


KNOWN = ("shepherd", "retriever", "horses", "dachshund", "football", "mariachi", "photographer", "astronaut")
UNKNOWN_THINGS = ("cat", "coffee", "rocket", "painting")  # it never saw such pictures

EXAMPLES = tuple({"photo": name, "language": "zh" if i == 1 else "en"} for i, name in enumerate(KNOWN + UNKNOWN_THINGS))

DEMO = Demo(
    name="one_to_many",
    tab="one_to_many",
    order=10,
    pattern="RW+",
    inputs=INPUTS,
    examples=EXAMPLES,
    opening={"en": 0, "zh-CN": 1},
    steps=steps,
    header=header,
    devices=devices,
    numbers=numbers,
    look=heat,
    cards=cards,
    api={"caption": caption},
    view="caption",
)
