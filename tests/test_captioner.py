"""Captioners, tiny and random: photos, ticks, modules, search, scores, training."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider as PublishedCider
from safetensors.torch import load_file, save_file

from models.captioner.data import END, LANGUAGES, STARTS, read_rows, words_of, written
from models.captioner.familiar import measured
from models.captioner.modeling import Captioner, CaptionerConfig
from models.captioner.network import Network
from models.captioner.scores import Cider, bleu
from models.captioner.search import LONGEST, caption, levels, log_softmax, search
from models.captioner.train import (
    Captions,
    Reward,
    Run,
    Settings,
    Words,
    augmented,
    begin,
    between,
    blurred,
    captions_of,
    check,
    due,
    encodings_of,
    load_photos,
    renamed,
    spoken,
    train,
)
from tests.conftest import CAPTIONS, SMALL_CNN, make_captioner, make_photos
from tests.serving import ROOT

pytestmark = pytest.mark.usefixtures("cpu")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return Network(make_captioner(tmp_path_factory.mktemp("captioner") / "net"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "data")


@pytest.fixture
def encodings() -> np.ndarray:
    return np.random.default_rng(2).random((3, 12), dtype=np.float32)


# ---- the network --------------------------------------------------------------------------


def test_ticks_equal_the_module(net: Network, encodings: np.ndarray) -> None:
    ids = [[2, 5, 7, 6, 0], [3, 9, 8, 7, 6], [2, 4, 4, 4, 4]]
    with torch.inference_mode():
        wanted = net.module(torch.tensor(encodings), torch.tensor(ids)).numpy()
    tick = net.look(encodings, net.zero(3))
    for t, column in enumerate(zip(*ids, strict=True)):
        tick = net.tick(column, tick.state)
        never = net.head_bias < -1e8
        np.testing.assert_allclose(tick.logits[:, ~never], wanted[:, t][:, ~never], atol=1e-5)


def test_one_stream_and_many_are_the_same(net: Network, encodings: np.ndarray) -> None:
    many = net.tick([2, 2, 3], net.look(encodings, net.zero(3)).state)
    for i, start in enumerate((2, 2, 3)):
        one = net.tick([start], net.look(encodings[i : i + 1], net.zero()).state)
        np.testing.assert_allclose(one.logits[0], many.logits[i], rtol=1e-5, atol=1e-5)


def test_a_batch_of_photos_is_encoded_like_each_alone(net: Network) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    together = net.encode(pixels)
    assert together.shape == (3, 12)
    for photo, encoding in zip(pixels, together, strict=True):
        np.testing.assert_allclose(net.encode(photo[None])[0], encoding, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-6


def test_a_photo_is_seen_together_with_its_mirror_image(net: Network) -> None:
    photo = np.random.default_rng(5).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    maps, mirrored = net.maps(photo), net.maps(photo[:, :, ::-1].copy())
    np.testing.assert_allclose(maps, mirrored[..., ::-1], atol=1e-5)
    assert np.ptp(maps - mirrored) > 1e-6
    with torch.inference_mode():
        x = torch.tensor(photo).permute(0, 3, 1, 2).float()
        plain, flipped = net.module.encoder(x), net.module.encoder(x.flip(3))
    np.testing.assert_allclose(maps, (plain + flipped.flip(3)) / 2, atol=1e-5)


def test_a_folded_encoder_sees_the_same(net: Network) -> None:
    photo = torch.rand(2, 3, 224, 224) * 255
    learning = Captioner.from_pretrained(net.folder, dtype=torch.float32).eval().encoder
    reading = Captioner.from_pretrained(net.folder, dtype=torch.float32).eval().encoder
    reading.fold()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in reading.modules())
    with torch.inference_mode():
        torch.testing.assert_close(reading(photo), learning(photo), rtol=1e-4, atol=1e-5)


def test_the_map_has_nine_places_a_side() -> None:
    config = CaptionerConfig(vocab_size=20)
    with torch.inference_mode():
        maps = Captioner(config).eval().encoder(torch.zeros(1, 3, 224, 224))
    assert maps.shape == (1, 1280, 9, 9)


def test_padding_is_that_of_tensorflow() -> None:
    """Where the stride is 2, one row more is added behind than in front."""
    from models.captioner.modeling import Convolution

    assert Convolution(3, 4, 3, 2).uneven == (0, 1, 0, 1)
    assert Convolution(3, 4, 5, 2).uneven == (1, 2, 1, 2)
    for kernel in (1, 3, 5):
        even = Convolution(3, 4, kernel, 1)
        assert (even.uneven, even.conv.padding) == ((), (kernel // 2, kernel // 2))


def test_attribution_is_the_gradient_times_the_map(net: Network) -> None:
    photo = np.random.default_rng(4).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    tried = ([2, 6, word] for word in range(4, len(net.tokens)))
    ids, heat = next((ids, heat) for ids in tried if (heat := net.attribution(photo, ids)).any())
    assert heat.shape == (9, 9)
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1, abs=1e-5)
    maps = net.maps(photo[None])[0]
    base = maps.mean((1, 2))

    def odds(encoding: np.ndarray) -> float:
        with torch.inference_mode():
            out = net.module(torch.tensor(encoding[None]), torch.tensor([ids[:-1]]))
        return float(out[0, -1, ids[-1]])

    step = 1e-2
    slopes = np.array([(odds(base + step * e) - odds(base - step * e)) / (2 * step) for e in np.eye(12, dtype="f4")])
    wanted = np.maximum(np.einsum("d,dij->ij", slopes, maps), 0)
    np.testing.assert_allclose(heat, wanted / wanted.max(), atol=2e-2)


# ---- the search ---------------------------------------------------------------------------


def begun(net: Network, encoding: np.ndarray, language: str = "en") -> tuple:
    tick = net.tick([net.starts[language]], net.look(encoding[None], net.zero()).state)
    return tick.state, tick.logits, language


def odds_of(net: Network, encoding: np.ndarray, tokens: list[int], language: str = "en") -> float:
    """The log-probability of a caption, word by word."""
    state, logits, _ = begun(net, encoding, language)
    total = 0.0
    for token in tokens:
        total += float(log_softmax(net.writable(logits, language))[0, token])
        logits, state, _ = net.tick([token], state)
    return total


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_every_beam_carries_its_own_log_probability(net: Network, encodings: np.ndarray, width: int) -> None:
    for encoding in encodings:
        for branch in search(net, *begun(net, encoding), width):
            if branch.length <= LONGEST:  # the last end is forced
                assert branch.total == pytest.approx(odds_of(net, encoding, branch.tokens()), abs=1e-3)
                assert branch.length == len(branch.tokens())


def test_a_beam_of_one_is_greedy(net: Network, encodings: np.ndarray) -> None:
    for encoding, language in itertools.product(encodings, LANGUAGES):
        state, logits, _ = begun(net, encoding, language)
        words: list[str] = []
        while len(words) < LONGEST:
            token = int(net.writable(logits, language)[0].argmax())
            if token == net.end:
                break
            words.append(net.tokens[token])
            logits, state, _ = net.tick([token], state)
        assert caption(net, encoding, language, width=1) == words


def test_a_level_keeps_the_best_and_as_many_as_are_open(net: Network, encodings: np.ndarray) -> None:
    done = 0
    for level in levels(net, *begun(net, encodings[0]), 4):
        kept = [b.total for b in level if b.kept]
        assert len(kept) == min(4 - done, len(level))
        assert min(kept) >= max([b.total for b in level if not b.kept], default=-np.inf)
        done += sum(b.kept and b.finished for b in level)
    assert done == 4


def test_a_wide_beam_finds_what_trying_everything_finds(net: Network, encodings: np.ndarray) -> None:
    """All captions of up to two words, tried one by one."""
    words = [i for i in range(len(net.tokens)) if net.head_bias[i] > -1e8 and i != net.end and net.tokens[i].isascii()]
    tried = [[a, net.end] for a in words] + [[a, b, net.end] for a in words for b in words]
    best = max(tried, key=lambda tokens: odds_of(net, encodings[1], tokens))
    short = [b for b in search(net, *begun(net, encodings[1]), 400) if b.length in (2, 3)]
    assert max(short, key=lambda b: b.total).tokens() == best


def test_captions_are_written_in_one_language(net: Network, encodings: np.ndarray) -> None:
    for encoding in encodings:
        assert all(word.isascii() for word in caption(net, encoding, "en"))
        assert all(not word.isascii() for word in caption(net, encoding, "zh"))


def test_no_caption_is_longer_than_the_limit(net: Network, encodings: np.ndarray) -> None:
    bias = net.head_bias.copy()
    try:
        net.head_bias[net.end] = -50
        assert len(caption(net, encodings[0], "en", 3)) == LONGEST
    finally:
        net.head_bias = bias


# ---- captions and scores ------------------------------------------------------------------


def test_captions_become_words() -> None:
    assert words_of("A man's dog -- jumps, TWO times!") == ["a", "man's", "dog", "jumps", "two", "times"]
    assert words_of("一个穿T恤的人，在跑。") == ["一", "个", "穿", "t", "恤", "的", "人", "在", "跑"]
    assert written(["a", "dog"], "en") == "a dog"
    assert written(["一", "狗"], "zh") == "一狗"


def test_the_tokenizer_cuts_as_words_of_does(net: Network) -> None:
    for language in LANGUAGES:
        for text in CAPTIONS[language]:
            assert net.tokenizer.encode(text).tokens == words_of(text)


def test_scores_are_those_of_pycocoevalcap() -> None:
    rng = np.random.default_rng(7)
    vocabulary = ["a", "dog", "man", "runs", "on", "the", "grass", "with", "red", "ball", "and", "jumps"]
    references = [[list(rng.choice(vocabulary, rng.integers(3, 12))) for _ in range(5)] for _ in range(30)]
    captions = [[*given[0][: rng.integers(1, 9)], "grass"] for given in references]
    as_texts = {i: [" ".join(r) for r in given] for i, given in enumerate(references)}
    hypotheses = {i: [" ".join(c)] for i, c in enumerate(captions)}
    published, _ = Bleu(4).compute_score(as_texts, hypotheses, verbose=0)
    assert bleu(captions, references) == pytest.approx([100 * b for b in published], rel=1e-9)
    published, each = PublishedCider().compute_score(as_texts, hypotheses)
    cider = Cider(references)
    assert cider.mean(captions) == pytest.approx(100 * published, rel=1e-9)
    assert [cider.score(i, c) for i, c in enumerate(captions)] == pytest.approx([100 * e for e in each], rel=1e-9)


# ---- how familiar a photo is --------------------------------------------------------------


def test_a_photo_is_the_stranger_the_fewer_features_it_shares() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.random((5, 200)) ** 4
    photos = np.float32(kinds[rng.integers(5, size=600)] * rng.gamma(9, 1 / 9, (600, 200)))
    familiar = measured(photos[:400], photos[400:])
    assert (np.diff(familiar.known) >= 0).all()
    assert familiar.distance(photos[:400] * 7) == pytest.approx(familiar.distance(photos[:400]), abs=1e-5)
    other = np.float32(rng.random(200) ** 4)
    far = familiar.distance(np.stack([(1 - x) * photos[0] + x * other for x in (0, 0.3, 0.6, 1)]))
    assert (np.diff(far) > 0).all()
    assert far[-1] > familiar.known[-1]


# ---- training -----------------------------------------------------------------------------


def settings(**values: object) -> Settings:
    return Settings(**{"epochs": 2, "batch": 3, "views": 3, "average": 0.5, "frozen_blocks": 1} | values)


SIZES = SMALL_CNN | {"embedding_size": 10, "hidden_size": 14}


def test_a_weight_of_imagenet_finds_its_place() -> None:
    names = set(Captioner(CaptionerConfig(vocab_size=9)).encoder.state_dict())
    assert renamed("_conv_stem.weight") in names
    assert renamed("_bn0.running_var") == "stem.norm.running_var"
    assert renamed("_blocks.3._bn0.bias") == "blocks.3.expand.norm.bias"
    assert renamed("_blocks.20._depthwise_conv.weight") in names
    assert renamed("_blocks.0._project_conv.weight") in names
    assert renamed("_blocks.0._bn2.weight") == "blocks.0.project.norm.weight"
    assert renamed("_conv_head.weight") in names
    assert renamed("_bn1.running_mean") == "head.norm.running_mean"


def test_a_cnn_begins_with_the_weights_of_imagenet(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Captioner(CaptionerConfig(vocab_size=9))
    trained = {k: torch.rand_like(v) if v.is_floating_point() else v for k, v in net.encoder.state_dict().items()}
    theirs = {"_conv_stem.weight": "stem.conv.weight", "_bn1.running_mean": "head.norm.running_mean"}
    ours = {theirs_: trained[ours_] for theirs_, ours_ in theirs.items()}
    rest = {k: v for k, v in trained.items() if k not in theirs.values()}
    save_file(ours | rest | {"_fc.weight": torch.zeros(2, 2)}, tmp_path / "imagenet.safetensors")
    begin(net, settings(imagenet=str(tmp_path / "imagenet.safetensors")))
    assert all(torch.equal(v, trained[k]) for k, v in net.encoder.state_dict().items())


def test_an_altered_photo_is_still_that_photo() -> None:
    ramp = torch.arange(224.0).expand(4, 3, 224, 224)
    torch.manual_seed(0)
    out = augmented(ramp)
    assert out.shape == ramp.shape
    assert out.min() >= 0
    assert out.max() <= 255
    slopes = (out[..., 150] - out[..., 80]).mean((1, 2))
    assert slopes.abs().min() > 30  # bright on one side, dark on the other
    assert {bool(s > 0) for s in slopes} == {True, False}  # some are mirrored


def test_the_stages_train_one_after_the_other(photos: Path, tmp_path: Path) -> None:
    stages = ("seed", "words", "frozen", "whole", "reward")
    for stage, start in zip(stages, ("", *stages), strict=False):
        given = settings(stage=stage, start=str(tmp_path / start) if start else "")
        train(tmp_path / stage, photos, photos, dict(SIZES), given)
    seed, words, first, whole, last = (load_file(tmp_path / s / "model.safetensors") for s in stages)
    stem, head, word = "encoder.stem.conv.weight", "encoder.head.conv.weight", "project.weight"
    assert not torch.equal(seed[head], words[head])
    assert torch.equal(words[head], first[head])
    assert torch.equal(seed["cell.weight_hh_l0"], words["cell.weight_hh_l0"])
    assert not torch.equal(seed["seed.weight"], words["seed.weight"])
    assert torch.equal(first[stem], whole[stem])
    assert not torch.equal(first[head], whole[head])
    assert torch.equal(whole[head], last[head])
    assert not torch.equal(whole[word], last[word])
    assert first["norm.running_var"].std() > 0
    for name in ("norm.running_mean", "norm.running_var"):
        assert torch.equal(first[name], last[name])


def test_learning_makes_the_captions_likelier(photos: Path, tmp_path: Path) -> None:
    rows = read_rows(photos)
    train(tmp_path / "net", photos, photos, SIZES | {"word_dropout": 0.0}, settings(epochs=40, rate=2e-2))
    net = Network(tmp_path / "net")
    said = [caption(net, e, "zh") for e in encodings_of(net.module, load_photos(rows), 1, "cpu")[0].numpy()]
    wanted = [[words_of(c) for c in row.captions["zh"]] for row in rows]
    assert bleu(said, wanted)[0] > 70
    assert "en" in check(net.module, encodings_of(net.module, load_photos(rows), 1, "cpu")[0], rows, net.tokenizer)


def test_an_interrupted_run_ends_like_one_in_one_go(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "once", photos, photos, dict(SIZES), settings())
    original, stopped = Run.save, []

    def save(self: Run, path: Path) -> None:
        original(self, path)
        if not stopped:
            stopped.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "twice", photos, photos, dict(SIZES), settings())
    train(tmp_path / "twice", photos, photos, dict(SIZES), settings())
    once, twice = (load_file(tmp_path / n / "model.safetensors") for n in ("once", "twice"))
    assert all(torch.allclose(once[k], twice[k], atol=2e-3) for k in once)


def test_a_reward_moves_the_odds_towards_the_better_caption(photos: Path, tmp_path: Path) -> None:
    train(tmp_path / "start", photos, photos, dict(SIZES), settings(epochs=1))
    rows, network = read_rows(photos), Network(tmp_path / "start")
    net = Captioner(CaptionerConfig.from_pretrained(tmp_path / "start", dropout=0, weight_dropout=0, word_dropout=0))
    net.config.encoding_dropout = net.input_dropout.rate = 0.0
    begin(net, settings(start=str(tmp_path / "start")))
    run = Run(net, settings(stage="reward", samples=8), "cpu")
    reward = Reward(run, rows, network.tokenizer, torch.empty(0))
    encodings = encodings_of(net, load_photos(rows), 1, "cpu")[0]
    torch.manual_seed(0)
    means = []
    for _ in range(60):
        loss, mean = reward.loss(encodings, list(range(len(rows))), "zh")
        for group in run.optimiser.param_groups:
            group["lr"] = 1e-2
        run.optimiser.zero_grad()
        loss.backward()
        run.optimiser.step()
        means.append(mean)
    assert np.mean(means[-10:]) > 2 * np.mean(means[:10]) > 0


def test_what_fits_photos_described_alike_is_worth_less(photos: Path, net: Network) -> None:
    rows = read_rows(photos)
    run = Run(Captioner(CaptionerConfig.from_pretrained(net.folder)), settings(stage="reward", contrast=0.5), "cpu")
    one, same = words_of(rows[0].captions["en"][0]), torch.zeros(len(rows), 3, dtype=torch.long)
    plain = Reward(run, rows, net.tokenizer, same).ciders["en"].score(0, one)
    assert plain > 0
    assert Reward(run, rows, net.tokenizer, same).worth(0, one, "en") == pytest.approx(plain / 2)
    others = torch.ones_like(same)
    apart = plain - 0.5 * Reward(run, rows, net.tokenizer, others).ciders["en"].score(1, one)
    assert Reward(run, rows, net.tokenizer, others).worth(0, one, "en") == pytest.approx(apart)
    run.settings.contrast = 0.0
    assert Reward(run, rows, net.tokenizer, same).worth(0, one, "en") == plain


def test_a_point_between_the_views_of_a_photo() -> None:
    views = torch.stack([torch.zeros(5, 3), torch.ones(5, 3)])
    seen = between(views)
    assert seen.shape == (5, 3)
    assert (seen > 0).all()
    assert (seen < 1).all()
    assert torch.equal(seen, seen[:, :1].expand(5, 3))
    assert torch.equal(between(views[:1]), views[0])


def test_an_encoding_is_blurred_towards_others_and_the_mean() -> None:
    torch.manual_seed(0)
    mean, others = torch.full((8,), 3.0), torch.full((4, 8), 5.0)
    encodings = torch.ones(500, 8)
    assert torch.equal(blurred(encodings, others, mean, settings()), encodings)
    mixed = blurred(encodings, others, mean, settings(blended=0.5))
    assert torch.equal(mixed, mixed[:, :1].expand(500, 8))
    assert 1 <= float(mixed.min()) < 1.1
    assert 2.9 < float(mixed.max()) <= 3
    seen = blurred(encodings, others, mean, settings(hidden=0.5))
    assert set(seen.unique().tolist()) == {3.0, -1.0}  # the mean, or twice as far from it
    assert float(seen.mean()) == pytest.approx(1, abs=0.15)


def test_a_language_is_rewarded_as_often_as_it_is_asked() -> None:
    assert [due("en,zh/4", i) for i in range(5)] == [["en", "zh"], ["en"], ["en"], ["en"], ["en", "zh"]]
    assert due("en,zh", 3) == ["en", "zh"]


def test_samples_at_a_low_temperature_are_the_likeliest_words(net: Network) -> None:
    torch.manual_seed(0)
    module = Captioner(CaptionerConfig.from_pretrained(net.folder)).eval()
    encodings, start, end = torch.rand(20, module.config.encoding_size), net.ids[STARTS["en"]], net.ids[END]
    greedy = captions_of(module, encodings, start, end)
    assert torch.equal(captions_of(module, encodings, start, end, 1e-6), greedy)
    drawn = captions_of(module, encodings, start, end, 1.0)
    assert drawn.shape != greedy.shape or not torch.equal(drawn, greedy)


def test_captions_are_cut_and_padded(photos: Path, net: Network) -> None:
    rows = read_rows(photos)
    batches = list(Captions(rows, net.tokenizer).batches([2, 0]))
    assert len(batches) == 2
    for language, (of, inputs, targets) in zip(LANGUAGES, batches, strict=True):
        assert of.tolist() == [0] * 5 + [1] * 5
        assert (inputs[:, 0] == net.ids[STARTS[language]]).all()
        assert ((targets == net.ids[END]).sum(1) == 1).all()
        for row, target in zip(inputs, targets, strict=True):
            length = int((target >= 0).sum())
            assert torch.equal(row[1:length], target[: length - 1])
    few = next(Captions(rows, net.tokenizer).batches([2, 0], told=2))
    assert few[0].tolist() == [0, 0, 1, 1]
    assert spoken(torch.tensor([[6, 7, 0, 5], [4, 4, 4, 4]]), net.tokenizer)[0] == [net.tokens[6], net.tokens[7]]


def test_evaluate_ends_with_one_json_line(photos: Path, net: Network) -> None:
    command = [
        sys.executable,
        "-m",
        "models.captioner.evaluate",
        str(net.folder),
        "--data",
        str(photos),
        "--lang",
        "zh",
    ]
    out = subprocess.run([*command, "--training", str(photos)], cwd=ROOT, capture_output=True, text=True, check=True)
    scores = json.loads(out.stdout.strip().splitlines()[-1])
    wanted = {
        "bleu1",
        "bleu2",
        "bleu3",
        "bleu4",
        "cider",
        "cider_swapped",
        "distinct_captions",
        "words",
        "rows",
        "seconds",
        "device",
    }
    assert wanted <= set(scores)
    assert scores["rows"] == 6
    assert scores["beam"] == 3
    assert 0 <= scores["copied"] <= 1


def test_words_of_photos_described_alike_are_borrowed(photos: Path, tmp_path: Path) -> None:
    """Part of what is said of a photo comes from others; no word appears that nobody said."""
    train(tmp_path / "net", photos, photos, dict(SIZES), settings(epochs=1))
    network = Network(tmp_path / "net")
    run = Run(Captioner(CaptionerConfig.from_pretrained(tmp_path / "net")), settings(), "cpu")
    words = Words(run, Captions(read_rows(photos), network.tokenizer))
    before = words.shares.clone()
    words.soften(0.3)
    assert torch.allclose(words.shares.sum(), before.clamp(max=1).sum(), rtol=0.2)
    assert not torch.equal(words.shares, before)
    assert ((words.shares > 0).any(0) <= (before > 0).any(0)).all()
    words.shares = before.clone()
    words.soften(0)
    assert torch.allclose(words.shares, before.clamp(max=1))
