"""The same fusion logits with less work.

Norms go into the convolutions before them; the heads that only training reads are left out; and what a convolution
makes of an enlarged map is computed before enlarging: a 1x1 convolution commutes with a resize, and a 3x3 convolution
of one is nine of them, each shifted by a cell. On the pyramid's pooled maps, 50 cells in all, that saves half of the
pyramid's work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from infra.preprocess.human_parser.schp.network import (
    BINS,
    EPSILON,
    SLOPE,
    ActivatedNorm,
    AugmentedCe2p,
    Bottleneck,
    PyramidPooling,
    resized,
)

_STRIDE = 16  # of the last stage


class FoldedSchp(nn.Module):
    """`classifier` after `trunk`. The trunk may run in half precision; labels hang on the classifier's float32."""

    def __init__(self, trunk: Trunk, classifier: Classifier) -> None:
        super().__init__()
        self.trunk, self.classifier = trunk, classifier

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Pictures Nx3xHxW -> fusion logits Nx(classes)xhxw, float32."""
        return self.classifier(self.trunk(picture))


class Classifier(nn.Module):
    """The last 1x1 convolution, as a product: by default torch rounds a float32 convolution's factors to TF32 on CUDA,
    and a product's not."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(conv.weight.flatten(1)), nn.Parameter(conv.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Nx256xhxw of any precision -> logits Nx(classes)xhxw, float32."""
        logits = self.weight @ features.float().flatten(2) + self.bias[:, None]
        return logits.unflatten(2, features.shape[2:])


