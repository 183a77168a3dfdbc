"""Train a character-level language model: python -m models.charlm.train shakespeare --data FILE

The data are the public files: tiny-shakespeare's `input.txt`, the novel as plain text, the
Tang poems as JSON lines (or the JSON lists of chinese-poetry). A run stops and resumes at
any epoch: call it again with the same arguments.
"""

import argparse
import inspect
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from models import training
from models.charlm.data import (
    CORPORA,
    END,
    FORMS,
    OTHER,
    form_of,
    make_tokenizer,
    poem_ids,
    read_book,
    read_poems,
    split,
)
from models.charlm.modeling import CharLM, CharLMConfig

Batch = tuple[Tensor, Tensor, bool]  # inputs (B, T), targets (B, T), does the state carry on?
IGNORE = -100
CHINESE = {chr(c) for c in range(0x4E00, 0xA000)}
OWN = ("model_type", "vocab_size", "corpus", "corpus_characters")  # of the config, set from the data

# What a visitor types and the book spells otherwise.
TYPOGRAPHY = {
    "shakespeare": {"’": "'", "‘": "'", "“": "'", "”": "'", '"': "'", "—": "--", "–": "-", "…": "..."},
    "hongloumeng": dict(zip(",.?!:;．", "，。？！：；。", strict=True)),
}


@dataclass
class Settings(training.Settings):
    """A run's settings; the network's sizes stand in its config."""

    epochs: int = 60
    batch: int = 64  # streams of text, or poems
    steps: int = 128  # characters between two updates, back-propagation's horizon; longer poems are cut
    others: float = 1.0  # the share of the poems in other than the four forms that is read


def traditional_table(characters: set[str]) -> dict[str, str]:
    """Traditional to simplified, single characters only; a training-time package."""
    from opencc import OpenCC

    convert = OpenCC("t2s").convert
    # 乾 is two words in one: qián stays as it is, gān would become 干.
    return {c: s for c in sorted(characters) if c != "乾" and (s := convert(c)) != c and len(s) == 1}


def stream_batches(ids: np.ndarray, settings: Settings, epoch: int) -> Iterator[Batch]:
    """A book as `batch` parallel streams; the state carries on from one batch to the next."""
    start = np.random.default_rng((settings.seed, epoch)).integers(settings.steps)
    length = (len(ids) - 1 - start) // settings.batch
    rows = start + length * np.arange(settings.batch)[:, None]
    for t in range(0, length, settings.steps):
        at = rows + np.arange(t, min(t + settings.steps, length))
        yield torch.from_numpy(ids[at]), torch.from_numpy(ids[at + 1]), t > 0


def poem_batches(poems: list[list[int]], settings: Settings, epoch: int) -> Iterator[Batch]:
    """Poems of similar length side by side, padded; each starts from the zero state."""
    rng = np.random.default_rng((settings.seed, epoch))
    order = sorted(rng.permutation(len(poems)), key=lambda i: len(poems[i]))
    groups = [order[i : i + settings.batch] for i in range(0, len(order), settings.batch)]
    for g in rng.permutation(len(groups)):
        rows = [torch.tensor(poems[i][: settings.steps]) for i in groups[g]]
        both = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORE)
        yield both[:, :-1].clamp(min=0), both[:, 1:], False


class Run(training.Run):
    """A character model at its training; `start` in the settings gives it weights to begin with."""

    def __init__(self, config: CharLMConfig, settings: Settings, device: str) -> None:
        torch.manual_seed(settings.seed)
        net = CharLM.from_pretrained(settings.start, config=config, dtype=torch.float32) if settings.start else None
        super().__init__(net or CharLM(config), settings, device)

    def update(self, batch: Batch, state: list | None, done: float) -> tuple[list, float]:
        """One step of the optimiser; returns the state to carry on and the loss in nats."""
        inputs, targets, carry = batch
        with training.autocast(self.device):
            out = self.net(inputs.to(self.device), state if carry else None)
        logits = out.logits.float().flatten(0, 1)
        loss = F.cross_entropy(logits, targets.to(self.device).flatten(), ignore_index=IGNORE)
        self.descend(loss, done)
        return [_detached(s) for s in out.state], loss.item()


