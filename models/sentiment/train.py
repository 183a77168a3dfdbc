"""Train a sentiment network: python -m models.sentiment.train NETWORK --data FILE [FILE …]

The data are JSON lines with `sentence` or `text`, and `label`: 0, 1, or a teacher's
probability (see teacher.py). `--data FILE*0.3` reads another 30 % of a file in every epoch.
A run stops and resumes at any epoch: call it again with the same arguments.
"""

import argparse
import inspect
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from models import training
from models.sentiment.data import held_out, make_tokenizer, read_rows
from models.sentiment.modeling import Sentiment, SentimentConfig

Batch = tuple[Tensor, Tensor, Tensor]  # ids (B, T), lengths (B,), probability of positive (B,)


@dataclass
class Settings(training.Settings):
    """A run's settings; the network's sizes stand in its config."""

    epochs: int = 8
    batch: int = 6000  # tokens in a batch, padding included
    longest: int = 400  # tokens; of a longer text a window is read, most often its end
    early: float = 0.3  # weight of the verdicts before the last word
    piece_dropout: float = 0.0  # of BPE's merges, so that a text falls into other pieces each time
    vectors: str = ""  # a folder with word vectors to begin with, see `teacher.py`


def window(ids: list[int], longest: int, rng: np.random.Generator) -> list[int]:
    """A stretch of a long text: its end in half of all cases."""
    if len(ids) <= longest:
        return ids
    start = len(ids) - longest
    return ids[start:] if rng.random() < 0.5 else ids[(at := rng.integers(start)) : at + longest]


def batches(
    texts: list[list[int]], labels: np.ndarray, shares: np.ndarray, settings: Settings, epoch: int
) -> Iterator[Batch]:
    """Texts of similar length side by side, padded, in random order."""
    rng = np.random.default_rng((settings.seed, epoch))
    chosen = np.flatnonzero(rng.random(len(texts)) < shares)
    windows = {i: window(texts[i], settings.longest, rng) for i in chosen}
    order = sorted(rng.permutation(chosen), key=lambda i: len(windows[i]) * (1 + 0.1 * rng.random()))
    groups, group = [], []
    for i in order:
        if group and len(windows[i]) * (len(group) + 1) > settings.batch:
            groups.append(group)
            group = []
        group.append(i)
    for g in rng.permutation(len(groups := [*groups, group])):
        rows = [torch.tensor(windows[i]) for i in groups[g]]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        yield ids, torch.tensor([len(r) for r in rows]), torch.from_numpy(labels[groups[g]])


def loss_of(net: Sentiment, batch: Batch, early: float) -> Tensor:
    """Cross-entropy of the verdict, and of those before it, the later the weightier in one
    direction: a bidirectional network has read everything wherever its readings meet."""
    ids, lengths, label = batch
    out = net(ids, lengths)
    both = torch.stack([1 - label, label], 1)  # (B, 2)
    loss = F.cross_entropy(out.logits.float(), both)
    if out.early is None or early == 0:
        return loss
    t = torch.arange(ids.shape[1], device=ids.device)[None] + 1
    seen = t if net.backwards is None else (lengths[:, None] + 1) / 2
    weight = (t <= lengths[:, None]) * seen / lengths[:, None] ** 2  # sums to about a half in each row
    nats = -(both[:, None] * out.early.float().log_softmax(-1)).sum(-1)  # (B, T)
    return loss + early * 2 * (weight * nats).sum(1).mean()


def accuracy(net: Sentiment, texts: list[list[int]], labels: np.ndarray) -> float:
    """The share of right verdicts, on hard labels."""
    net.eval()
    right = 0
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    with torch.inference_mode():
        for at in range(0, len(order), 64):
            rows = [torch.tensor(texts[i]) for i in order[at : at + 64]]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            logits = net(ids.to(net.device), torch.tensor([len(r) for r in rows]).to(net.device)).logits
            right += (logits.argmax(1).cpu().numpy() == labels[order[at : at + 64]]).sum()
    net.train()
    return right / len(texts)


