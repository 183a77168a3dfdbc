"""The two types that everything shares: `Step`, one tick of a network, and `Demo`, one pattern."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST_TOKEN = 64  # characters; a token that the page sends back
NONE: Mapping[str, Any] = MappingProxyType({})


class Candidate(NamedTuple):
    """A token that could have been written at a tick.

    `probability` is the network's own, softmax(logits). `chance` is that of being drawn,
    after temperature, top-k and top-p; it is 0 for what they cut away.
    """

    token: str
    probability: float
    chance: float


class Beam(NamedTuple):
    """A beginning of the text at one tick of a beam search.

    `parent` counts from 0 among the beams of the tick before, and `total` is the log-probability
    of the whole beginning in nats. Of those not kept, the one on the greedy path may be followed on.
    """

    token: str
    parent: int
    total: float
    kept: bool
    greedy: bool = False


class Step(NamedTuple):
    """One tick: what went in, what came out, and the memory in between.

    `read` came from outside and `written` goes out; `fed` is a token of the network's own
    that went back in, which is neither. `surprise` is -log2 of the probability, in bits,
    that the tick before had given to what is read now.
    """

    read: str | None = None
    fed: str | None = None
    written: str | None = None
    probability: float | None = None  # of `written`, by the network
    chosen: bool = False  # `written` was set by the visitor, not drawn
    surprise: float | None = None
    before: str = ""  # what stood in the text between the token before and this one
    verdicts: Mapping[str, float] = NONE  # reader -> p(positive), if the text ended here
    effects: Mapping[str, float] = NONE  # method -> what this word adds to the log-odds
    pulls: Mapping[str, float] = NONE  # reader -> norm of the verdict's gradient for h_t
    candidates: tuple[Candidate, ...] = ()
    state: NDArray[np.float32] | None = None  # h_t of every layer, (L, H)
    memory: NDArray[np.float32] | None = None  # c_t of an LSTM, (L, H)
    gates: Mapping[str, NDArray[np.float32]] = NONE  # name -> (L, H)
    replaced: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None  # h and c put in place of the last ones
    beams: tuple[Beam, ...] = ()  # all beginnings that a beam search looked at in this tick
    later: tuple[tuple[Beam, ...], ...] = ()  # with the last word of a caption: those that grew longer, tick by tick

    @property
    def kind(self) -> str:
        """R, W or B: reads, writes, or both."""
        if self.read is not None and self.written is not None:
            return "B"
        return "R" if self.written is None else "W"


def shape(steps: Iterable[Step]) -> str:
    """The steps as a word over R, W and B, to be matched with a demo's pattern."""
    return "".join(step.kind for step in steps)


def around(steps: Iterable[Step], t: int) -> tuple[Step | None, Step, Step | None]:
    """Tick `t` between its neighbours; IndexError if there is no such tick."""
    found = list(itertools.islice(steps, max(t - 1, 0), t + 2))
    found = [None, *found] if t == 0 else found
    return found[0], found[1], found[2] if len(found) > 2 else None


def unit_numbers(tick: Any, x: NDArray, before: Step | None, now: Step, layer: int, unit: int) -> dict[str, Any]:
    """What one unit adds up at a tick: `tick` is its layer, `x` (E,) that layer's input, and
    `before` the step whose state it read."""
    zeros = np.zeros_like(now.state)
    state, memory = (zeros, zeros) if before is None else (before.state, before.memory)
    out = {"sums": tick.sums(x, state[layer], unit)}
    out["gates"] = {name: float(gate[layer, unit]) for name, gate in now.gates.items()}
    out |= {"h_before": float(state[layer, unit]), "h": float(now.state[layer, unit])}
    if now.memory is not None:
        out |= {"c_before": float(memory[layer, unit]), "c": float(now.memory[layer, unit])}
    return out


