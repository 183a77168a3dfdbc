"""The tick in NumPy and the fused modules of PyTorch are the same network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models import packed
from models.charlm.modeling import MODULES, LockedDropout, Recurrence
from models.charlm.network import Network
from models.tick import TICKS, GRUTick, LSTMTick, RNNTick
from tests.conftest import CELLS, ENGLISH

pytestmark = pytest.mark.usefixtures("cpu")


def pair(cell: str) -> tuple[nn.RNNBase, RNNTick | GRUTick | LSTMTick]:
    torch.manual_seed(3)
    fused = MODULES[cell](5, 7, batch_first=True)
    return fused, TICKS[cell](*(p.detach().numpy() for p in fused.parameters()))


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_tick_equals_the_fused_module_at_every_step(cell: str, batch: int) -> None:
    fused, tick = pair(cell)
    x = 3 * torch.randn(batch, 20, 5)
    with torch.no_grad():
        expected, last = fused(x)
    state = tick.zero(batch)
    for t in range(20):
        state, _ = tick(x[:, t].numpy(), state)
        np.testing.assert_allclose(state.h, expected[:, t], atol=1e-5)
    if cell == "lstm":
        np.testing.assert_allclose(state.c, last[1][0], atol=1e-5)
    else:
        assert state.c is None


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_gates_are_named_bounded_and_explain_the_new_state(cell: str, batch: int) -> None:
    _, tick = pair(cell)
    rng = np.random.default_rng(0)
    before = tick.zero(batch)
    for _ in range(10):
        kept = [None if part is None else part.copy() for part in before]
        now, gates = tick(rng.normal(0, 5, (batch, 5)).astype(np.float32), before)
        assert tuple(gates) == tick.gates or set(gates) == set(tick.gates)
        for name, gate in gates.items():
            assert gate.shape == (batch, 7)
            assert (gate >= (-1 if name == "candidate" else 0)).all()
            assert (gate <= 1).all()
        if cell == "gru":
            u = gates["update"]
            np.testing.assert_allclose(now.h, (1 - u) * gates["candidate"] + u * before.h, atol=1e-6)
        if cell == "lstm":
            c = gates["forget"] * before.c + gates["input"] * gates["candidate"]
            np.testing.assert_allclose(now.c, c, atol=1e-6)
            np.testing.assert_allclose(now.h, gates["output"] * np.tanh(c), atol=1e-6)
        for part, copy in zip(before, kept, strict=True):
            np.testing.assert_array_equal(part, copy)  # the state of the tick before stays as it was
        before = now


@pytest.mark.parametrize("cell", CELLS)
def test_huge_inputs_saturate_without_a_warning(cell: str) -> None:
    _, tick = pair(cell)
    with np.errstate(all="raise", under="ignore"):
        state, _ = tick(np.full((1, 5), 1e6, np.float32), tick.zero())
    assert np.isfinite(state.h).all()


def logits_by_ticks(network: Network, ids: list[list[int]]) -> np.ndarray:  # T of B -> (B, T, V)
    state, out = network.zero(len(ids[0])), []
    for column in ids:
        tick = network.tick(list(column), state)
        state = tick.state
        out.append(tick.logits)
    return np.stack(out, 1)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_network_ticks_equal_its_fused_forward(
    cell: str, layers: int, tied: bool, make_network: Callable[..., Path]
) -> None:
    network = Network(make_network(cell=cell, layers=layers, tied=tied))
    streams = [network.encode(ENGLISH), network.encode(ENGLISH[::-1])]
    with torch.no_grad():
        fused = network.module(torch.tensor(streams)).logits.numpy()
    assert fused.std() > 0.01
    np.testing.assert_allclose(logits_by_ticks(network, list(zip(*streams, strict=True))), fused, atol=1e-5)
    np.testing.assert_allclose(logits_by_ticks(network, [[i] for i in streams[0]]), fused[:1], atol=1e-5)


def test_forward_in_two_parts_equals_one_forward(folder: Path) -> None:
    network = Network(folder)
    ids = torch.tensor([network.encode(ENGLISH)])
    with torch.no_grad():
        whole = network.module(ids)
        first = network.module(ids[:, :30])
        second = network.module(ids[:, 30:], first.state)
        fresh = network.module(ids[:, 30:])
    torch.testing.assert_close(torch.cat([first.logits, second.logits], 1), whole.logits, atol=1e-6, rtol=0)
    assert not torch.allclose(fresh.logits, second.logits, atol=1e-4)  # the state matters


def test_parameters_are_counted_as_torch_counts_them(folder: Path) -> None:
    network = Network(folder)
    assert network.parameters == sum(p.numel() for p in network.module.parameters())


def test_locked_dropout_is_off_in_eval_and_holds_its_mask_over_time() -> None:
    torch.manual_seed(0)
    dropout, x = LockedDropout(0.5), torch.ones(4, 9, 50)
    assert torch.equal(dropout.eval()(x), x)
    y = dropout.train()(x)
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(y[0], y[1])  # streams have masks of their own


@pytest.mark.parametrize("cell", CELLS)
def test_weight_dropout_is_off_in_eval(cell: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrence(cell, 5, 40, 0.5), torch.randn(2, 6, 5)
    zero = torch.zeros(1, 2, 40)
    state = (zero, zero) if cell == "lstm" else zero
    with torch.no_grad():
        assert torch.equal(layer.eval()(x, state)[0], layer.cell(x, state)[0])
        assert not torch.allclose(layer.train()(x, state)[0], layer.cell(x, state)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_weight_dropout_holds_one_mask_over_time(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mask fixed, a training forward is the plain module with the masked weights."""
    torch.manual_seed(0)
    layer, x = Recurrence(cell, 5, 8, 0.5), torch.randn(2, 6, 5)
    zero = torch.zeros(1, 2, 8)
    state = (zero, zero) if cell == "lstm" else zero
    mask = (torch.rand_like(layer.cell.weight_hh_l0) < 0.5).float() * 2
    calls = []
    monkeypatch.setattr("models.charlm.modeling.F.dropout", lambda w, rate: (calls.append(rate), w * mask)[1])
    with torch.no_grad():
        dropped, after = layer.train()(x, state)
        layer.cell.weight_hh_l0 *= mask
        expected, last = layer.cell(x, state)
    assert calls == [0.5]
    torch.testing.assert_close(dropped, expected)
    torch.testing.assert_close(after, last)


@pytest.mark.parametrize("size", [(66, 128), (2048, 1024), (3701, 256), (5, 7)])
@pytest.mark.parametrize("layout", list(packed.layouts()))
def test_a_packed_product_is_the_same_in_any_company(
    layout: Callable[..., packed.Times], size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.05, size).astype(np.float16).astype(np.float32)
    x = rng.normal(size=(150, size[1])).astype(np.float32)
    times = layout(weights)
    alone = np.concatenate([times(row[None]) for row in x])
    np.testing.assert_allclose(alone, x @ weights.T, atol=1e-4)
    for count in (*range(1, 34), 64, 65, 67, 130, 150):
        assert np.array_equal(times(x[:count]), alone[:count])


def test_where_an_operator_is_missing_the_next_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: np.ndarray) -> packed.Times:
        raise RuntimeError("Your CPU does not support it")

    monkeypatch.setattr(packed, "in_half", missing)
    assert [layout for layout in packed.layouts() if layout is not packed.in_single] == []


def test_who_would_sum_up_in_another_order_in_company_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fickle(weights: np.ndarray) -> packed.Times:
        return lambda x: x @ weights.T + (len(x) > 30)

    monkeypatch.setattr(packed, "in_half", fickle)
    assert fickle not in list(packed.layouts())
