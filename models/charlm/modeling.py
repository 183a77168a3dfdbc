"""A character-level language model: the next character from all that came before.

    h_t = cell(e(x_t), h_{t-1})          one tick per character
    p(x_{t+1} | x_1 … x_t) = softmax(E · (V · h_t) + b)

The cell is a vanilla RNN (Elman 1990), a GRU (Cho et al. 2014) or an LSTM (Hochreiter &
Schmidhuber 1997). Regularised as in AWD-LSTM (Merity, Keskar & Socher 2017, section 4):
the same dropout mask at every time step, DropConnect on the recurrent weights, and input
and output vectors tied. Left out: its activation penalties and its averaged SGD; an
exponential average of the weights in `train.py` does that work.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

MODULES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
FUSED = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


class CharLMConfig(PreTrainedConfig):
    """Sizes of the network; the dropout rates matter in training only."""

    model_type = "charlm"

    corpus: str = "shakespeare"  # how the text is cut, see data.py
    corpus_characters: int = 0  # of the whole file, the held-out part included
    cell: str = "lstm"
    vocab_size: int = 65
    embedding_size: int = 128
    hidden_size: int = 512
    num_layers: int = 2
    input_dropout: float = 0.05  # on the character vectors
    dropout: float = 0.4  # on what a layer hands upwards
    weight_dropout: float = 0.2  # on the recurrent weights
    tie_word_embeddings: bool = True


@dataclass
class CharLMOutput(ModelOutput):
    """`logits` (B, T, V) and the `state` after the last character, one entry a layer."""

    logits: Tensor | None = None
    state: list | None = None


class LockedDropout(nn.Module):
    """Dropout with one mask for all time steps (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:  # (B, T, H) -> (B, T, H)
        if not self.training or self.rate == 0:
            return x
        mask = torch.empty(x.shape[0], 1, x.shape[2], dtype=x.dtype, device=x.device)
        return x * mask.bernoulli_(1 - self.rate) / (1 - self.rate)


class Recurrence(nn.Module):
    """One recurrent layer over a whole sequence, with DropConnect on W_hh in training."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, weight_dropout: float) -> None:
        super().__init__()
        self.fused = FUSED[cell]
        self.weight_dropout = weight_dropout
        self.cell = MODULES[cell](input_size, hidden_size, batch_first=True)

    def forward(self, x: Tensor, state: Tensor | tuple) -> tuple[Tensor, Tensor | tuple]:
        if not self.training or self.weight_dropout == 0:
            return self.cell(x, state)  # (B, T, E) -> (B, T, H), state
        weights = [
            self.cell.weight_ih_l0,
            F.dropout(self.cell.weight_hh_l0, self.weight_dropout),
            self.cell.bias_ih_l0,
            self.cell.bias_hh_l0,
        ]
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        y, *state = self.fused(x, state, weights, True, 1, 0.0, True, False, True)
        return y, state[0] if len(state) == 1 else tuple(state)


class CharLM(PreTrainedModel):
    """Characters in, logits of the next character out, at every position."""

    config_class = CharLMConfig
    base_model_prefix = "charlm"
    _tied_weights_keys: ClassVar = {"head.weight": "embedding.weight"}

    def __init__(self, config: CharLMConfig) -> None:
        super().__init__(config)
        sizes = [config.embedding_size] + [config.hidden_size] * config.num_layers
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.layers = nn.ModuleList(
            Recurrence(config.cell, below, above, config.weight_dropout) for below, above in pairwise(sizes)
        )
        tied = config.tie_word_embeddings
        self.project = nn.Linear(sizes[-1], sizes[0]) if tied else nn.Identity()
        self.head = nn.Linear(sizes[0] if tied else sizes[-1], config.vocab_size)
        self.input_dropout = LockedDropout(config.input_dropout)
        self.dropout = LockedDropout(config.dropout)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialisation, but tied vectors of length 1 and an open forget gate."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.embedding_size**-0.5)
        if isinstance(module, nn.LSTM):
            with torch.no_grad():
                module.bias_hh_l0[module.hidden_size : 2 * module.hidden_size] = 1.0

    def zero_state(self, batch: int) -> list:
        """The state before the first character: zeros (1, B, H); an LSTM has two, h and c."""
        zeros = self.head.weight.new_zeros(1, batch, self.config.hidden_size)
        return [(zeros, zeros) if self.config.cell == "lstm" else zeros for _ in self.layers]

    def forward(self, input_ids: Tensor, state: list | None = None) -> CharLMOutput:
        """Read `input_ids` (B, T) after `state`; teacher forcing when training."""
        state = self.zero_state(len(input_ids)) if state is None else state
        x = self.embedding(input_ids) * self.config.embedding_size**0.5  # (B, T) -> (B, T, E)
        x = self.input_dropout(x)
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            x, last = layer(x, before)  # (B, T, ·) -> (B, T, H)
            x = self.dropout(x)
            after.append(last)
        logits = self.head(self.project(x))  # (B, T, H) -> (B, T, V)
        return CharLMOutput(logits=logits, state=after)
