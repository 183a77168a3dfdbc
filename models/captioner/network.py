"""A trained captioner ready for use: the photo once in torch, then tick by tick in NumPy."""

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
from models.captioner.data import END, SPECIAL, STARTS
from models.tick import Array, LSTMTick, Matrix, State, product

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
BATCH = 4  # photos encoded at once: of more, the maps leave the cache
LEAST = 0.01


def read(module: Any, photos: NDArray[np.uint8]) -> Array:
    """What the CNN makes of photos (B, 224, 224, 3) and of their mirror images: maps of features (B, D, 9, 9)."""
    import torch

    device.use_cores(device.cores())
    x = torch.tensor(photos).to(module.device).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        return module.maps(x).cpu().numpy()


class Tick(NamedTuple):
    """One tick of B streams: logits (B, V), the state, the gates (B, H)."""

    logits: Array
    state: State
    gates: dict[str, Array]


class Familiar(NamedTuple):
    """How the encodings of ordinary photos lie, see familiar.py."""

    mean: Array  # (D,), the mean photo of the training set
    kinds: Array  # (K, D), the middles of the kinds of photos in it, unit vectors
    known: Array  # (N,), how far photos lie that were not trained on, in order
    least: float  # a photo is strange if a smaller share of them lies farther

    def distance(self, encodings: Array) -> Array:
        """How far encodings (B, D) lie from the nearest kind, from 0 to 1: (B,)."""
        return np.sqrt(np.maximum(1 - (unit_roots(encodings) @ self.kinds.T).max(1), 0))


def unit_roots(encodings: Array) -> Array:
    """The roots of the shares that features have in encodings (B, D); their distance is Hellinger's."""
    return np.sqrt(encodings / np.maximum(encodings.sum(1, keepdims=True), 1e-12))


class Network:
    """One folder of weights: `encode` looks at photos, `tick` writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.config: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        scores = self.folder / "scores.json"
        self.scores = json.loads(scores.read_text("utf-8")) if scores.exists() else {}
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokens = [self.tokenizer.id_to_token(i) for i in range(self.tokenizer.get_vocab_size())]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.end = self.ids[END]
        self.starts = {language: self.ids[token] for language, token in STARTS.items()}
        self._take(load_file(self.folder / "model.safetensors"))

    def _take(self, stored: dict[str, NDArray]) -> None:
        """Lay the decoder's weights out for the tick, in single precision."""
        self.parameters = sum(array.size for array in stored.values())
        w = {name: array.astype(np.float32) for name, array in stored.items() if not name.startswith("encoder.")}
        self.seed = w["seed.weight"] / np.sqrt(w["norm.running_var"] + 1e-5)  # the norm is in it
        self.seed_bias = w["seed.bias"] - self.seed @ w["norm.running_mean"]
        self.embedding = w["embedding.weight"] * np.float32(w["embedding.weight"].shape[1] ** 0.5)
        self.cell = LSTMTick(*(w[f"cell.{kind}_l0"] for kind in PARAMETERS))
        self.project, self.project_bias = Matrix(w["project.weight"]), w["project.bias"]
        self.head, self.head_bias = Matrix(w["embedding.weight"]), w["head.bias"]
        never = [i for i, token in enumerate(self.tokens) if token in SPECIAL and token != END]
        self.head_bias = self.head_bias.copy()
        self.head_bias[never] = -1e9  # a start is not written, and an unknown word says nothing

    @shared_property
    def module(self) -> Any:
        """The same weights as a torch module, where it reads a photo soonest."""
        import torch

        from models.captioner.modeling import Captioner

        net = Captioner.from_pretrained(self.folder, dtype=torch.float32).eval()
        net.encoder.fold()
        net = net.to(memory_format=torch.channels_last)
        return device.placed(net, lambda module: read(module, np.zeros((1, 224, 224, 3), np.uint8)))

    def maps(self, photos: NDArray[np.uint8]) -> Array:
        """Photos (B, 224, 224, 3) -> maps of features (B, D, 9, 9)."""
        return read(self.module, photos)

    def encode(self, photos: NDArray[np.uint8]) -> Array:
        """Photos (B, 224, 224, 3) -> encodings (B, D)."""
        parts = [self.maps(photos[i : i + BATCH]).mean((2, 3)) for i in range(0, len(photos), BATCH)]
        return np.concatenate(parts)

    @cached_property
    def familiar(self) -> Familiar:
        """What familiar.py measured."""
        stored = load_file(self.folder / "familiar.safetensors")
        parts = {name: stored[name].astype(np.float32) for name in ("mean", "kinds", "known")}
        return Familiar(**parts, least=LEAST)

    def farther(self, encoding: Array) -> float:
        """The share of ordinary photos that lie farther from all kinds than this encoding (D,)."""
        far = self.familiar.distance(encoding[None])[0]
        return float((self.familiar.known > far).mean())

    def attribution(self, photo: NDArray[np.uint8], ids: Sequence[int]) -> Array:
        """Where in the photo the last of `ids`, language and words, has its evidence: (9, 9), 0 to 1.

        Grad-CAM (Selvaraju et al. 2017, section 3) on the last map of the CNN. The encoding is
        that map's mean, so that the gradient is the same at every place.
        """
        import torch

        maps = torch.from_numpy(self.maps(photo[None]))  # (1, D, 9, 9)
        encoding = maps.mean((2, 3)).to(self.module.device).requires_grad_()
        inputs = torch.tensor([ids[:-1]], device=self.module.device)
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN's LSTM goes back in training only
            logits = self.module(encoding, inputs)[0, -1]
            (gradient,) = torch.autograd.grad(logits[ids[-1]], encoding)
        heat = torch.einsum("d,dij->ij", gradient[0].cpu(), maps[0]).relu()
        return (heat / heat.max().clamp(min=1e-12)).numpy()

    def zero(self, batch: int = 1) -> State:
        """The state before the first tick."""
        return self.cell.zero(batch)

    def look(self, encodings: Array, state: State) -> Tick:
        """The first tick: read the photos' encodings (B, D)."""
        return self._tick(product(self.seed, encodings) + self.seed_bias, state)

    def tick(self, ids: Sequence[int], state: State) -> Tick:
        """Read one word, or a language's first token, in each of B streams."""
        return self._tick(self.embedding[list(ids)], state)

    def _tick(self, x: Array, state: State) -> Tick:
        state, gates = self.cell(x, state)  # (B, E) -> (B, H)
        y = self.project(state.h) + self.project_bias  # (B, H) -> (B, E)
        return Tick(self.head(y) + self.head_bias, state, gates)  # -> (B, V)

    def writable(self, logits: Array, language: str) -> Array:
        """The logits without the words of the other language."""
        return np.where(self._words[language], logits, np.float32(-1e9))

    @cached_property
    def _words(self) -> dict[str, NDArray[np.bool_]]:
        """Which tokens a language may write: its own, and those that are in neither, such as numbers."""
        han = np.array(["\u3400" <= t[0] <= "\u9fff" for t in self.tokens])
        latin = np.array([t[0].isascii() and t[0].isalpha() for t in self.tokens])
        return {"en": ~han, "zh": ~latin}
