"""The recurrence itself: by hand, its sizes, its gradients, its patterns.

Nothing here is trained. The functions are what the page computes and what it shows as code.
"""

import inspect
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from demos.base import InputError

STEPS, FEATURES, HIDDEN, OUTPUTS = 3, 2, 3, 4
LARGEST = 1_000.0  # of a number in a table
NUMBERS = 4_000_000  # of a tensor, and of all weights together: 16 MB each
BOUNDS = {
    "batch": (1, 256),
    "length": (1, 512),
    "input": (1, 1024),
    "hidden": (1, 1024),
    "layers": (1, 8),
    "directions": (1, 2),
    "classes": (1, 1000),
}
TIMES, UNITS = 100, 16  # of the experiment with gradients
# A gate that keeps a state for T steps starts near 1 − 1/T: a bias of log(T − 1), Tallec & Ollivier 2018.
KEEP = math.log(TIMES - 1)
TABLES = {
    "x": (STEPS, FEATURES),
    "W_xh": (HIDDEN, FEATURES),
    "W_hh": (HIDDEN, HIDDEN),
    "W_hy": (OUTPUTS, HIDDEN),
    "b_h": (1, HIDDEN),
    "b_y": (1, OUTPUTS),
}
OPENING: dict[str, list[list[float]]] = {
    "x": [[1.0, 2.0], [0.5, -1.0], [-1.0, 0.5]],
    "W_xh": [[0.5, -0.3], [0.2, 0.4], [-0.6, 0.1]],
    "W_hh": [[0.1, 0.4, -0.2], [-0.3, 0.2, 0.5], [0.6, -0.1, 0.3]],
    "W_hy": [[1.0, -0.5, 0.2], [0.3, 0.8, -0.4], [-0.7, 0.1, 0.9], [0.5, 0.5, -1.0]],
    "b_h": [[0.3, 0.0, -0.1]],
    "b_y": [[0.0, 0.1, 0.2, -0.1]],
}

# ---- 1. the recurrence by hand ---------------------------------------------------------------


