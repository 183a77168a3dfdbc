"""A trained sentiment network ready for use: tick by tick in NumPy, whole texts in torch."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from models import device, shared_property
from models.sentiment.bag import Bag
from models.sentiment.data import UNKNOWN
from models.tick import TICKS, Array, State

TOKENS = 16_384  # read in one call, padding included
FEW = 4_096  # of which one core is as quick as several, and waits for none of them
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def chance(odds: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The probability that belongs to log-odds, without overflow."""
    return 0.5 * (1 + np.tanh(np.asarray(odds, np.float64) / 2))


def read(module: Any, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """The logits (N, 2) of texts of token ids, padded, in one call."""
    import torch

    tensors = [torch.tensor(row) for row in rows]
    ids = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(module.device)
    device.use_cores(device.cores() if ids.numel() > FEW else 1)
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    with torch.inference_mode():
        return module(ids, lengths).logits.float().cpu().numpy()


class Tick(NamedTuple):
    """One tick in one direction: every layer's state and gates (B, H)."""

    state: list[State]
    gates: list[dict[str, Array]]


class Network:
    """One folder of weights: `tick` reads one word, `verdict` says what the states mean."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.config: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        scores = self.folder / "scores.json"
        self.scores = json.loads(scores.read_text("utf-8")) if scores.exists() else {}
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.unknown = self.tokenizer.token_to_id(UNKNOWN)
        self._take(load_file(self.folder / "model.safetensors"))

    def _take(self, stored: dict[str, NDArray]) -> None:
        """Lay the stored weights out for the tick, in single precision."""
        w = {name: array.astype(np.float32) for name, array in stored.items()}
        self.parameters = sum(array.size for array in stored.values())
        self.embedding, self.head, self.head_bias = w["embedding.weight"], w["head.weight"], w["head.bias"]
        directions = ("forwards", "backwards") if self.config["bidirectional"] else ("forwards",)
        self.layers = {
            direction: [
                TICKS[self.config["cell"]](*(w[f"{direction}.{i}.cell.{kind}_l0"] for kind in PARAMETERS))
                for i in range(self.config["num_layers"])
            ]
            for direction in directions
        }

    @cached_property
    def bag(self) -> Bag:
        """The bag of words that was trained beside this network."""
        return Bag(self.folder)

    @shared_property
    def module(self) -> Any:
        """The same weights as a torch module, for whole texts, where it reads a few dozen soonest."""
        import torch

        from models.sentiment.modeling import Sentiment

        net = Sentiment.from_pretrained(self.folder, dtype=torch.float32).eval()
        return device.placed(net, lambda module: read(module, [[0] * 30] * 64))

    def logits(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The logits (N, 2) of many texts of token ids; zeros where there is nothing to read."""
        out = np.zeros((len(rows), 2), np.float32)
        order = sorted((i for i in range(len(rows)) if len(rows[i])), key=lambda i: -len(rows[i]))
        while order:
            count = max(1, TOKENS // len(rows[order[0]]))
            group, order = order[:count], order[count:]
            out[group] = read(self.module, [rows[i] for i in group])
        return out

    def odds(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """The calibrated log-odds (N,) that each text is positive."""
        logits = self.logits(rows).astype(np.float64)
        return (logits[:, 1] - logits[:, 0]) / self.config["temperature"]

    def zero(self, direction: str = "forwards") -> list[State]:
        """The state before the first word."""
        return [layer.zero() for layer in self.layers[direction]]

    def tick(self, id_: int, state: list[State], direction: str = "forwards") -> Tick:
        """Read one word."""
        x, after, gates = self.embedding[[id_]], [], []  # (1, E)
        for layer, before in zip(self.layers[direction], state, strict=True):
            now, layer_gates = layer(x, before)  # (1, ·) -> (1, H)
            x = now.h
            after.append(now)
            gates.append(layer_gates)
        return Tick(after, gates)

    def verdict(self, *last: Array) -> float:
        """The calibrated probability of positive, from the last state of each direction."""
        logits = np.concatenate(last, 1)[0] @ self.head.T + self.head_bias  # (H · directions,) -> (2,)
        return float(chance((logits[1] - logits[0]) / self.config["temperature"]))