class InputError(ValueError):
    """Something that the visitor can mend; `key` names a sentence in demos/text."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key, self.values = key, values


@dataclass(frozen=True)
class Input:
    """One argument of a demo: its control on the page, its default and bounds in the API.

    `high` is the most characters of a text and the highest of a number. The words for it
    stand in demos/text as `input.NAME`, and `choice.VALUE` for each of `choices`. `only`
    shows it for some values of another input, `{"network": ("tang",)}`.
    """

    name: str
    kind: str  # text | choice | number | whole | photo | tokens | places
    default: Any
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float = 1
    lines: int = 1
    live: bool = False  # the run starts anew as it changes
    optional: bool = False  # a photo that may be missing
    place: str = "main"  # main | advanced | hidden: only the page itself sets it
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, value: Any) -> Any:
        """The value in its proper type; InputError where it is none."""
        return getattr(self, f"_{self.kind}")(value)

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise InputError("error.not_text", name=self.name)
        if len(value) > self.high:
            raise InputError("error.too_long", name=self.name, limit=int(self.high), length=len(value))
        return _whole_characters(value)

    def _choice(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise InputError("error.no_choice", name=self.name, choices=", ".join(self.choices))
        return value

    def _number(self, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high:
            raise InputError("error.out_of_range", name=self.name, low=self.low, high=self.high)
        return float(value)

    def _whole(self, value: Any) -> int:
        number = self._number(value)
        if number != int(number):
            raise InputError("error.not_whole", name=self.name, low=self.low, high=self.high)
        return int(number)

    def _photo(self, value: Any) -> str:
        from demos import photos  # which needs Pillow, and this module

        if value not in (None, ""):
            return photos.checked(value)
        if not self.optional:
            raise InputError("error.photo.missing")
        return ""

    def _tokens(self, value: Any) -> list[str]:
        if not isinstance(value, list | tuple) or len(value) > self.high:
            raise InputError("error.written", limit=int(self.high))
        if not all(isinstance(token, str) and 0 < len(token) <= LONGEST_TOKEN for token in value):
            raise InputError("error.written", limit=int(self.high))
        return [_whole_characters(token) for token in value]

    def _places(self, value: Any) -> list[int]:
        if not isinstance(value, list | tuple) or len(value) > self.high:
            raise InputError("error.written", limit=int(self.high))
        if not all(type(place) is int and 0 <= place <= self.high for place in value):
            raise InputError("error.written", limit=int(self.high))
        return list(value)


def _whole_characters(text: str) -> str:
    """The text without halves of characters (lone surrogates), which nothing can encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class Demo:
    """One input/output pattern with a network behind it.

    `pattern` is a regular expression over the kinds of steps. `steps` takes the inputs by
    name and yields one Step a tick; same arguments, same steps. `header` takes the same
    inputs and tells what a drawing needs before the first step; `numbers` takes the inputs, a tick,
    a layer and a unit and tells what that unit computed; `cards` gives the facts on
    each network as keys of demos/text with their values; `look` takes the inputs and a tick and tells
    what a drawing asks for beyond its gates; `devices` takes the inputs and tells what computed which
    part of a run. `api` names functions with typed
    arguments that are served over HTTP. `view` is the drawing beside the controls. Demos that
    share a `tab` stand side by side.
    """

    name: str
    tab: str
    order: int
    pattern: str
    inputs: tuple[Input, ...]
    examples: tuple[Mapping[str, Any], ...]
    opening: Mapping[str, int]  # language -> the example that greets its readers
    steps: Callable[..., Iterator[Step]]
    header: Callable[..., dict[str, Any]]
    numbers: Callable[..., dict[str, Any]]
    cards: Callable[[], dict[str, list[tuple[str, dict[str, Any]]]]]
    api: Mapping[str, Callable[..., Iterator[dict[str, Any]]]]
    devices: Callable[..., dict[str, str]]
    look: Callable[..., dict[str, Any]] | None = None
    view: str = "text"
    many: bool = False  # also for a list of texts

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All inputs in their proper types, absent ones by default; InputError otherwise."""
        return {i.name: i.check(values.get(i.name, i.default)) for i in self.inputs}

    def fits(self, steps: Iterable[Step]) -> bool:
        """Whether these steps have the demo's pattern."""
        return re.fullmatch(self.pattern, shape(steps)) is not None