def by_hand(
    x: np.ndarray, W_xh: np.ndarray, W_hh: np.ndarray, W_hy: np.ndarray, b_h: np.ndarray, b_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hidden states (T, H) and the outputs (T, O) of inputs (T, I), from h_0 = 0."""
    h, hs, os = np.zeros(len(W_hh)), [], []
    for x_t in x:
        h = np.tanh(W_xh @ x_t + W_hh @ h + b_h)  # (H, I) (I,), (H, H) (H,) -> (H,)
        hs.append(h)
        os.append(W_hy @ h + b_y)  # (O, H) (H,) -> (O,)
    return np.array(hs), np.array(os)  # (T, H), (T, O)


def named(suffix: str, W_xh: np.ndarray, W_hh: np.ndarray, b_h: np.ndarray) -> dict:
    """Our weights by PyTorch's names. It has two biases where one is enough: the second is zero."""
    import torch

    values = {"weight_ih": W_xh, "weight_hh": W_hh, "bias_ih": b_h, "bias_hh": np.zeros_like(b_h)}
    return {f"{name}{suffix}": torch.tensor(value) for name, value in values.items()}


def by_cell(x: np.ndarray, W_xh: np.ndarray, W_hh: np.ndarray, b_h: np.ndarray) -> np.ndarray:
    """The hidden states (T, H) by nn.RNNCell, one call a time step."""
    import torch

    cell = torch.nn.RNNCell(*W_xh.shape[::-1]).double()
    cell.load_state_dict(named("", W_xh, W_hh, b_h))
    h, hs = torch.zeros(1, len(W_hh)).double(), []
    for x_t in torch.tensor(x):
        h = cell(x_t[None], h)  # (1, I) (1, H) -> (1, H)
        hs.append(h[0])
    return torch.stack(hs).detach().numpy()  # (T, H)


def by_rnn(x: np.ndarray, W_xh: np.ndarray, W_hh: np.ndarray, b_h: np.ndarray) -> np.ndarray:
    """The hidden states (T, H) by nn.RNN, one call for the whole sequence."""
    import torch

    rnn = torch.nn.RNN(*W_xh.shape[::-1], batch_first=True).double()
    rnn.load_state_dict(named("_l0", W_xh, W_hh, b_h))
    output, _ = rnn(torch.tensor(x)[None])  # (1, T, I) -> (1, T, H), (1, 1, H)
    return output[0].detach().numpy()  # (T, H)


def difference(tables: Mapping[str, Any]) -> float:
    """The largest difference between the three ways to the hidden states."""
    given = checked(tables)
    hs, _ = by_hand(**given)
    inner = {name: given[name] for name in ("x", "W_xh", "W_hh", "b_h")}
    return float(max(np.abs(hs - other(**inner)).max() for other in (by_cell, by_rnn)))


def checked(tables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The tables as arrays; biases lose their row. Raises InputError on any cell that is no number."""
    given = {name: table(name, tables.get(name)) for name in TABLES}
    return given | {name: given[name][0] for name in ("b_h", "b_y")}


def table(name: str, rows: Any) -> np.ndarray:
    """One table of numbers, of the one shape that it may have."""
    height, width = TABLES[name]
    if not isinstance(rows, Sequence | np.ndarray) or isinstance(rows, str) or len(rows) != height:
        raise InputError("foundations.error_table", table=name, rows=height, columns=width)
    if any(not isinstance(row, Sequence | np.ndarray) or isinstance(row, str) or len(row) != width for row in rows):
        raise InputError("foundations.error_table", table=name, rows=height, columns=width)
    return np.array([[cell(name, r, c, rows[r][c]) for c in range(width)] for r in range(height)])


def cell(name: str, row: int, column: int, value: Any) -> float:
    """One number of a table."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:  # NaN is not, either
        raise InputError("foundations.error_cell", table=name, row=row + 1, column=column + 1, limit=f"{LARGEST:g}")
    return number


def reached(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[list[bool]]]:
    """Which numbers of h (T, H) and o (T, O) an edit changed."""
    pairs = zip("ho", by_hand(**checked(before)), by_hand(**checked(after)), strict=True)
    return {name: (old != new).tolist() for name, old, new in pairs}


def reach(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A sentence's key and values: what an edit can reach, and what it cannot."""
    old, new = checked(before), checked(after)
    edited = [name for name in TABLES if not np.array_equal(old[name], new[name])]
    if edited == ["x"]:
        first = 1 + int(np.flatnonzero((old["x"] != new["x"]).any(axis=1))[0])
        key = "foundations.reach_first" if first == 1 else "foundations.reach_x"
        return key, {"t": "₁₂₃"[first - 1], "step": first}
    if not edited:
        return "foundations.reach_none", {}
    outer = all(name in ("W_hy", "b_y") for name in edited)
    alone = edited == ["W_hh"]
    key = "outer" if outer else "recurrent" if alone else "inner"
    return f"foundations.reach_{key}", {"tables": ", ".join(edited)}


# ---- 2. sizes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The sizes of an nn.RNN and of what it reads."""

    batch: int = 32
    length: int = 50
    input: int = 100
    hidden: int = 128
    layers: int = 1
    directions: int = 1
    classes: int = 2
    batch_first: bool = True

    @property
    def given(self) -> tuple[int, int, int]:
        """The shape of the input that fits."""
        front = (self.batch, self.length) if self.batch_first else (self.length, self.batch)
        return (*front, self.input)


PRESETS = {
    "classifier": Sizes(),
    "small": Sizes(1, 2, 4, 3),
    "both_ways": Sizes(1, 2, 4, 3, directions=2),
    "time_first": Sizes(3, 5, 4, 6, directions=2, batch_first=False),
    "batch_first": Sizes(5, 3, 4, 6, directions=2),
}


def sizes(**values: Any) -> Sizes:
    """Checked sizes. Raises InputError where a number is out of bounds or the tensors grow too large."""
    whole = {name: bounded(name, values[name]) for name in BOUNDS}
    found = Sizes(**whole, batch_first=values.get("batch_first") is True)
    affordable(found, found.given)
    return found


def affordable(size: Sizes, shape: tuple[int, ...]) -> None:
    """Raises InputError where weights, inputs or states would be too many numbers."""
    states = math.prod(shape[:-1]) * size.hidden * size.directions * size.layers
    if max(states, math.prod(shape), parameters(size) + linear_parameters(size)) > NUMBERS:
        raise InputError("foundations.error_large", limit=f"{NUMBERS:,}")


def bounded(name: str, value: Any) -> int:
    """A whole number within its bounds."""
    low, high = BOUNDS[name]
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not fits or value != int(value):
        raise InputError("foundations.error_size", size=name, low=low, high=high)
    return int(value)


def shape_of(text: Any, size: Sizes) -> tuple[int, ...]:
    """The shape that a visitor typed: `(32, 50, 100)`, `32 50 100` or `32×50×100`."""
    if not isinstance(text, str) or len(text) > 60 or not re.fullmatch(r"[\s\d(),，（）x×*\[\]]+", text, re.ASCII):
        raise InputError("foundations.error_shape")
    shape = tuple(int(number) for number in re.findall(r"\d+", text))
    if not 1 <= len(shape) <= 5 or min(shape) < 1:
        raise InputError("foundations.error_shape")
    affordable(size, shape)
    return shape


def run_rnn(size: Sizes, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor; RuntimeError or ValueError is PyTorch's own where `shape` does not fit."""
    built = ("input", "hidden", "layers", "directions", "classes", "batch_first")
    return run(shape, **{name: getattr(size, name) for name in built})


def run(shape: tuple, input: int, hidden: int, layers: int, directions: int, classes: int, batch_first: bool) -> dict:
    """The shape of every tensor, weights included, for an input of this shape."""
    import torch

    rnn = torch.nn.RNN(input, hidden, layers, batch_first=batch_first, bidirectional=directions == 2)
    linear = torch.nn.Linear(directions * hidden, classes)
    with torch.inference_mode():
        output, h_n = rnn(torch.zeros(shape))  # (B, T, I) -> (B, T, D·H), (L·D, B, H)
        last = torch.cat(tuple(h_n[-directions:]), -1)  # (D, B, H) -> (B, D·H)
        scores = linear(last)  # (B, D·H) -> (B, C)
    tensors = {"input": torch.empty(shape), "output": output, "h_n": h_n, "last": last, "scores": scores}
    tensors |= rnn.state_dict() | linear.state_dict(prefix="linear.")
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def misfit(size: Sizes, shape: tuple[int, ...]) -> tuple[str, dict[str, Any]] | None:
    """A sentence's key and values for a shape that cannot be; None where it fits."""
    if len(shape) not in (2, 3):
        return "foundations.misfit_rank", {"shape": shape, "rank": len(shape)}
    if shape[-1] != size.input:
        return "foundations.misfit_features", {"shape": shape, "last": shape[-1], "input": size.input}
    return None


def layer_parameters(size: Sizes) -> list[tuple[int, int]]:
    """For each layer: what one direction reads (I in the first, D·H above it), and its parameters."""
    read = [size.input] + [size.directions * size.hidden] * (size.layers - 1)
    return [(i, size.hidden * i + size.hidden**2 + 2 * size.hidden) for i in read]


def parameters(size: Sizes) -> int:
    """The number of weights and biases of the nn.RNN."""
    return size.directions * sum(count for _, count in layer_parameters(size))


def formula(size: Sizes) -> str:
    """The sum of `parameters`, written out."""
    h = size.hidden
    parts = [f"({h}·{i} + {h}·{h} + 2·{h})" for i, _ in layer_parameters(size)]
    return f"{size.directions} × [{' + '.join(parts)}] = {parameters(size):,}"


def linear_parameters(size: Sizes) -> int:
    """The number of weights and biases of the linear layer: C·D·H + C."""
    return size.classes * size.directions * size.hidden + size.classes


def linear_formula(size: Sizes) -> str:
    """The sum of `linear_parameters`, written out."""
    return f"{size.classes}·{size.directions * size.hidden} + {size.classes} = {linear_parameters(size):,}"


# ---- 3. activation and gradient --------------------------------------------------------------


def sigmoid(a: np.ndarray) -> np.ndarray:
    """From −∞…∞ to 0…1; by tanh, which does not overflow."""
    return (1 + np.tanh(a / 2)) / 2


def vanilla(a: np.ndarray, W: np.ndarray, h: np.ndarray, relu: bool) -> tuple[np.ndarray, np.ndarray]:
    """One tick and its Jacobian ∂h_t/∂h_{t−1}: (H,) (H, H) (H,) -> (H,), (H, H)."""
    s = a + W @ h
    h, slope = (np.maximum(s, 0), (s > 0) * 1.0) if relu else (np.tanh(s), 1 - np.tanh(s) ** 2)
    return h, slope[:, None] * W


def gru(a: np.ndarray, W: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """One tick, its Jacobian and its gates: (3, H) (3, H, H) (H,) -> (H,), (H, H). Cho et al. 2014, as PyTorch."""
    r, z, u = sigmoid(a[0] + W[0] @ h), sigmoid(a[1] + W[1] @ h), W[2] @ h
    n = np.tanh(a[2] + r * u)
    into_n = r[:, None] * W[2] + (u * r * (1 - r))[:, None] * W[0]  # (H, H)
    jacobian = np.diag(z) + ((h - n) * z * (1 - z))[:, None] * W[1] + ((1 - z) * (1 - n**2))[:, None] * into_n
    return (1 - z) * n + z * h, jacobian, {"r": r, "z": z}


def lstm(a: np.ndarray, W: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """One tick of the state (h, c), its Jacobian and its gates: (4, H) (4, H, H) (2H,) -> (2H,), (2H, 2H)."""
    h, c = np.split(state, 2)
    i, f, o = (sigmoid(a[k] + W[k] @ h) for k in (0, 1, 3))
    g = np.tanh(a[2] + W[2] @ h)
    new, squashed = f * c + i * g, np.tanh(f * c + i * g)
    slopes = (g * i * (1 - i), c * f * (1 - f), i * (1 - g**2))
    into_c = np.hstack([sum(s[:, None] * W[k] for k, s in enumerate(slopes)), np.diag(f)])  # (H, 2H)
    into_h = (o * (1 - squashed**2))[:, None] * into_c
    into_h[:, : len(h)] += (squashed * o * (1 - o))[:, None] * W[3]
    return np.concatenate([o * squashed, new]), np.vstack([into_h, into_c]), {"i": i, "f": f, "o": o}


def experiment(kind: str, radius: float, seed: int = 0) -> dict[str, Any]:
    """A random cell over 100 steps: norms of h_t, of ∂h_T/∂h_t (spectral), and the gates' means.

    `kind` is tanh, relu, gru or lstm; `radius` the spectral radius of every recurrent matrix. Of an
    LSTM the gradient is ∂c_T/∂c_t, its memory's. Exact Jacobians, multiplied backwards.
    """
    count = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}[kind]
    random = np.random.default_rng(seed)
    W = np.stack([scaled(random.normal(size=(UNITS, UNITS)), radius) for _ in range(count)])  # (G, H, H)
    inputs = random.normal(size=(TIMES, count, UNITS)) * 0.1  # (T, G, H)
    if count > 1:
        inputs[:, 1] += KEEP  # an LSTM's f, a GRU's z
    if kind == "lstm":
        inputs[:, 0] -= KEEP  # what is kept leaves room for little that is new
    state, states, jacobians, gates = np.zeros(UNITS * (2 if kind == "lstm" else 1)), [], [], []
    for a in inputs:
        if count == 1:
            state, jacobian = vanilla(a[0], W[0], state, kind == "relu")
        else:
            state, jacobian, gate = (gru if kind == "gru" else lstm)(a, W, state)
            gates.append({name: float(value.mean()) for name, value in gate.items()})
        states.append(float(np.linalg.norm(state[:UNITS])))
        jacobians.append(jacobian)
    return {"h": states, "gradient": backwards(jacobians, len(state) - UNITS), "gates": gates}


def scaled(W: np.ndarray, radius: float) -> np.ndarray:
    """A matrix (H, H) whose largest eigenvalue has this magnitude."""
    return W * (radius / np.abs(np.linalg.eigvals(W)).max())


def backwards(jacobians: list[np.ndarray], first: int = 0) -> list[float]:
    """‖∂h_T/∂h_t‖ for t = 1…T, of the state from its row `first` on; the last is 1."""
    product, norms = np.eye(len(jacobians[0])), [1.0]
    for jacobian in reversed(jacobians[1:]):
        product = product @ jacobian  # (H, H) (H, H) -> (H, H)
        norms.append(float(np.linalg.norm(product[first:, first:], 2)))
    return norms[::-1]


# ---- 4. patterns -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Pattern:
    """A pattern of reading and writing, the ticks of its schematic, and its tab where it has one."""

    name: str
    expression: str
    ticks: str
    tab: str | None = None


PATTERNS = (
    Pattern("one_to_one", "B", "B"),
    Pattern("one_to_many", "RW+", "RWWW", "one_to_many"),
    Pattern("many_to_one", "R*B", "RRRB", "many_to_one"),
    Pattern("aligned", "B+", "BBBB", "aligned"),
    Pattern("many_to_many", "R*BW*", "RRBWW", "many_to_many"),
    Pattern("encoder_decoder", "R+W+", "RRRWWW"),
)


# ---- what the page asks ----------------------------------------------------------------------

# The code on the page: each box and the functions in it. Together, in this order, they run by themselves.
BOXES = {
    "by_hand": (by_hand,),
    "named": (named,),
    "by_cell": (by_cell,),
    "by_rnn": (by_rnn,),
    "run": (run,),
    "scaled": (scaled,),
    "vanilla": (vanilla,),
    "gru": (sigmoid, gru),
    "lstm": (lstm,),
    "backwards": (backwards,),
}
RADII, KINDS = (0.1, 2.0), ("tanh", "relu", "gru", "lstm")


def sources() -> dict[str, str]:
    """The text of every box of code, from the source that runs, with the import that it needs."""
    texts = {name: "\n\n".join(map(inspect.getsource, functions)) for name, functions in BOXES.items()}
    return {name: f"import numpy as np\n\n\n{text}" if "np." in text else text for name, text in texts.items()}


def answer(asked: str) -> str:
    """One question of the page and its answer, as JSON; a mistake comes back as the key of a sentence."""
    try:
        question = json.loads(asked)
        found = ANSWERS[question["ask"]](question)
    except InputError as error:
        found = {"error": error.key, "values": error.values}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        found = {"error": "foundations.error_question", "values": {}}
    return json.dumps(found)


def hand(question: Mapping[str, Any]) -> dict[str, Any]:
    """h and o of the tables, which of them an edit reached, and a sentence about it."""
    after = {name: rows.tolist() for name, rows in arrays(question["tables"]).items()}
    before = question.get("before") or after
    key, values = reach(before, after)
    hs, os = by_hand(**checked(after))
    return {"h": hs.tolist(), "o": os.tolist(), "reached": reached(before, after), "key": key, "values": values}


def arrays(tables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """All tables, checked, in their shapes."""
    return {name: table(name, tables.get(name)) for name in TABLES}


def compared(question: Mapping[str, Any]) -> dict[str, Any]:
    """How far NumPy, nn.RNNCell and nn.RNN are apart."""
    return {"difference": difference(question["tables"])}


def sized(question: Mapping[str, Any]) -> dict[str, Any]:
    """Every tensor's shape and the parameters, or PyTorch's own words for what cannot be, and ours."""
    size = sizes(**question["sizes"])
    shape = shape_of(question["shape"], size) if question.get("shape") else size.given
    total = parameters(size) + linear_parameters(size)
    count = {"formula": formula(size), "linear": linear_formula(size), "total": f"{total:,}"}
    out: dict[str, Any] = {"given": size.given, "count": count}
    try:
        return out | {"shapes": run_rnn(size, shape)}
    except (RuntimeError, ValueError) as error:
        key, values = misfit(size, shape) or ("foundations.misfit_other", {})
        shown = {name: str(value) for name, value in values.items()}
        return out | {"pytorch": str(error).splitlines()[0][:300], "key": key, "values": shown}


def faded(question: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment with gradients, for every kind of cell."""
    low, high = RADII
    radius = question["radius"]
    if not isinstance(radius, int | float) or isinstance(radius, bool) or not low <= radius <= high:
        raise InputError("foundations.error_radius", low=low, high=high)
    return {"cells": {kind: finite(experiment(kind, float(radius))) for kind in KINDS}}


def finite(found: dict[str, Any]) -> dict[str, Any]:
    """Numbers that JSON can carry: an explosion ends at 10^300, and nothing is smaller than 10^-300."""
    curves = {
        name: [float(np.clip(np.nan_to_num(v, nan=1e300), 1e-300, 1e300)) for v in found[name]]
        for name in ("h", "gradient")
    }
    return found | curves


ANSWERS = {"hand": hand, "compare": compared, "sizes": sized, "gradient": faded}
