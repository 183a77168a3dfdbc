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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

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
class Settings:
    """A run's settings; the network's sizes stand in its config."""

    epochs: int = 60
    batch: int = 64  # streams of text, or poems
    steps: int = 128  # characters between two updates, back-propagation's horizon; longer poems are cut
    rate: float = 2e-3  # AdamW's learning rate at its highest; a cosine takes it to zero
    decay: float = 0.01
    clip: float = 1.0
    average: float = 0.999  # exponential average of the weights, which is what ships
    seed: int = 1
    start: str = ""  # a folder of weights to go on from
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


def learning_rate(settings: Settings, done: float) -> float:
    """Warm up over the first hundredth, then a cosine to zero; `done` runs from 0 to 1."""
    return settings.rate * min(1, done / 0.01) * 0.5 * (1 + math.cos(math.pi * done))


class Run:
    """The network, its optimiser and the average of its weights, saved together."""

    def __init__(self, config: CharLMConfig, settings: Settings, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.epoch = settings, device, 0
        net = CharLM.from_pretrained(settings.start, config=config, dtype=torch.float32) if settings.start else None
        self.net = (net or CharLM(config)).to(device).train()
        self.mean = torch.optim.swa_utils.AveragedModel(
            self.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average)
        )
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), settings.rate, weight_decay=settings.decay, betas=(0.9, 0.99)
        )

    def update(self, batch: Batch, state: list | None, done: float) -> tuple[list, float]:
        """One step of the optimiser; returns the state to carry on and the loss in nats."""
        inputs, targets, carry = batch
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, done)
        with torch.autocast(self.device, torch.bfloat16):
            out = self.net(inputs.to(self.device), state if carry else None)
        logits = out.logits.float().flatten(0, 1)
        loss = F.cross_entropy(logits, targets.to(self.device).flatten(), ignore_index=IGNORE)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimiser.step()
        self.mean.update_parameters(self.net)
        return [_detached(s) for s in out.state], loss.item()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name, sharing memory with the run."""
        named = {f"net.{k}": v for k, v in self.net.named_parameters()}
        named |= {f"mean.{k}": v for k, v in self.mean.named_parameters()}
        named["mean.n_averaged"] = self.mean.n_averaged
        for name, parameter in self.net.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                named[f"adam.{name}.{key}"] = value
        return named

    def save(self, path: Path) -> None:
        """Write the checkpoint so that an interruption leaves the last one whole."""
        copies = {k: v.detach().clone().contiguous() for k, v in self.tensors().items()}
        metadata = {"epoch": str(self.epoch), "settings": json.dumps(asdict(self.settings))}
        save_file(copies, path.with_suffix(".part"), metadata=metadata)
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        """Take up a checkpoint made with the same settings."""
        with safe_open(path, "pt", device=self.device) as file, torch.no_grad():
            if json.loads(file.metadata()["settings"]) != asdict(self.settings):
                raise SystemExit(f"{path} was made with other settings; move it away or use them")
            self.epoch = int(file.metadata()["epoch"])
            for name, parameter in self.net.named_parameters():
                self.optimiser.state[parameter] = {
                    key: file.get_tensor(f"adam.{name}.{key}") for key in ("step", "exp_avg", "exp_avg_sq")
                }
            for name, tensor in self.tensors().items():
                tensor.copy_(file.get_tensor(name))


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
    config |= {"corpus": corpus, "vocab_size": tokenizer.get_vocab_size()}
    config["corpus_characters"] = 0 if poems else len(read_book(data, corpus))
    run = Run(CharLMConfig(**config), settings, device)
    batches = poem_batches if poems else stream_batches
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "variants.json").write_text(json.dumps(variants, ensure_ascii=False), "utf-8")
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        run.resume(checkpoint)
    while run.epoch < settings.epochs:
        torch.manual_seed(settings.seed + run.epoch)
        every, state, loss = list(batches(ids, settings, run.epoch)), None, math.nan
        bar = tqdm(every, f"epoch {run.epoch + 1}/{settings.epochs}", mininterval=10)
        for i, batch in enumerate(bar):
            done = (run.epoch + i / len(every)) / settings.epochs
            state, now = run.update(batch, state, done)
            loss = now if math.isnan(loss) else 0.98 * loss + 0.02 * now
            bar.set_postfix(nats=f"{loss:.3f}", refresh=False)
        run.epoch += 1
        run.save(checkpoint)
        export(run, out)
    return run.mean.module.eval()


def export(run: Run, out: Path) -> None:
    """The averaged weights, in half precision, as a folder that loads by itself."""
    copy = CharLM(run.net.config)
    copy.load_state_dict(run.mean.module.state_dict())
    copy.half().save_pretrained(out)


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
