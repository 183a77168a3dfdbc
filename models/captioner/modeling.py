"""A caption for a photo: one picture in, many words out.

    x_0 = S · norm(mean(maps(photo)))    the first tick reads the photo, and no tick after it
    h_t = LSTM(x_t, h_{t-1})             then x_1 is the language, x_2, x_3, … the words so far
    p(word) = softmax(E · (V · h_t) + b)

This is Show and Tell (Vinyals et al. 2015, section 3). The CNN is EfficientNet-Lite (Tan & Le
2019; without squeeze-and-excitation, with ReLU6), the cell an LSTM (Hochreiter & Schmidhuber
1997), input and output vectors are tied. English and Chinese share everything but their words:
the language is the first token.
"""

from dataclasses import field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import PreTrainedConfig, PreTrainedModel

SIZE = 224  # pixels a side; the whole photo is squashed into the square


class CaptionerConfig(PreTrainedConfig):
    """Sizes of the network; the dropout rates matter in training only."""

    model_type = "gallery-captioner"

    # EfficientNet-Lite2. Rows of blocks: how many, kernel, stride, expansion, channels out.
    stages: list = field(
        default_factory=lambda: [
            [1, 3, 1, 1, 16],
            [3, 3, 2, 6, 24],
            [3, 5, 2, 6, 48],
            [4, 3, 2, 6, 88],
            [4, 5, 1, 6, 120],
            [5, 5, 2, 6, 208],
            [1, 3, 1, 6, 352],
        ]
    )
    resolution: int = 288  # pixels a side that the CNN reads: enlarged, things have the size it knows
    stem_channels: int = 32
    encoding_size: int = 1280
    vocab_size: int = 4000
    embedding_size: int = 256
    hidden_size: int = 512
    encoding_dropout: float = 0.3  # on the photo's encoding
    input_dropout: float = 0.2  # on the word vectors
    word_dropout: float = 0.1  # of whole words
    dropout: float = 0.4  # on the hidden states
    weight_dropout: float = 0.2  # on the recurrent weights
    tie_word_embeddings: bool = True


