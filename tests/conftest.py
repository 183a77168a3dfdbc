"""Tiny random networks in folders like the shipped ones, so that no test waits for weights."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import models
from demos.sentences import network_of

settings.register_profile("gallery", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("gallery")

CELLS = ("rnn", "gru", "lstm")
ENGLISH = "First Citizen:\nROMEO:\nO, she doth teach the torches to burn bright! What is't that you'd have?"
POEM = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"
CHINESE = POEM + "床前明月光循环网络宝玉听了；？！春眠不觉晓处闻啼鸟夜来风雨声花落知多少"

MakeNetwork = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests first, then the shipped weights, then the page."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("browser", "weights")])


def make_network(
    folder: Path,
    cell: str = "lstm",
    layers: int = 2,
    tied: bool = True,
    corpus: str = "shakespeare",
    texts: Iterable[str] = (ENGLISH,),
    bias: Mapping[str, float] | None = None,
    corpus_characters: int = 0,
) -> Path:
    """A random network, exported as training exports it; `bias` is added to tokens' logits."""
    import torch

    from models.charlm.data import CORPORA, END, FORMS, OTHER, make_tokenizer
    from models.charlm.modeling import CharLMConfig
    from models.charlm.train import Run, Settings

    special = (END, OTHER, *FORMS) if CORPORA[corpus].poems else ()
    tokenizer = make_tokenizer(texts, special)
    config = CharLMConfig(
        corpus=corpus,
        corpus_characters=corpus_characters,
        cell=cell,
        vocab_size=tokenizer.get_vocab_size(),
        embedding_size=8,
        hidden_size=12,
        num_layers=layers,
        tie_word_embeddings=tied,
    )
    run = Run(config, Settings(seed=len(cell) + layers), "cpu")
    with torch.no_grad():
        for token, value in (bias or {}).items():
            run.mean.module.head.bias[tokenizer.token_to_id(token)] += value
    folder.mkdir(parents=True)
    run.export(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "variants.json").write_text(json.dumps({"來": "来", "’": "'", "—": "--"}), "utf-8")
    scores = {"nats_per_char": 1.5, "bits_per_char": 2.164, "characters": 1000, "parameters": 2000}
    (folder / "scores.json").write_text(json.dumps(scores), "utf-8")
    return folder


VOCABULARY = ("the", "a", "film", "food", "was", "is", "it", "not", "good", "bad", "i", "do", "can", "but", *".,!?'")
REVIEWS = ("味道很好，下次还来！", "一点也不难吃，不错。", "包装很差，但是味道真的不错。", "质量太差了，不会再买。")


def make_sentiment(
    folder: Path, language: str = "en", cell: str = "lstm", bidirectional: bool = False, layers: int = 1
) -> Path:
    """A random sentiment network, exported as training exports it, with its bag of words."""
    import torch
    from safetensors.numpy import save_file

    from models.sentiment.data import chinese_tokenizer, word_pieces
    from models.sentiment.modeling import Sentiment, SentimentConfig
    from models.sentiment.train import Settings
    from models.training import Run

    letters = [prefix + chr(97 + i) for i in range(26) for prefix in ("", "##")]
    words = list(dict.fromkeys([*VOCABULARY, *letters]))
    tokenizer = chinese_tokenizer(REVIEWS * 3, 200) if language == "zh" else word_pieces(words)
    size = tokenizer.get_vocab_size()
    torch.manual_seed(size + layers + 7 * bidirectional + ord(cell[0]))
    sizes = {"vocab_size": size, "embedding_size": 5, "hidden_size": 6, "num_layers": layers, "temperature": 1.5}
    config = SentimentConfig(language=language, cell=cell, bidirectional=bidirectional, **sizes)
    Run(Sentiment(config), Settings(), "cpu").export(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    rng = np.random.default_rng(size)
    arrays = {"idf": 1 + rng.random(size), "weight": rng.standard_normal(size), "bias": rng.standard_normal(1)}
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, folder / "bag.safetensors")
    score = {"accuracy": 0.9, "f1": 0.9, "calibration_error": 0.02, "rows": 100}
    names = ("zh_reviews",) if language == "zh" else ("sst2", "imdb")
    scores = {"parameters": 500, "cell": cell, "files": dict.fromkeys(names, score)}
    (folder / "scores.json").write_text(json.dumps(scores), "utf-8")
    return folder


CAPTIONS = {
    "en": ["A dog runs on the grass .", "The brown dog runs .", "A dog on grass", "a boy and a dog", "A ball , a dog"],
    "zh": ["一只狗在草地上跑。", "狗在跑。", "草地上的狗。", "一个男孩和一只狗。", "在玩球的狗。"],
}


def about(caption: str, i: int) -> str:
    """The caption of a dog, a cat or a horse."""
    return caption.replace("dog", ("dog", "cat", "horse")[i % 3]).replace("狗", "狗猫马"[i % 3])


