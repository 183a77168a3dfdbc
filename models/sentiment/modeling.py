"""The sentiment of a text: many words in, one verdict out.

    h_t = cell(e(x_t), h_{t-1})          one tick per word
    p(negative), p(positive) = softmax(V · h_T + b)

The last state decides. The cell is a vanilla RNN (Elman 1990), a GRU (Cho et al. 2014) or
an LSTM (Hochreiter & Schmidhuber 1997). A bidirectional network (Schuster & Paliwal 1997)
has a second one that reads from the end to the beginning, and the verdict is taken from
both last states side by side. In training the verdict is also asked for at every earlier
tick (target replication, Dai & Le 2015, section 3.3), of a bidirectional network where its
two readings meet: the gradient need not come all the way from the end, and in one direction
the verdict after each word means something.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

MODULES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
FUSED = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


class SentimentConfig(PreTrainedConfig):
    """Sizes of the network; the dropout rates matter in training only."""

    model_type = "gallery-sentiment"

    language: str = "en"
    cell: str = "lstm"
    bidirectional: bool = False
    vocab_size: int = 30522
    embedding_size: int = 192
    hidden_size: int = 256
    num_layers: int = 1
    word_dropout: float = 0.1  # of whole words
    input_dropout: float = 0.2  # on the word vectors
    dropout: float = 0.4  # on what a layer hands upwards
    weight_dropout: float = 0.2  # on the recurrent weights
    temperature: float = 1.0  # divides the logits, so that 90 % means right in nine of ten


@dataclass
class SentimentOutput(ModelOutput):
    """`logits` (B, 2) at the last word, and `early` (B, T, 2) at each word; of a bidirectional
    network in training only."""

    logits: Tensor | None = None
    early: Tensor | None = None


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
        self.kind, self.fused = cell, FUSED[cell]
        self.weight_dropout = weight_dropout
        self.cell = MODULES[cell](input_size, hidden_size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.weight_dropout == 0:
            return self.cell(x)[0]  # (B, T, E) -> (B, T, H)
        zero = x.new_zeros(1, len(x), self.cell.hidden_size)
        weights = [
            self.cell.weight_ih_l0,
            F.dropout(self.cell.weight_hh_l0, self.weight_dropout),
            self.cell.bias_ih_l0,
            self.cell.bias_hh_l0,
        ]
        state = (zero, zero) if isinstance(self.cell, nn.LSTM) else zero
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        return self.fused(x, state, weights, True, 1, 0.0, True, False, True)[0]


def reversed_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row of (B, T, ...) back to front within its own length; the padding stays behind."""
    t = torch.arange(x.shape[1], device=x.device)[None]  # (1, T)
    order = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)  # (B, T)
    return x[torch.arange(len(x), device=x.device)[:, None], order]


class Sentiment(PreTrainedModel):
    """Words in, the logits of negative and positive out."""

    config_class = SentimentConfig
    base_model_prefix = "sentiment"

    def __init__(self, config: SentimentConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.forwards = self._layers()
        self.backwards = self._layers() if config.bidirectional else None
        self.head = nn.Linear(config.hidden_size * (1 + config.bidirectional), 2)
        self.input_dropout = LockedDropout(config.input_dropout)
        self.dropout = LockedDropout(config.dropout)
        self.post_init()

    def _layers(self) -> nn.ModuleList:
        c = self.config
        sizes = [c.embedding_size] + [c.hidden_size] * c.num_layers
        return nn.ModuleList(Recurrence(c.cell, below, above, c.weight_dropout) for below, above in pairwise(sizes))

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialisation, but small word vectors and an open forget gate."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.3)
        if isinstance(module, nn.LSTM):
            with torch.no_grad():
                module.bias_hh_l0[module.hidden_size : 2 * module.hidden_size] = 1.0

    def read(self, layers: nn.ModuleList, x: Tensor) -> Tensor:
        """The top layer's state after every word."""
        for layer in layers:
            x = self.dropout(layer(x))  # (B, T, ·) -> (B, T, H)
        return x

    def forward(self, input_ids: Tensor, lengths: Tensor) -> SentimentOutput:
        """Read `input_ids` (B, T), each row `lengths` (B,) long and padded behind."""
        x = self.embedding(input_ids)  # (B, T) -> (B, T, E)
        if self.training:
            x = x * (torch.rand_like(x[..., :1]) >= self.config.word_dropout)
        x = self.input_dropout(x)
        rows, last = torch.arange(len(x), device=x.device), lengths - 1
        states = self.read(self.forwards, x)  # (B, T, H)
        if self.backwards is None:
            early = self.head(states)  # (B, T, 2)
            return SentimentOutput(logits=early[rows, last], early=early)
        behind = self.read(self.backwards, reversed_rows(x, lengths))
        both = torch.cat([states[rows, last], behind[rows, last]], 1)  # (B, 2H)
        if not self.training:
            return SentimentOutput(logits=self.head(both))
        met = torch.cat([states, reversed_rows(behind, lengths)], 2)  # (B, T, 2H)
        return SentimentOutput(logits=self.head(both), early=self.head(met))
