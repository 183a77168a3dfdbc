"""A trained character model ready for use: tick by tick in NumPy, whole sequences in torch.

Writing needs NumPy alone, so that the first character comes before torch is imported; at
one stream, a network of this size is quicker on the processor than on a graphics card.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from models import shared_property
from models.charlm.data import FORMS, OTHER, UNKNOWN, load_variants
from models.sampling import soften
from models.tick import TICKS, Array, Matrix, State
from models.together import Together

BEST = 10  # candidates of a tick


class Tick(NamedTuple):
    """One tick: logits (B, V), the state of every layer, and every layer's gates (B, H)."""

    logits: Array
    state: list[State]
    gates: list[dict[str, Array]]


class Row(NamedTuple):
    """One stream's share of a tick: what the network believes (V,), softmax(logits); the chances (V,) of what can
    be written, at the stream's temperature; the likeliest `BEST` tokens' ids, best first; and h, c and every
    gate of all layers (L, H)."""

    belief: Array
    chances: Array
    best: NDArray[np.intp]
    state: Array
    memory: Array | None
    gates: dict[str, Array]


class Network:
    """One folder of weights: `tick` advances B streams by one character."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.config: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        self.scores = self._scores()
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.variants = load_variants(self.folder)
        self.tokens = [self.tokenizer.id_to_token(i) for i in range(self.tokenizer.get_vocab_size())]
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        self._unwritable = [i for i, token in enumerate(self.tokens) if token in (UNKNOWN, OTHER, *FORMS)]
        self._take(load_file(self.folder / "model.safetensors"))
        self.together = Together(self)

    def _scores(self) -> dict[str, Any]:
        """What `evaluate.py` measured and wrote beside the weights; empty before it has."""
        path = self.folder / "scores.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def _take(self, stored: dict[str, NDArray]) -> None:
        """Lay the stored weights out for the tick, in single precision."""
        w = {name: array.astype(np.float32) for name, array in stored.items()}
        self.parameters = sum(array.size for array in stored.values())
        self.embedding = w["embedding.weight"] * np.float32(w["embedding.weight"].shape[1] ** 0.5)
        self.layers = [
            TICKS[self.config["cell"]](*(w[f"layers.{i}.cell.{kind}_l0"] for kind in PARAMETERS))
            for i in range(self.config["num_layers"])
        ]
        tied = self.config["tie_word_embeddings"]
        self.head, self.head_bias = Matrix(w["embedding.weight"] if tied else w["head.weight"]), w["head.bias"]
        self.project = (Matrix(w["project.weight"]), w["project.bias"]) if tied else None

    @shared_property
    def module(self) -> Any:
        """The same weights as a torch module, for whole sequences: on the GPU if there is one, since
        only evaluate.py reads so."""
        import torch

        from models.charlm.modeling import CharLM

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return CharLM.from_pretrained(self.folder, dtype=torch.float32).eval().to(device)

    def zero(self, batch: int = 1) -> list[State]:
        """The state before the first character."""
        return [layer.zero(batch) for layer in self.layers]

    def tick(self, ids: list[int], state: list[State]) -> Tick:
        """Read one character in each of B streams."""
        x, after, gates = self.embedding[ids], [], []  # (B,) -> (B, E)
        for layer, before in zip(self.layers, state, strict=True):
            now, layer_gates = layer(x, before)  # (B, ·) -> (B, H)
            x = now.h
            after.append(now)
            gates.append(layer_gates)
        if self.project is not None:
            x = self.project[0](x) + self.project[1]  # (B, H) -> (B, E)
        return Tick(self.head(x) + self.head_bias, after, gates)  # -> (B, V)

    def rows(self, tick: Tick, temperatures: list[float]) -> list[Row]:
        """The parts of a tick of B streams; what all need is computed for all at once."""
        belief, each = soften(tick.logits), np.arange(len(tick.logits))[:, None]  # (B, V), (B, 1)
        chances = soften(self.writable(tick.logits), np.float32(temperatures)[:, None])  # (B, V)
        best = np.argpartition(-belief, BEST)[:, :BEST]
        best = best[each, np.argsort(-belief[each, best], 1, kind="stable")]
        h = np.array([layer.h for layer in tick.state])  # L of (B, H) -> (L, B, H)
        c = None if tick.state[0].c is None else np.array([layer.c for layer in tick.state])
        gates = {name: np.array([layer[name] for layer in tick.gates]) for name in tick.gates[0]}
        return [
            Row(*told, h[:, i], None if c is None else c[:, i], {name: gate[:, i] for name, gate in gates.items()})
            for i, told in enumerate(zip(belief, chances, best, strict=True))
        ]

    def normalise(self, text: str) -> str:
        """The text in the characters that the network was trained on, where there is one."""
        return text.replace("\r\n", "\n").replace("\r", "\n").translate(self.variants)

    def id(self, token: str) -> int:
        """The id of a token; that of UNKNOWN where there is none."""
        return self._ids.get(token, 0)

    def writable(self, logits: Array) -> Array:
        """The logits (…, V) without UNKNOWN and the forms: what has no character cannot be written."""
        out = logits.copy()
        out[..., self._unwritable] = -np.inf
        return out

    def encode(self, text: str) -> list[int]:
        """Token ids, one a character; what the network never saw becomes UNKNOWN."""
        return self.tokenizer.encode(text).ids

    def unknown(self, text: str) -> list[str]:
        """The characters of a normalised text that the network never saw, each once."""
        return [c for c in dict.fromkeys(text) if c not in self._ids]


PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