class Trunk(nn.Module):
    """All but the classifier: pictures Nx3xHxW -> features Nx256xhxw."""

    def __init__(self, bare: AugmentedCe2p, size: tuple[int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _folded(bare.conv1, bare.bn1), nn.ReLU(inplace=True),
            _folded(bare.conv2, bare.bn2), nn.ReLU(inplace=True),
            _folded(bare.conv3, bare.bn3), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
        )  # fmt: skip
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(*map(_FoldedBottleneck, stage))
            for stage in (bare.layer1, bare.layer2, bare.layer3, bare.layer4)
        )
        self.context = _FoldedPyramid(bare.context_encoding, (-(-size[0] // _STRIDE), -(-size[1] // _STRIDE)))
        self.coarse = _folded_leaky(bare.decoder.conv1)
        self.detail = _folded_leaky(bare.decoder.conv2)
        joined = _folded(*bare.decoder.conv3[:2])
        self.of_coarse, self.of_detail = _split(joined, (256, 48))
        self.decoded = _folded_leaky(bare.decoder.conv3[2:])
        self.edge1, self.edge2, self.edge3 = map(_folded_leaky, (bare.edge.conv1, bare.edge.conv2, bare.edge.conv3))
        fused = _folded(*bare.fushion[:2])
        self.of_decoded, self.of_edge1, self.of_edge2, self.of_edge3 = _split(fused, (256, 256, 256, 256))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        layer1 = self.layer1(self.stem(picture))
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        context = self.context(self.layer4(layer3))
        size = layer1.shape[2:]
        features = self.of_detail(self.detail(layer1))
        features += resized(self.of_coarse(self.coarse(context)), size)
        decoded = self.decoded(_leaky(features))
        fused = self.of_decoded(decoded)
        fused += self.of_edge1(self.edge1(layer1))
        fused += resized(self.of_edge2(self.edge2(layer2)), size)
        fused += resized(self.of_edge3(self.edge3(layer3)), size)
        return _leaky(fused)


class _FoldedBottleneck(nn.Module):
    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1, self.conv2 = _folded(block.conv1, block.bn1), _folded(block.conv2, block.bn2)
        self.conv3 = _folded(block.conv3, block.bn3)
        projected = isinstance(block.downsample, nn.Sequential)
        self.downsample = _folded(*block.downsample) if projected else block.downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(x).relu_()
        y = self.conv2(y).relu_()
        y = self.conv3(y)
        y += self.downsample(x)
        return y.relu_()


class _FoldedPyramid(nn.Module):
    """Pyramid pooling whose 3x3 convolution meets the pooled maps before they are enlarged.

    What it makes of them is a product of their 50 cells, weighted by each of its nine taps, with a matrix of how much
    of a cell each tap sees at each place; the matrix for maps of `size` (height, width) is built here, once.
    """

    def __init__(self, pyramid: PyramidPooling, size: tuple[int, int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(stage[0], _folded_leaky(stage[1:])) for stage in pyramid.stages)
        conv = _folded(*pyramid.bottleneck)
        out, channels = conv.out_channels, pyramid.stages[0][1].out_channels
        pooled, direct = conv.weight.split([len(BINS) * channels, conv.in_channels - len(BINS) * channels], 1)
        self.direct = _conv(direct.contiguous(), conv.bias, padding=1)
        # Output channels are the taps of one output channel after the other, in rows.
        self.taps = nn.ModuleList(
            _conv(part.permute(0, 2, 3, 1).reshape(9 * out, channels, 1, 1), None) for part in pooled.split(channels, 1)
        )
        self._size = size
        self.register_buffer("seen", _seen_by_taps(size), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Nx2048xHxW -> Nx512xHxW."""
        size = tuple(x.shape[2:])
        seen = self.seen if size == self._size else _seen_by_taps(size).to(self.seen)
        cells = [
            tap(stage(x)).flatten(2).unflatten(1, (-1, 9)).flatten(2) for tap, stage in zip(self.taps, self.stages)
        ]
        spread = torch.cat(cells, 2) @ seen
        y = self.direct(x)
        y += spread.unflatten(2, size)
        return _leaky(y)


def _seen_by_taps(size: tuple[int, int]) -> torch.Tensor:
    """(9 taps x cells of a pooled map, map after map) x (H W): each cell's share in what a tap sees at a place.

    A tap that reaches beyond the border sees nothing.
    """
    maps = []
    for bins in BINS:
        cells = torch.eye(bins * bins).reshape(-1, 1, bins, bins)
        enlarged = resized(cells, size)
        maps.append(F.unfold(enlarged, 3, padding=1).transpose(0, 1).flatten(0, 1))
    return torch.cat(maps)


def fold(bare: AugmentedCe2p, size: tuple[int, int] | None = None) -> FoldedSchp:
    """The network for inference from a loaded one, in float32 on the CPU; shares what it does not change.

    It takes pictures of any size; constants are built once for those of `size` (height, width), by default the
    published one.
    """
    classifier = bare.fushion[3]
    published = 473 if classifier.out_channels == 20 else 512
    with torch.no_grad():
        folded = FoldedSchp(Trunk(bare, size or (published, published)), Classifier(classifier))
    return folded.eval().requires_grad_(False)


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu_(x, SLOPE)


def _folded(conv: nn.Conv2d, norm: ActivatedNorm) -> nn.Conv2d:
    weight, bias = fuse_conv_bn_weights(
        conv.weight, None, norm.running_mean, norm.running_var, EPSILON, norm.scale(), norm.bias
    )
    return _conv(weight, bias, conv.stride, conv.padding, conv.dilation)


def _folded_leaky(head: nn.Sequential) -> nn.Sequential:
    conv, norm = head
    return nn.Sequential(_folded(conv, norm), nn.LeakyReLU(SLOPE, inplace=True))


def _split(conv: nn.Conv2d, channels: tuple[int, ...]) -> list[nn.Conv2d]:
    """A 1x1 convolution's parts for the maps that its input was joined from; the first one keeps the bias."""
    parts = conv.weight.split(channels, 1)
    return [_conv(part.contiguous(), conv.bias if index == 0 else None) for index, part in enumerate(parts)]


def _conv(weight: torch.Tensor, bias: torch.Tensor | None, stride=1, padding=0, dilation=1) -> nn.Conv2d:
    out, channels, *kernel = weight.shape
    with torch.device("meta"):
        conv = nn.Conv2d(channels, out, tuple(kernel), stride, padding, dilation, bias=bias is not None)
    conv.weight = nn.Parameter(weight)
    if bias is not None:
        conv.bias = nn.Parameter(bias)
    return conv