class Convolution(nn.Module):
    """A convolution with TensorFlow's `same` padding, batch normalisation, ReLU6."""

    def __init__(
        self, below: int, above: int, kernel: int, stride: int = 1, groups: int = 1, squash: bool = True
    ) -> None:
        super().__init__()
        missing = kernel - stride  # where the stride divides the size, as it does in 288
        self.uneven = (missing // 2, missing - missing // 2) * 2 if missing % 2 else ()
        even = 0 if missing % 2 else missing // 2
        self.conv = nn.Conv2d(below, above, kernel, stride, even, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(above, eps=1e-3)
        self.squash = squash

    def forward(self, x: Tensor) -> Tensor:  # (B, C, N, N) -> (B, C', N / stride, N / stride)
        x = F.pad(x, self.uneven) if self.uneven else x
        x = self.norm(self.conv(x))
        return F.relu6(x, inplace=True) if self.squash else x

    def fold(self) -> None:
        """Take the normalisation, which no longer learns, into the convolution: one way less over every map."""
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Block(nn.Module):
    """Inverted bottleneck (Sandler et al. 2018): widen, filter each channel by itself, narrow."""

    def __init__(self, below: int, above: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = below * expansion
        self.expand = Convolution(below, wide, 1) if expansion > 1 else nn.Identity()
        self.depth = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, above, 1, squash=False)
        self.skip = stride == 1 and below == above

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depth(self.expand(x)))
        return x + y if self.skip else y


class Encoder(nn.Module):
    """EfficientNet-Lite without its classifier: a photo in, a coarse map of features out."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.resolution = config.resolution
        self.stem = Convolution(3, config.stem_channels, 3, stride=2)
        blocks, below = [], config.stem_channels
        for count, kernel, stride, expansion, above in config.stages:
            for i in range(count):
                blocks.append(Block(below, above, kernel, 1 if i else stride, expansion))
                below = above
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(below, config.encoding_size, 1)

    def fold(self) -> None:
        """Make ready for reading only."""
        for part in [part for part in self.modules() if isinstance(part, Convolution)]:
            part.fold()

    def forward(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, 224, 224) from 0 to 255 -> maps (B, D, 9, 9)."""
        size = (self.resolution, self.resolution)
        x = photos if photos.shape[2:] == size else F.interpolate(photos, size, mode="bicubic").clamp(0, 255)
        return self.head(self.blocks(self.stem((x - 127) / 128)))


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


class Captioner(PreTrainedModel):
    """A photo and the words so far in, the logits of the next word out, at every position."""

    config_class = CaptionerConfig
    base_model_prefix = "captioner"
    _tied_weights_keys: ClassVar = {"head.weight": "embedding.weight"}

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.norm = nn.BatchNorm1d(config.encoding_size, affine=False)
        self.seed = nn.Linear(config.encoding_size, config.embedding_size)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.cell = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True)
        self.project = nn.Linear(config.hidden_size, config.embedding_size)
        self.head = nn.Linear(config.embedding_size, config.vocab_size)
        self.input_dropout = LockedDropout(config.input_dropout)
        self.dropout = LockedDropout(config.dropout)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialisation, but tied vectors of length 1, an open forget gate, and
        convolutions that keep the scale of what they read (He et al. 2015)."""
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.embedding_size**-0.5)
        if isinstance(module, nn.LSTM):
            with torch.no_grad():
                module.bias_hh_l0[module.hidden_size : 2 * module.hidden_size] = 1.0

    def train(self, mode: bool = True) -> "Captioner":
        """Batch statistics stay what they are, the encoder's those of ImageNet: our batches are small."""
        super().train(mode)
        self.encoder.eval()
        self.norm.eval()
        return self

    def maps(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, 224, 224) from 0 to 255 -> maps of features (B, D, 9, 9): the mean of what the CNN
        makes of a photo and of its mirror image, mirrored back."""
        photos = torch.cat([photos, photos.flip(3)]).contiguous(memory_format=torch.channels_last)
        plain, mirrored = self.encoder(photos).chunk(2)
        return (plain + mirrored.flip(3)) / 2

    def encode(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, 224, 224) from 0 to 255 -> encodings (B, D), the mean over the map."""
        return self.maps(photos).mean((2, 3))

    def first(self, encodings: Tensor) -> Tensor:
        """What the first tick reads: encodings (B, D) -> (B, E)."""
        return self.seed(F.dropout(self.norm(encodings), self.config.encoding_dropout, self.training))

    def words(self, ids: Tensor) -> Tensor:
        """What the other ticks read: ids (B, T) -> (B, T, E)."""
        x = self.embedding(ids) * self.config.embedding_size**0.5
        if self.training:
            x = x * (torch.rand_like(x[..., :1]) >= self.config.word_dropout)
        return self.input_dropout(x)

    def states(self, encodings: Tensor, input_ids: Tensor) -> Tensor:
        """The photo's encoding (B, D) at the first tick, then `input_ids` (B, T), the language and
        the words: the hidden states after each of them (B, T, H)."""
        x = torch.cat([self.first(encodings)[:, None], self.words(input_ids)], 1)  # (B, 1 + T, E)
        return self.dropout(self.recur(x)[:, 1:])

    def logits(self, states: Tensor) -> Tensor:  # (..., H) -> (..., V)
        """What the next word may be."""
        return self.head(self.project(states))

    def forward(self, encodings: Tensor, input_ids: Tensor) -> Tensor:
        """Teacher forcing: the logits (B, T, V) of what follows the language and each word."""
        return self.logits(self.states(encodings, input_ids))

    def recur(self, x: Tensor) -> Tensor:  # (B, T, E) -> (B, T, H)
        """The recurrent layer over a whole sequence, with DropConnect on W_hh in training."""
        if not self.training or self.config.weight_dropout == 0:
            return self.cell(x)[0]
        zero = x.new_zeros(1, len(x), self.config.hidden_size)
        w_ih, w_hh, b_ih, b_hh = self.cell.all_weights[0]
        weights = [w_ih, F.dropout(w_hh, self.config.weight_dropout), b_ih, b_hh]
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        return torch.lstm(x, (zero, zero), weights, True, 1, 0.0, True, False, True)[0]