def gather(files: list[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, labels, and the share of each text's file that an epoch reads."""
    texts, labels, shares = [], [], []
    for file in files:
        path, _, share = file.partition("*")
        rows = [row for row in read_rows(Path(path)) if "imdb" not in path or not held_out(row)]
        texts += [row.text for row in rows]
        labels += [row.label for row in rows]
        shares += [float(share or 1)] * len(rows)
    return texts, np.float32(labels), np.array(shares)


def encode(tokenizer: Tokenizer, texts: list[str], piece_dropout: float = 0.0) -> list[list[int]]:
    """Token ids; with BPE-dropout (Provilkov et al. 2020) in pieces that differ each time."""
    if piece_dropout:
        tokenizer.model.dropout = piece_dropout
    ids = [e.ids or [0] for e in tokenizer.encode_batch(texts)]
    if piece_dropout:
        tokenizer.model.dropout = None
    return ids


def train(
    out: Path, data: list[str], validation: list[Path], config: dict, settings: Settings, tokenizer: Tokenizer
) -> Sentiment:
    """Train, checkpoint after every epoch, save the averaged weights in half precision."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts, labels, shares = gather(data)
    ids = encode(tokenizer, texts)
    held = [(path.parent.name, *gather([str(path)])[:2]) for path in validation]
    checks = [(name, encode(tokenizer, rows), label) for name, rows, label in held]
    config |= {"vocab_size": tokenizer.get_vocab_size()}
    torch.manual_seed(settings.seed)
    net = Sentiment(SentimentConfig(**config))
    if settings.start:
        begin_from(net, Path(settings.start))
    elif settings.vectors:
        begin_with(net, Path(settings.vectors), tokenizer)
    run = training.Run(net, settings, device)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        run.resume(checkpoint)
    while run.epoch < settings.epochs:
        torch.manual_seed(settings.seed + run.epoch)
        if settings.piece_dropout:
            ids = encode(tokenizer, texts, settings.piece_dropout)
        every, mean = list(batches(ids, labels, shares, settings, run.epoch)), math.nan
        bar = tqdm(every, f"epoch {run.epoch + 1}/{settings.epochs}", mininterval=10)
        for i, batch in enumerate(bar):
            with training.autocast(device):
                loss = loss_of(run.net, tuple(t.to(device) for t in batch), settings.early)
            run.descend(loss, (run.epoch + i / len(every)) / settings.epochs)
            mean = loss.item() if math.isnan(mean) else 0.98 * mean + 0.02 * loss.item()
            bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
        run.epoch += 1
        run.save(checkpoint)
        run.export(out)
        print(*(f"{name} {accuracy(run.mean.module, *rows):.4f}" for name, *rows in checks), flush=True)
    return run.mean.module.eval()


def begin_from(net: Sentiment, folder: Path) -> None:
    """The weights of another network, or of a pretrained reader, wherever they fit."""
    mine, other = net.state_dict(), load_file(folder / "model.safetensors")
    fitting = {k: v.float() for k, v in other.items() if k in mine and v.shape == mine[k].shape}
    net.load_state_dict(mine | fitting)


def begin_with(net: Sentiment, folder: Path, tokenizer: Tokenizer) -> None:
    """Word vectors of a transformer, turned to their widest directions (PCA) and cut to size."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        name = next(k for k in file.keys() if k.endswith("word_embeddings.weight"))  # noqa: SIM118, not a dict
        vectors = file.get_tensor(name).float()
    words = (folder / "vocab.txt").read_text("utf-8").splitlines()
    rows = {word: vectors[i] for i, word in enumerate(words)}
    mine = torch.stack([rows.get(tokenizer.id_to_token(i), vectors.mean(0)) for i in range(tokenizer.get_vocab_size())])
    mine = mine - mine.mean(0)
    wide = torch.linalg.svd(mine, full_matrices=False)[2][: net.config.embedding_size]
    mine = mine @ wide.T
    with torch.no_grad():
        net.embedding.weight.copy_(0.3 * mine / mine.std())


def _flag(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")


def command_line(description: str | None) -> tuple[Path, dict, dict, Settings, Tokenizer]:
    """The network's folder, all arguments, the config, the settings and the tokenizer; the defaults
    are those of Settings and SentimentConfig."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network", help="a folder's name beside this file, or a path")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--validation", nargs="*", type=Path, default=[])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tokenizer", help="tokenizer.json of a network whose pieces are taken over")
    sizes = [k for k in vars(SentimentConfig) if k in SentimentConfig.__annotations__ and k != "model_type"]
    for name in sizes:
        default = getattr(SentimentConfig, name)
        kind = _flag if isinstance(default, bool) else type(default)
        parser.add_argument(f"--{name}", type=kind, default=default)
    for name, field in inspect.signature(Settings).parameters.items():
        parser.add_argument(f"--{name}", type=field.annotation, default=field.default)
    args = vars(parser.parse_args())
    if args["threads"] is not None:
        torch.set_num_threads(args["threads"])
    settings = Settings(**{k: args[k] for k in inspect.signature(Settings).parameters})
    out = Path(args["network"]) if re.search(r"[/\\]", args["network"]) else Path(__file__).parent / args["network"]
    config = {k: args[k] for k in sizes}
    words = Path(settings.vectors) / "vocab.txt" if settings.vectors else None
    if args["tokenizer"]:
        tokenizer = Tokenizer.from_file(args["tokenizer"])
    else:
        tokenizer = make_tokenizer(config["language"], gather(args["data"])[0], words)
    return out, args, config, settings, tokenizer


def main() -> None:
    """Train what the command line asks for."""
    out, args, config, settings, tokenizer = command_line(__doc__)
    train(out, args["data"], args["validation"], config, settings, tokenizer)


if __name__ == "__main__":
    main()
