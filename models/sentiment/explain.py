"""Why a verdict fell: what each word adds to it, and how far the verdict's gradient reaches back.

Two ways to measure a word's effect on the log-odds of positive, which need not agree:
leaving it out (Li, Monroe and Jurafsky 2016), and gradient times input (Denil et al. 2014),
the effect of the word's vector if the network were linear around this very text.
"""

from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models import device
from models.sentiment.network import Network


def lstm_cell(
    x: Tensor, state: tuple[Tensor, Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """`torch.lstm_cell`, operation by operation: on a GPU that is one kernel, and h_t does not come from c_t there,
    so that the gradient for c_t would lack that way."""
    h, c = state
    i, f, g, o = (F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, 1)  # (1, E), (1, H) -> 4 of (1, H)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


CELLS = {"rnn": torch.rnn_tanh_cell, "gru": torch.gru_cell, "lstm": lstm_cell}


class Gradients(NamedTuple):
    """`effects` (T,) is gradient · input of each token; `pulls` (T,) the norm of the gradient for
    h_t, and `cell_pulls` (T,) that for c_t, which only an LSTM has."""

    effects: NDArray[np.float64]
    pulls: NDArray[np.float64]
    cell_pulls: NDArray[np.float64] | None


def after_every_word(network: Network, ids: list[int]) -> NDArray[np.float64]:
    """The log-odds (T,) of positive if the text ended at each of its tokens. A network that reads forwards
    only has been in all these states once it has read the whole."""
    module = network.module
    if module.backwards is not None:
        return network.odds([ids[: t + 1] for t in range(len(ids))])
    device.use_cores(1)
    with torch.inference_mode():
        x = module.embedding(torch.tensor([ids], device=module.device))  # (1, T, E)
        logits = module.head(module.read(module.forwards, x))[0].double().cpu().numpy()  # (T, 2)
    return (logits[:, 1] - logits[:, 0]) / network.config["temperature"]


def left_out(network: Network, words: list[list[int]]) -> NDArray[np.float64]:
    """What each word (a list of token ids) adds: the log-odds with it, less those without it."""
    rows = [list(chain(*words[:i], *words[i + 1 :])) for i in range(len(words))]
    odds = network.odds([list(chain(*words)), *rows])
    return odds[0] - odds[1:]


def unroll(layers: nn.ModuleList, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The top layer's h_t (1, H) and c_t, tick by tick, each a node of the graph: x (T, E)."""
    for layer in layers:
        cell, tick = layer.cell, CELLS[layer.kind]
        weights = (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0)
        h = c = x.new_zeros(1, cell.hidden_size)
        states, memories = [], []
        for row in x.split(1):  # (1, E)
            if layer.kind == "lstm":
                h, c = tick(row, (h, c), *weights)
                memories.append(c)
            else:
                h = tick(row, h, *weights)
            states.append(h)
        x = torch.cat(states)  # (T, H)
    return states, memories


def gradients(network: Network, ids: list[int]) -> Gradients:
    """Back-propagate the log-odds of positive through every tick.

    Of a bidirectional network, h_t is the states of both directions at tick t together.
    """
    module = network.module
    device.use_cores(1)  # every tick is little work
    with torch.enable_grad():
        x = module.embedding(torch.tensor(ids, device=module.device)).detach().requires_grad_()  # (T, E)
        passes = [unroll(module.forwards, x)]
        if module.backwards is not None:
            passes.append(unroll(module.backwards, x.flip(0)))
        last = torch.cat([states[-1] for states, _ in passes], 1)  # (1, H · directions)
        logits = module.head(last)[0]  # (2,)
        odds = (logits[1] - logits[0]) / network.config["temperature"]
        nodes = [*chain(*(states for states, _ in passes)), *chain(*(memories for _, memories in passes))]
        by_x, *by_node = torch.autograd.grad(odds, [x, *nodes])
    norms = torch.cat(by_node).norm(dim=1).double().cpu().numpy().reshape(-1, len(passes), len(ids))
    norms[:, 1:] = norms[:, 1:, ::-1]  # the second pass began at the end
    pulls = np.sqrt((norms**2).sum(1))  # (h, and perhaps c; T)
    effects = (by_x * x).sum(1).double().detach().cpu().numpy()
    return Gradients(effects, pulls[0], pulls[1] if len(pulls) > 1 else None)
