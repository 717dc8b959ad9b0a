"""Networks with the shapes of well-known public ones and random weights, made on the spot.

They take as long, use as much memory and need the same operators as the networks they stand for,
so that speed, building and splitting can be measured and tested without anybody's weights. What
they compute means nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from engines.graph_writer import GraphWriter, Shape

_LEAK = 0.2

_BRANCH_GAIN = 0.3
"""Of the last layer beside a shortcut, so that values stay small however many there are."""

_LINEAR_GAIN = 0.7
"""Of a layer that is applied to something that did not just pass a rectifier."""

_DEEP = (3, 4, 2, 3)
"""Blocks in each stage of the larger detector."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A network to be made.

    Attributes:
        name: short and unique.
        likeness: the network it stands for.
        make: builds the serialised ONNX model.
        is_dense: nearly all its work is in convolutions over many channels, at which processors
            are best.
    """

    name: str
    likeness: str
    make: Callable[[], bytes]
    is_dense: bool = True


def swapper(widths: Sequence[int] = (128, 256, 512, 1024), num_blocks: int = 6) -> bytes:
    """The 128 px face swapper: encoder, style blocks steered by the identity, decoder.

    Args:
        widths: channels at full, full, half and quarter resolution; those of the public network
            make 138 million weights.
        num_blocks: style blocks at the bottleneck, a fourth of the size.

    Returns:
        A model ``target (1, 3, 128, 128), source (1, 512) → output (1, 3, 128, 128)``, all f32.
    """
    a, b, c, d = widths
    net = GraphWriter(seed=1)
    x = _leaky(net, net.op("Conv", net.reflect("target", 3), net.weights(a, 3, 7, 7, fan_in=147)))
    x = _leaky(net, net.conv(x, a, b))
    x = _leaky(net, net.conv(x, b, c, stride=2))
    x = _leaky(net, net.conv(x, c, d, stride=2))
    for _ in range(num_blocks):
        styled = net.op("Relu", _adain(net, net.conv(x, d, d), d))
        x = net.op("Add", x, _adain(net, net.conv(styled, d, d), d))
    x = _leaky(net, net.conv(net.upsample(x), d, c))
    x = _leaky(net, net.conv(net.upsample(x), c, b))
    x = _leaky(net, net.conv(x, b, a))
    x = net.op("Conv", net.reflect(x, 3), net.weights(3, a, 7, 7, fan_in=49 * a, gain=0.1))
    x = net.op("Mul", net.op("Add", net.op("Tanh", x), net.floats(1)), net.floats(0.5))
    picture = (1, 3, 128, 128)
    return net.model({"target": picture, "source": (1, 512)}, {"output": (x, picture)})


def _leaky(net: GraphWriter, x: str) -> str:
    return net.op("LeakyRelu", x, alpha=_LEAK)


def _adain(net: GraphWriter, x: str, num_channels: int) -> str:
    """Normalises each channel over the picture, then scales and shifts it by the identity."""
    style = net.op(
        "Gemm",
        "source",
        net.weights(2 * num_channels, 512, fan_in=1024),
        net.constant(np.ones(2 * num_channels, np.float32)),
        transB=1,
    )
    style = net.op("Unsqueeze", style, net.integers(2, 3))
    scale = net.op("Slice", style, net.integers(0), net.integers(num_channels), net.integers(1))
    shift = net.op(
        "Slice", style, net.integers(num_channels), net.integers(2 * num_channels), net.integers(1)
    )
    centred = net.op("Sub", x, net.op("ReduceMean", x, axes=[2, 3]))
    variance = net.op("ReduceMean", net.op("Mul", centred, centred), axes=[2, 3])
    deviation = net.op("Sqrt", net.op("Add", variance, net.floats(1e-6)))
    normal = net.op("Div", centred, deviation)
    return net.op("Add", net.op("Mul", normal, scale), shift)


def depthwise_swapper() -> bytes:
    """A swapper light enough for two processor cores: separable convolutions throughout.

    Returns:
        A model with the signature of ``swapper``.
    """
    net = GraphWriter(seed=2)
    x = net.op("Relu", net.conv("target", 3, 32, stride=2))
    for num_in, num_out, stride in ((32, 64, 1), (64, 128, 2), (128, 192, 1)):
        x = net.op("Relu", _separable(net, x, num_in, num_out, stride))
    for _ in range(8):
        x = net.op("Add", x, net.op("Relu", _adain(net, _separable(net, x, 192, 192), 192)))
    x = net.upsample(net.op("Relu", _separable(net, x, 192, 128)))
    x = net.conv(net.op("Relu", _separable(net, x, 128, 64)), 64, 12)
    x = net.op("Sigmoid", net.op("DepthToSpace", x, blocksize=2))
    picture = (1, 3, 128, 128)
    return net.model({"target": picture, "source": (1, 512)}, {"output": (x, picture)})


def _separable(net: GraphWriter, x: str, num_in: int, num_out: int, stride: int = 1) -> str:
    return net.conv(net.conv(x, num_in, num_in, stride=stride, groups=num_in), num_in, num_out, 1)


def detector(
    base: int = 24, planes: Sequence[int] = (24, 48, 48, 80), blocks: Sequence[int] = (3, 5, 3, 2)
) -> bytes:
    """A face detector over three scales, as SCRFD (Guo et al. 2021); the defaults are its 2.5G.

    Returns:
        A model ``picture (1, 3, h, w) → score_8, box_8, points_8, score_16 … points_32``, all f32,
        height and width multiples of 32 that may vary; ``(1, n, 1)``, ``(1, n, 4)``,
        ``(1, n, 10)`` for the n places of each scale.
    """
    net = GraphWriter(seed=3)
    x = net.op("Relu", net.conv("picture", 3, base // 2, stride=2))
    x = net.op("Relu", net.conv(x, base // 2, base))
    x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    num_in, scales = base, []
    for stage, (num_out, num_blocks) in enumerate(zip(planes, blocks, strict=True)):
        for block in range(num_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x, num_in = _residual(net, x, num_in, num_out, stride), num_out
        scales.append(x)
    lateral = [
        net.conv(x, n, base, 1, gain=_LINEAR_GAIN)
        for x, n in zip(scales[1:], planes[1:], strict=True)
    ]
    lateral[1] = net.op("Add", lateral[1], net.upsample(lateral[2], "nearest"))
    lateral[0] = net.op("Add", lateral[0], net.upsample(lateral[1], "nearest"))
    outputs: dict[str, tuple[str, Shape]] = {}
    for x, step_px in zip(lateral, (8, 16, 32), strict=True):
        stem = net.op("Relu", net.conv(net.op("Relu", net.conv(x, base, 64)), 64, 64))
        for kind, size in (("score", 1), ("box", 4), ("points", 10)):
            head = net.op(
                "Transpose", net.conv(stem, 64, 2 * size, gain=_LINEAR_GAIN), perm=[0, 2, 3, 1]
            )
            head = net.op("Reshape", head, net.integers(1, -1, size))
            shaped = net.op("Sigmoid", head) if kind == "score" else head
            outputs[f"{kind}_{step_px}"] = (shaped, (1, f"places_{step_px}", size))
    return net.model({"picture": (1, 3, "height", "width")}, outputs)


def _residual(net: GraphWriter, x: str, num_in: int, num_out: int, stride: int) -> str:
    main = net.op("Relu", net.conv(x, num_in, num_out, stride=stride))
    main = net.conv(main, num_out, num_out, gain=_BRANCH_GAIN)
    if stride != 1 or num_in != num_out:
        x = net.conv(x, num_in, num_out, 1, stride=stride, gain=_LINEAR_GAIN)
    return net.op("Relu", net.op("Add", main, x))


def recogniser(layers: Sequence[int] = (3, 4, 14, 3)) -> bytes:
    """A face recogniser, as ArcFace's IResNet-50 (Deng et al. 2019) with its norms folded in.

    Returns:
        A model ``face (n, 3, 112, 112) → embedding (n, 512)``, f32, any number of faces.
    """
    net = GraphWriter(seed=4)
    x, num_in = net.prelu(net.conv("face", 3, 64), 64), 64
    for num_blocks, num_out in zip(layers, (64, 128, 256, 512), strict=True):
        for block in range(num_blocks):
            stride = 2 if block == 0 else 1
            main = net.prelu(net.conv(x, num_in, num_out), num_out)
            main = net.conv(main, num_out, num_out, stride=stride, gain=_BRANCH_GAIN)
            if num_in != num_out or stride != 1:
                x = net.conv(x, num_in, num_out, 1, stride=stride, gain=_LINEAR_GAIN)
            x = net.op("Add", main, x)
            num_in = num_out
    x = net.op("Flatten", x)
    weights = net.weights(512, 512 * 49, fan_in=512 * 49, gain=_BRANCH_GAIN)
    x = net.op("Gemm", x, weights, net.constant(np.zeros(512, np.float32)), transB=1)
    return net.model({"face": ("faces", 3, 112, 112)}, {"embedding": (x, ("faces", 512))})


def enlarger(num_blocks: int = 8, width: int = 64) -> bytes:
    """A ×2 super-resolution network, as EDSR (Lim et al. 2017).

    Returns:
        A model ``picture (n, 3, h, w) → enlarged (n, 3, 2h, 2w)``, f32, all of n, h, w may vary.
    """
    net = GraphWriter(seed=5)
    head = x = net.conv("picture", 3, width)
    for _ in range(num_blocks):
        main = net.conv(net.op("Relu", net.conv(x, width, width)), width, width)
        x = net.op("Add", x, net.op("Mul", main, net.floats(0.1)))
    x = net.conv(net.op("Add", head, net.conv(x, width, width)), width, 4 * width)
    x = net.conv(net.op("DepthToSpace", x, blocksize=2, mode="CRD"), width, 3, gain=_BRANCH_GAIN)
    small, large = ("n", 3, "h", "w"), ("n", 3, "enlarged_h", "enlarged_w")
    return net.model({"picture": small}, {"enlarged": (x, large)})


def masker(widths: Sequence[int] = (24, 40, 64, 96)) -> bytes:
    """A U-Net that says which pixels of a 256 px crop are face (Ronneberger et al. 2015).

    Returns:
        A model ``face (1, 3, 256, 256) → mask (1, 1, 256, 256)``, f32.
    """
    net = GraphWriter(seed=6)
    x, num_in, scales = "face", 3, []
    for width in widths:
        x = net.op("Relu", net.conv(x, num_in, width, stride=2))
        x, num_in = net.op("Relu", net.conv(x, width, width)), width
        scales.append(x)
    for level in range(len(widths) - 2, -1, -1):
        both = net.op("Concat", net.upsample(x), scales[level], axis=1)
        x = net.op("Relu", net.conv(both, widths[level + 1] + widths[level], widths[level]))
    x = net.op("Sigmoid", net.upsample(net.conv(x, widths[0], 1)))
    return net.model({"face": (1, 3, 256, 256)}, {"mask": (x, (1, 1, 256, 256))})


def flow(num_levels: int = 4, width: int = 32, size_px: int = 256) -> bytes:
    """Optical flow from coarse to fine by warping, as SPyNet (Ranjan and Black 2017).

    Returns:
        A model ``first, second (1, 3, s, s) → flow (1, 2, s, s)`` in pixels, f32.
    """
    net = GraphWriter(seed=7)
    pyramid = [("first", "second")]
    for _ in range(num_levels - 1):
        half = {"kernel_shape": [2, 2], "strides": [2, 2]}
        pyramid.append(tuple(net.op("AveragePool", x, **half) for x in pyramid[-1]))  # type: ignore[arg-type]
    coarsest_px = size_px >> (num_levels - 1)
    motion = net.constant(np.zeros((1, 2, coarsest_px, coarsest_px), np.float32))
    for level, (first, second) in reversed(list(enumerate(pyramid))):
        if level < num_levels - 1:
            motion = net.op("Mul", net.upsample(motion), net.floats(2))
        warped = _warp(net, second, motion, size_px >> level)
        x, num_in = net.op("Concat", first, warped, motion, axis=1), 8
        for num_out in (width, 2 * width, width):
            x, num_in = net.op("Relu", net.conv(x, num_in, num_out, 7)), num_out
        step = net.op("Mul", net.op("Tanh", net.conv(x, num_in, 2, 7)), net.floats(2))
        motion = net.op("Add", motion, step)
    picture = (1, 3, size_px, size_px)
    outputs = {"flow": (motion, (1, 2, size_px, size_px))}
    return net.model({"first": picture, "second": picture}, outputs)


def _warp(net: GraphWriter, picture: str, motion: str, size_px: int) -> str:
    """Looks a picture up at each pixel's place moved by ``motion``, in pixels."""
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32)
    places = net.op("Add", motion, net.constant(np.stack([x, y])[None]))
    scaled = net.op("Mul", places, net.floats(2 / (size_px - 1)))
    grid = net.op("Transpose", net.op("Sub", scaled, net.floats(1)), perm=[0, 2, 3, 1])
    return net.op("GridSample", picture, grid, align_corners=1, padding_mode="border")


TWINS: Mapping[str, Twin] = MappingProxyType(
    {
        twin.name: twin
        for twin in (
            Twin("swapper", "inswapper_128", swapper),
            Twin("swapper_half", "inswapper_128", lambda: swapper((64, 128, 256, 512))),
            Twin("swapper_quarter", "inswapper_128", lambda: swapper((32, 64, 128, 256))),
            Twin("swapper_depthwise", "MobileFaceSwap", depthwise_swapper, is_dense=False),
            Twin("detector", "SCRFD 2.5G", detector),
            Twin("detector_large", "SCRFD 10G", lambda: detector(56, (56, 88, 88, 224), _DEEP)),
            Twin("recogniser", "ArcFace R50", recogniser),
            Twin("enlarger", "EDSR 8x64, x2", enlarger),
            Twin("enlarger_small", "EDSR 4x32, x2", lambda: enlarger(4, 32)),
            Twin("masker", "BiSeNet", masker, is_dense=False),
            Twin("flow", "SPyNet", flow),
        )
    }
)
"""All of them by name."""