def _detached(state: Tensor | tuple) -> Tensor | tuple:
    if isinstance(state, tuple):
        return tuple(s.detach() for s in state)
    return state.detach()


def prepare_poems(path: Path, settings: Settings) -> tuple[list[list[int]], Tokenizer, dict[str, str]]:
    """Token ids of every poem, simplified, with its form before it."""
    poems = read_poems(path)
    variants = traditional_table({c for poem in poems for c in poem} | CHINESE)
    poems = [poem.translate(str.maketrans(variants)) for poem in poems]
    tokenizer = make_tokenizer(poems, (END, OTHER, *FORMS), at_least=2)
    lots = np.random.default_rng(settings.seed).random(len(poems))
    kept = [p for p, lot in zip(poems, lots, strict=True) if lot < settings.others or form_of(p) != OTHER]
    return [poem_ids(poem, tokenizer) for poem in kept], tokenizer, variants


def prepare_book(path: Path, corpus: str) -> tuple[np.ndarray, Tokenizer, dict[str, str]]:
    """Token ids of the training part of a book. In the novel a character seen once counts
    as unknown: about as many are new later on (Good 1953), so that guess gets trained, too."""
    text, _ = split(read_book(path, corpus), corpus)
    tokenizer = make_tokenizer([text], at_least=2 if corpus == "hongloumeng" else 1)
    variants = TYPOGRAPHY[corpus]
    if corpus == "hongloumeng":
        known = tokenizer.get_vocab()
        variants = variants | {c: s for c, s in traditional_table(CHINESE).items() if s in known and c not in known}
    return np.array(tokenizer.encode(text).ids), tokenizer, variants


def train(corpus: str, data: Path, out: Path, config: dict, settings: Settings) -> CharLM:
    """Train, checkpoint after every epoch, save the averaged weights in half precision."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    poems = CORPORA[corpus].poems
    ids, tokenizer, variants = prepare_poems(data, settings) if poems else prepare_book(data, corpus)
    config = config | {"corpus": corpus, "vocab_size": tokenizer.get_vocab_size()}
    config["corpus_characters"] = 0 if poems else len(read_book(data, corpus))
    run = Run(CharLMConfig(**config), settings, device)
    batches = poem_batches if poems else stream_batches
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    (out / "variants.json").write_text(json.dumps(variants, ensure_ascii=False, separators=(",", ":")), "utf-8")
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        run.resume(checkpoint)
    while run.epoch < settings.epochs:
        torch.manual_seed(settings.seed + run.epoch)
        every, state, loss = list(batches(ids, settings, run.epoch)), None, math.nan
        if not every:
            raise SystemExit(f"{data} is too short for {settings.batch} streams")
        bar = tqdm(every, f"epoch {run.epoch + 1}/{settings.epochs}", mininterval=10)
        for i, batch in enumerate(bar):
            done = (run.epoch + i / len(every)) / settings.epochs
            state, now = run.update(batch, state, done)
            loss = now if math.isnan(loss) else 0.98 * loss + 0.02 * now
            bar.set_postfix(nats=f"{loss:.3f}", refresh=False)
        run.epoch += 1
        run.export(out)
        run.save(checkpoint)
    return run.mean.module.eval()


def _flag(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")


def main() -> None:
    """Parse the command line; the defaults are those of Settings and CharLMConfig."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="a folder; default: models/charlm/CORPUS")
    parser.add_argument("--threads", type=int)
    sizes = [k for k, v in vars(CharLMConfig).items() if k in CharLMConfig.__annotations__]
    for name in sizes:
        if name not in OWN:
            default = getattr(CharLMConfig, name)
            kind = _flag if isinstance(default, bool) else type(default)
            parser.add_argument(f"--{name}", type=kind, default=default)
    for name, field in inspect.signature(Settings).parameters.items():
        parser.add_argument(f"--{name}", type=field.annotation, default=field.default)
    args = vars(parser.parse_args())
    if args["threads"] is not None:
        torch.set_num_threads(args["threads"])
    settings = Settings(**{k: args[k] for k in inspect.signature(Settings).parameters})
    out = args["out"] or Path(__file__).parent / args["corpus"]
    train(args["corpus"], args["data"], out, {k: args[k] for k in sizes if k in args}, settings)


if __name__ == "__main__":
    main()