def make_photos(folder: Path, count: int = 6) -> Path:
    """A file of captions as Flickr8k has them, and photos of coloured noise beside it."""
    from PIL import Image

    (folder / "images").mkdir(parents=True)
    rows, rng = [], np.random.default_rng(3)
    for i in range(count):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((224, 224)).save(folder / "images" / f"{i}.jpg")
        rows.append({"image": f"{i}.jpg"} | {lang: [about(c, i) for c in some] for lang, some in CAPTIONS.items()})
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


SMALL_CNN = {
    "stages": [[1, 3, 2, 1, 8], [1, 3, 2, 2, 8], [1, 5, 2, 1, 8], [1, 3, 2, 1, 8]],
    "stem_channels": 8,
    "encoding_size": 12,
}


def make_captioner(folder: Path) -> Path:
    """A random captioner with a CNN of three blocks, exported as training exports it."""
    import torch
    from safetensors.numpy import save_file

    from models.captioner.data import Row, make_tokenizer
    from models.captioner.familiar import measured, stored
    from models.captioner.modeling import Captioner, CaptionerConfig
    from models.captioner.train import Run, Settings

    tokenizer = make_tokenizer([Row(Path("0.jpg"), CAPTIONS)], {"en": 1, "zh": 1})
    sizes = {"vocab_size": tokenizer.get_vocab_size(), "embedding_size": 10, "hidden_size": 14}
    torch.manual_seed(5)
    net = Captioner(CaptionerConfig(**SMALL_CNN, **sizes))
    with torch.no_grad():
        net.norm.running_mean.uniform_(0.1, 0.5)
        net.norm.running_var.uniform_(0.5, 2)
        net.head.bias.normal_()
        net.head.bias[0] = -1.0  # captions of some length
    Run(net, Settings(), "cpu").export(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    rng = np.random.default_rng(1)
    save_file(stored(measured(*rng.random((2, 40, 12), dtype=np.float32))), folder / "familiar.safetensors")
    score = {
        "bleu1": 60.0,
        "bleu4": 20.0,
        "cider": 50.0,
        "cider_swapped": 9.0,
        "distinct_captions": 0.5,
        "words": 400,
        "copied": 0.1,
        "beam": 3,
    }
    (folder / "scores.json").write_text(json.dumps({"parameters": 500, "en": score, "zh": score}), "utf-8")
    return folder


@pytest.fixture(name="make_network")
def _make_network(tmp_path: Path) -> MakeNetwork:
    """Make a tiny network in a folder of the test's own: make_network(cell="gru", tied=False)."""
    made = iter(range(1000))

    def make(**kwargs: object) -> Path:
        return make_network(tmp_path / f"network{next(made)}", **kwargs)

    return make


@pytest.fixture(params=[(cell, tied) for cell in CELLS for tied in (True, False)], ids=lambda p: f"{p[0]}-{p[1]}")
def folder(request: pytest.FixtureRequest, make_network: MakeNetwork) -> Path:
    """A tiny network of every cell, tied and untied."""
    cell, tied = request.param
    return make_network(cell=cell, tied=tied)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `models` with a tiny network of another cell for each book."""
    root = tmp_path_factory.mktemp("models")
    make_network(root / "charlm" / "shakespeare")
    # Poems that do not end soon, that break into lines often and in which no form stands.
    bias = {"，": 2.0, "\n": 1.0} | dict.fromkeys(("[完]", "[其他]", "[五绝]", "[五律]", "[七绝]", "[七律]"), -30.0)
    make_network(root / "charlm" / "tang", cell="gru", corpus="tang", texts=(CHINESE,), bias=bias)
    make_network(root / "charlm" / "hongloumeng", cell="rnn", tied=False, corpus="hongloumeng", texts=(CHINESE,))
    cells = {"one_way": "lstm", "two_way": "lstm", "rnn": "rnn", "gru": "gru", "lstm": "lstm", "bilstm": "lstm"}
    for language in ("en", "zh"):
        for network, cell in cells.items():
            folder = root / network_of(language, network)
            make_sentiment(folder, language, cell, bidirectional=network in ("two_way", "bilstm"))
    make_captioner(root / "captioner" / "flickr8k")
    return root


def forget() -> None:
    """Forget the networks that were opened, and what they computed."""
    from demos.one_to_many import blank, encoding_of

    for function in (models._open, blank, encoding_of):
        function.cache_clear()


@pytest.fixture
def use_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Let `models.load` look into another folder, and forget it afterwards."""

    def use(root: Path) -> None:
        monkeypatch.setattr(models, "ROOT", root)
        forget()

    yield use
    forget()


@pytest.fixture
def tiny(tiny_root: Path, use_root: Callable[[Path], None], cpu: None) -> None:
    """Every demo uses the tiny networks."""
    use_root(tiny_root)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute on the processor, where a run is repeatable to the last bit."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
