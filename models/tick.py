"""One tick of a recurrent layer in NumPy: (x_t, state) -> (state, gates).

The fused modules of PyTorch repack their weights at every call, which is nothing over a
whole sequence and nearly everything over one step. Here a layer's two matrices lie side by
side, so that a tick reads its weights once, in one matrix product:

    z = [x_t, h_{t-1}] · [W_ih, W_hh]^T + b

The equations are those of `torch.nn.RNN`, `GRU` and `LSTM` (Elman 1990; Cho et al. 2014;
Hochreiter & Schmidhuber 1997), and a test holds the two equal to 1e-5. All arrays are
float32; B is the number of streams that advance together.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class State(NamedTuple):
    """What a layer remembers: h (B, H), and for an LSTM also its cell c (B, H)."""

    h: Array
    c: Array | None = None


class Matrix:
    """Weights (N, K) that are multiplied by the inputs of B streams.

    With NumPy one stream is a matrix times a vector, which is twice as quick as a product of
    matrices. Once torch is there, `pack` makes a product that many streams share.
    """

    pack: Callable[[Array], Callable[[Array], Array]] | None = None  # models/packed.py, for all of them

    def __init__(self, weights: Array) -> None:
        self.weights = np.ascontiguousarray(weights)
        self.times: Callable[[Array], Array] | None = None

    def __call__(self, x: Array) -> Array:  # (B, K) -> (B, N)
        if self.times is None and Matrix.pack is not None:
            self.times = Matrix.pack(self.weights)
        return product(self.weights, x) if self.times is None else self.times(x)

    def __getitem__(self, rows: int | slice | Array) -> Array:
        return self.weights[rows]


def product(weights: Array, x: Array) -> Array:  # (N, K), (B, K) -> (B, N)
    """x · weights^T; for one stream as a matrix times a vector, which is twice as quick."""
    return np.dot(weights, x[0])[None] if len(x) == 1 else x @ weights.T


def squash(z: Array) -> None:
    """The logistic function, in place, where z is already half of its argument.

    σ(2z) = (1 + tanh z) / 2: tanh never overflows and NumPy's is vectorised.
    """
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5


class RNNTick:
    """h_t = tanh(W_ih x_t + W_hh h_{t-1} + b)."""

    gates = ()

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        self.size = w_hh.shape[1]
        self.weights = Matrix(np.concatenate([w_ih, w_hh], 1))  # (H, E + H)
        self.bias = b_ih + b_hh

    def zero(self, batch: int = 1) -> State:
        """The state before the first tick."""
        return State(np.zeros((batch, self.size), np.float32))

    def __call__(self, x: Array, state: State) -> tuple[State, dict[str, Array]]:
        """Advance by one tick: x (B, E), state of (B, H)."""
        z = self.weights(np.concatenate([x, state.h], 1))  # (B, E + H) -> (B, H)
        z += self.bias
        return State(np.tanh(z, out=z)), {}

    def sums(self, x: Array, h: Array, unit: int) -> dict[str, dict[str, float]]:
        """What one unit adds up before its tanh: x (E,), h (H,)."""
        return {"h": _sums(self.weights[unit], self.bias[unit], x, h)}


class GRUTick:
    """r, u = σ(…), n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn)), h_t = (1 - u) ⊙ n + u ⊙ h_{t-1}."""

    gates = ("reset", "update", "candidate")

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        self.size = size = w_hh.shape[1]
        both = slice(0, 2 * size)  # the rows of r and u; halved for `squash`
        self.gate_weights = Matrix(np.concatenate([w_ih[both], w_hh[both]], 1) / 2)
        self.gate_bias = (b_ih[both] + b_hh[both]) / 2
        self.w_in, self.b_in = Matrix(w_ih[2 * size :]), b_ih[2 * size :]
        self.w_hn, self.b_hn = Matrix(w_hh[2 * size :]), b_hh[2 * size :]

    def zero(self, batch: int = 1) -> State:
        """The state before the first tick."""
        return State(np.zeros((batch, self.size), np.float32))

    def __call__(self, x: Array, state: State) -> tuple[State, dict[str, Array]]:
        """Advance by one tick: x (B, E), state of (B, H)."""
        z = self.gate_weights(np.concatenate([x, state.h], 1))  # -> (B, 2H)
        z += self.gate_bias
        squash(z)
        r, u = z[:, : self.size], z[:, self.size :]
        n = self.w_hn(state.h)  # (B, H) -> (B, H)
        n += self.b_hn
        n *= r
        n += self.w_in(x)
        n += self.b_in
        np.tanh(n, out=n)
        return State(n + u * (state.h - n)), {"reset": r, "update": u, "candidate": n}

    def sums(self, x: Array, h: Array, unit: int) -> dict[str, dict[str, float]]:
        """What one unit's gates and candidate add up: x (E,), h (H,). The candidate's h-part
        has a bias of its own and enters times r: z = x + b + r · h."""
        out = {
            gate: _sums(self.gate_weights[row] * 2, self.gate_bias[row] * 2, x, h)
            for gate, row in (("reset", unit), ("update", self.size + unit))
        }
        reset = 1 / (1 + np.exp(-out["reset"]["z"]))
        from_x, from_h = float(self.w_in[unit] @ x), float(self.w_hn[unit] @ h + self.b_hn[unit])
        bias = float(self.b_in[unit])
        return out | {"candidate": {"x": from_x, "h": from_h, "b": bias, "z": from_x + bias + reset * from_h}}


class LSTMTick:
    """i, f, o = σ(…), g = tanh(…), c_t = f ⊙ c_{t-1} + i ⊙ g, h_t = o ⊙ tanh(c_t)."""

    gates = ("input", "forget", "output", "candidate")

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        self.size = w_hh.shape[1]
        i, f, g, o = np.arange(4 * self.size).reshape(4, -1)  # PyTorch's order of rows
        rows = np.concatenate([i, f, o, g])
        half = np.repeat(np.float32([0.5, 0.5, 0.5, 1]), self.size)  # halved for `squash`
        self.weights = Matrix(np.concatenate([w_ih, w_hh], 1)[rows] * half[:, None])  # (4H, E + H)
        self.bias = (b_ih + b_hh)[rows] * half

    def zero(self, batch: int = 1) -> State:
        """The state before the first tick."""
        return State(*np.zeros((2, batch, self.size), np.float32))

    def __call__(self, x: Array, state: State) -> tuple[State, dict[str, Array]]:
        """Advance by one tick: x (B, E), state of (B, H)."""
        z = self.weights(np.concatenate([x, state.h], 1))  # (B, E + H) -> (B, 4H)
        z += self.bias
        n = self.size
        squash(z[:, : 3 * n])
        i, f, o, g = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]
        np.tanh(g, out=g)
        c = f * state.c
        c += i * g
        h = np.tanh(c)
        h *= o
        return State(h, c), {"input": i, "forget": f, "output": o, "candidate": g}

    def sums(self, x: Array, h: Array, unit: int) -> dict[str, dict[str, float]]:
        """What one unit's gates and candidate add up: x (E,), h (H,)."""
        rows = {gate: (n * self.size + unit, 1 if gate == "candidate" else 2) for n, gate in enumerate(self.gates)}
        return {gate: _sums(self.weights[r] * k, self.bias[r] * k, x, h) for gate, (r, k) in rows.items()}


def _sums(row: Array, bias: np.float32, x: Array, h: Array) -> dict[str, float]:
    """One unit's sum, part by part: z = x-part + h-part + b."""
    from_x, from_h = float(row[: len(x)] @ x), float(row[len(x) :] @ h)
    return {"x": from_x, "h": from_h, "b": float(bias), "z": from_x + from_h + float(bias)}


TICKS = {"rnn": RNNTick, "gru": GRUTick, "lstm": LSTMTick}
