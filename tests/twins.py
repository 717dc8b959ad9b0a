"""Networks with the exact signatures of the published ones, and weights that are known.

Each computes something simple enough to be said in a line, which depends on every value that
goes in: so a test can compute the same in double precision.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tools.swapper_twin import make_swapper as published_swapper

__all__ = ["published_swapper"]

FLOAT, HALF, DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE
STRIDES = (8, 16, 32)
BOX = np.array([1.5, 2.0, 2.5, 3.0], np.float32)
"""Distances of a detected box's sides from its anchor, in strides."""

POINTS = np.array([-1, -1, 1, -1, 0, 0, -0.75, 1.25, 0.75, 1.25], np.float32)
"""The five points relative to the anchor, in strides."""


class Graph:
    """Collects nodes and constants."""

    def __init__(self, dtype=FLOAT):
        self.nodes, self.constants = [], []
        self.dtype = dtype
        self.numpy = np.dtype(helper.tensor_dtype_to_np_dtype(dtype))

    def node(self, kind, *inputs, name=None, **attributes):
        name = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value, dtype=None):
        name = f"c{len(self.constants)}"
        value = np.asarray(value)
        if dtype is not None or value.dtype.kind == "f":
            value = value.astype(dtype or self.numpy)
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def model(self, inputs, outputs, *, domain_opsets=()):
        def infos(values):
            return [
                helper.make_tensor_value_info(
                    name, *(rest if len(rest) > 1 else (self.dtype, *rest))
                )
                for name, *rest in values
            ]

        graph = helper.make_graph(
            self.nodes, "twin", infos(inputs), infos(outputs), initializer=self.constants
        )
        opsets = [helper.make_opsetid("", 17), *domain_opsets]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def swapper(
    size_px,
    *,
    batch=1,
    dtype=FLOAT,
    source=(512,),
    mask=False,
    emap=False,
    names=("target", "source", "output"),
    source_first=False,
    seed=0,
    strength=1.0,
    is_shape_stated=True,
):
    """picture = 0.5 * target + tint(source); see ``swapped``. The mask is all ones.

    With more ``strength`` the source tints more than ``swapped`` says.
    """
    g = Graph(dtype)
    target, given, result = names
    weights = strength * tint_weights(int(np.prod(source)), seed)
    flat = g.node("Reshape", given, g.constant(np.array([-1, weights.shape[0]])))
    tint = g.node("MatMul", flat, g.constant(weights))
    tint = g.node("Reshape", tint, g.constant(np.array([-1, 3, 1, 1])))
    half = g.node("Mul", target, g.constant(np.array(0.5)))
    stated = [batch, 3, size_px, size_px] if is_shape_stated else ["n", "c", "h", "w"]
    outputs = [(result, stated)]
    g.node("Add", half, tint, name=result)
    if mask:
        channel = g.node("ReduceMean", target, axes=[1], keepdims=1)
        zero = g.node("Mul", channel, g.constant(np.array(0.0)))
        g.node("Add", zero, g.constant(np.array(1.0)), name="mask")
        outputs.append(("mask", [batch, 1, size_px, size_px]))
    if emap:
        g.constants.append(numpy_helper.from_array(emap_matrix(seed).astype(g.numpy), "buff2fs"))
    inputs = [(target, [batch, 3, size_px, size_px]), (given, [batch, *source])]
    return g.model(inputs[::-1] if source_first else inputs, outputs)


def tint_weights(count, seed=0):
    return (np.random.default_rng(seed).normal(size=(count, 3)) / count).astype(np.float32)


def emap_matrix(seed=0):
    return np.random.default_rng(seed + 1).normal(size=(512, 512)).astype(np.float32)


def swapped(target, source, seed=0):
    """What the swapper twin computes, in double precision: ``(3, S, S)`` from ``(3, S, S)``."""
    flat = np.asarray(source, np.float64).reshape(-1)
    tint = flat @ tint_weights(len(flat), seed).astype(np.float64)
    return 0.5 * np.asarray(target, np.float64) + tint[:, None, None]


def deepface(size_px, *, morph=True):
    """celebrity = 0.5 * face + 0.25 * morph; masks: blue and green of the face."""
    g = Graph()
    half = g.node("Mul", "in_face:0", g.constant(np.array(0.5)))
    extra = g.constant(np.array([0.25]))
    if morph:
        extra = g.node("Mul", "morph_value:0", extra)
    g.node("Add", half, extra, name="out_celeb_face:0")
    for channel, name in enumerate(("out_face_mask:0", "out_celeb_face_mask:0")):
        ends = (g.constant(np.array([channel])), g.constant(np.array([channel + 1])))
        g.node("Slice", "in_face:0", *ends, g.constant(np.array([3])), name=name)
    inputs = [("in_face:0", ["n", size_px, size_px, 3])]
    one = ["n", size_px, size_px, 1]
    outputs = [
        ("out_face_mask:0", one),
        ("out_celeb_face:0", ["n", size_px, size_px, 3]),
        ("out_celeb_face_mask:0", one),
    ]
    return g.model([*inputs, ("morph_value:0", [1])] if morph else inputs, outputs)


def recogniser(size_px=112, dimensions=512, *, batch="n", name="input.1", block=16):
    """embedding = means of blocks of the crop, times a random matrix."""
    g = Graph()
    pooled = g.node("AveragePool", name, kernel_shape=[block, block], strides=[block, block])
    count = 3 * (size_px // block) ** 2
    flat = g.node("Reshape", pooled, g.constant(np.array([-1, count])))
    g.node("MatMul", flat, g.constant(recogniser_weights(count, dimensions)), name="683")
    return g.model([(name, [batch, 3, size_px, size_px])], [("683", [batch, dimensions])])


def recogniser_weights(count, dimensions):
    return np.random.default_rng(5).normal(size=(count, dimensions)).astype(np.float32)


def embedding_of(planes, dimensions=512, block=16):
    """What the recogniser twin computes, in double precision, from ``(3, S, S)``."""
    planes = np.asarray(planes, np.float64)
    cells = planes.shape[1] // block
    means = planes.reshape(3, cells, block, cells, block).mean(axis=(2, 4)).reshape(-1)
    return means @ recogniser_weights(len(means), dimensions).astype(np.float64)


def converter(dimensions=512):
    """output = the input's elements in reverse, times two."""
    g = Graph()
    reverse = g.constant(2 * np.eye(dimensions)[::-1])
    g.node("MatMul", "input", reverse, name="output")
    return g.model([("input", [1, dimensions])], [("output", [1, dimensions])])


def _cells(g, source, channel, stride):
    """The values of one channel at the corners of the cells, row by row: ``(1, N, 1)``."""
    starts, ends = (
        g.constant(np.array([channel, 0, 0])),
        g.constant(np.array([channel + 1, 9999, 9999])),
    )
    axes, steps = g.constant(np.array([1, 2, 3])), g.constant(np.array([1, stride, stride]))
    picked = g.node("Slice", source, starts, ends, axes, steps)
    return g.node("Reshape", picked, g.constant(np.array([1, -1, 1])))


def scrfd(size_px=None, *, ranked=False, open_input=False):
    """Sees a face wherever the first pixel of a cell is red; the second anchor sees nothing."""
    g = Graph()
    parts = {"score": [], "bbox": [], "kps": []}
    extent = None if open_input else size_px
    for stride in STRIDES:
        red = _cells(g, "input.1", 0, stride)
        sure = g.node(
            "Mul", g.node("Add", red, g.constant(np.array(1.0))), g.constant(np.array(0.5))
        )
        never = g.node("Mul", sure, g.constant(np.array(0.0)))
        both = g.node("Concat", sure, never, axis=2)
        tail = [1, -1, 1] if ranked else [-1, 1]
        score = g.node("Reshape", both, g.constant(np.array(tail)), name=f"score_{stride}")
        none = g.node("Mul", score, g.constant(np.array(0.0)))
        g.node("Add", none, g.constant(BOX), name=f"bbox_{stride}")
        g.node("Add", none, g.constant(POINTS), name=f"kps_{stride}")
        count = None if size_px is None else 2 * (size_px // stride) ** 2
        for kind, width in (("score", 1), ("bbox", 4), ("kps", 10)):
            shape = [1, count, width] if ranked else [count, width]
            parts[kind].append((f"{kind}_{stride}", shape))
    outputs = [*parts["score"], *parts["bbox"], *parts["kps"]]
    return g.model([("input.1", [1, 3, extent, extent])], outputs)


YUNET_SIZE = (0.25, 0.5, np.log(3.0), np.log(4.0))
"""Middle of a detected box in its cell, and the logarithms of its size, in strides."""


def yunet():
    """Sees a face wherever the first pixel of a cell is blue."""
    g = Graph()
    kinds = {"cls": [], "obj": [], "bbox": [], "kps": []}
    for stride in STRIDES:
        blue = _cells(g, "input", 0, stride)
        cls = g.node("Mul", blue, g.constant(np.array(1 / 255)), name=f"cls_{stride}")
        none = g.node("Mul", cls, g.constant(np.array(0.0)))
        g.node("Add", none, g.constant(np.array([1.0])), name=f"obj_{stride}")
        g.node("Add", none, g.constant(np.array(YUNET_SIZE)), name=f"bbox_{stride}")
        g.node("Add", none, g.constant(POINTS), name=f"kps_{stride}")
        for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            kinds[kind].append((f"{kind}_{stride}", ["batch", None, width]))
    outputs = [*kinds["cls"], *kinds["obj"], *kinds["bbox"], *kinds["kps"]]
    return g.model([("input", ["batch", 3, "height", "width"])], outputs)


def yolo(size_px=640):
    """Sees a face of 3 × 4 strides in the middle of every cell whose first pixel is red."""
    g = Graph()
    levels = []
    for stride in STRIDES:
        count = size_px // stride
        rows, columns = np.indices((count, count), np.float32)
        middle = (np.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * stride
        fixed = np.zeros((1, count * count, 20), np.float32)
        fixed[0, :, :2] = middle
        fixed[0, :, 2:4] = (3 * stride, 4 * stride)
        points = middle[:, None] + POINTS.reshape(5, 2) * stride
        fixed[0, :, 5:] = np.concatenate([points, np.ones((len(points), 5, 1))], -1).reshape(-1, 15)
        place = np.zeros((1, 20), np.float32)
        place[0, 4] = 1
        red = g.node("MatMul", _cells(g, "images", 0, stride), g.constant(place))
        levels.append(g.node("Add", red, g.constant(fixed)))
    joined = g.node("Concat", *levels, axis=1)
    g.node("Transpose", joined, perm=[0, 2, 1], name="output0")
    cells = sum((size_px // stride) ** 2 for stride in STRIDES)
    return g.model([("images", [1, 3, size_px, size_px])], [("output0", [1, 20, cells])])


def landmarks(size_px, num_points, *, heatmap_px=None):
    """All points the same: the means of the crop's first and second channel."""
    g = Graph()
    mean = g.node("GlobalAveragePool", "data")
    ends = g.constant(np.array([0])), g.constant(np.array([2])), g.constant(np.array([1]))
    pair = g.node("Reshape", g.node("Slice", mean, *ends), g.constant(np.array([1, 2])))
    inputs = [("data", [1, 3, size_px, size_px])]
    repeats = g.constant(np.array([1, num_points]))
    if heatmap_px is None:
        g.node("Tile", pair, repeats, name="fc1")
        return g.model(inputs, [("fc1", [1, 2 * num_points])])
    third = g.node("Concat", pair, g.constant(np.ones((1, 1))), axis=1)
    tiled = g.node("Tile", third, repeats)
    g.node("Reshape", tiled, g.constant(np.array([1, num_points, 3])), name="landmarks_xyscore")
    heat = np.zeros((1, num_points, heatmap_px, heatmap_px), np.float32)
    heat[0, :, 3, 4] = np.linspace(0.0, 0.9, num_points)
    zero = g.node("Mul", g.node("ReduceMean", mean, keepdims=0), g.constant(np.array(0.0)))
    g.node("Add", g.constant(heat), zero, name="heatmaps")
    return g.model(
        inputs,
        [("landmarks_xyscore", [1, num_points, 3]), ("heatmaps", list(heat.shape))],
    )


def occlusion(size_px=256):
    """free = the crop's first channel (blue), channels last."""
    g = Graph()
    ends = g.constant(np.array([0])), g.constant(np.array([1])), g.constant(np.array([3]))
    g.node("Slice", "in_face:0", *ends, name="out_mask:0")
    return g.model(
        [("in_face:0", ["n", size_px, size_px, 3])], [("out_mask:0", ["n", size_px, size_px, 1])]
    )


def regions(size_px=512):
    """Part 1 (skin) where red is above its mean, part 17 (hair) where it is below."""
    g = Graph()
    ends = g.constant(np.array([0])), g.constant(np.array([1])), g.constant(np.array([1]))
    red = g.node("Slice", "input", *ends)
    weights = np.full((1, 19, 1, 1), 0.0, np.float32)
    weights[0, 1], weights[0, 17] = 1.0, -1.0
    offset = np.full((1, 19, 1, 1), -50.0, np.float32)
    offset[0, [1, 17]] = 0.0
    scaled = g.node("Mul", red, g.constant(weights))
    g.node("Add", scaled, g.constant(offset), name="output")
    shape = [1, 19, size_px, size_px]
    return g.model([("input", [1, 3, size_px, size_px])], [("output", shape)])


def restorer(size_px=512, *, weighted=False):
    """sharp = -blurred, times the weight where there is one."""
    g = Graph()
    shape = [1, 3, size_px, size_px]
    inputs = [("input", shape)]
    result = g.node("Neg", "input", name=None if weighted else "1288")
    if weighted:
        weight = g.node("Cast", "weight", to=FLOAT)
        g.node("Mul", result, weight, name="1288")
        inputs.append(("weight", DOUBLE, [1]))
    return g.model(inputs, [("1288", shape)])


def enlarger(scale=2, *, batch="n", side=None):
    """Every pixel as a square of equal ones."""
    g = Graph()
    ones = np.array([1, 1, scale, scale], np.float32)
    g.node("Resize", "small", "", g.constant(ones), mode="nearest", name="large")
    open_size = ["h", "w"] if side is None else [side, side]
    larger = ["H", "W"] if side is None else [side * scale, side * scale]
    return g.model([("small", [batch, 3, *open_size])], [("large", [batch, 3, *larger])])


def fuser(side=64, *, added=(0.0, 0.0, 0.0), share=1.0, echo=0.0, echo_8=0.0, broken=False):
    """image = render + added + echoes of the memories; blend = share * (1 - keep).

    The echo of memory_4 is ``echo * confidence * memory_4[:3]``, each of its pixels a square of
    equal ones; that of memory_8 is ``echo_8 * memory_8[:3]``. Remembered are the means of context
    and keep over squares of 4 px, and of context, render, validity and keep over squares of 8 px.
    """
    g = Graph()
    image = g.node("Add", "render", g.constant(np.reshape(added, (1, 3, 1, 1)).astype(np.float32)))
    trusted = g.node("Mul", _colours(g, "memory_4"), "confidence")
    for memory, step, strength in ((trusted, 4, echo), (_colours(g, "memory_8"), 8, echo_8)):
        scales = g.constant(np.array([1, 1, step, step], np.float32))
        large = g.node("Resize", memory, "", scales, mode="nearest")
        image = g.node("Add", image, g.node("Mul", large, g.constant(np.array(strength))))
    zero = g.constant(np.array(0.0))
    g.node("Div", image, zero if broken else g.constant(np.array(1.0)), name="image")
    free = g.node("Sub", g.constant(np.array(1.0)), "keep")
    g.node("Mul", free, g.constant(np.array(share)), name="blend")
    for step, parts in ((4, ("context", "keep")), (8, ("context", "render", "validity", "keep"))):
        means = [
            g.node("AveragePool", p, kernel_shape=[step] * 2, strides=[step] * 2) for p in parts
        ]
        g.node("Concat", *means, axis=1, name=f"next_memory_{step}")
    colours, plane = [1, 3, side, side], [1, 1, side, side]
    memories = [[1, 4, side // 4, side // 4], [1, 8, side // 8, side // 8]]
    inputs = [("render", colours), ("validity", plane), ("context", colours), ("keep", plane)]
    inputs += [("memory_4", memories[0]), ("memory_8", memories[1])]
    inputs += [("confidence", [1, 1, side // 4, side // 4])]
    outputs = [("image", colours), ("blend", plane)]
    outputs += [("next_memory_4", memories[0]), ("next_memory_8", memories[1])]
    return g.model(inputs, outputs)


def _colours(g, memory):
    """The first three channels."""
    ends = (g.constant(np.array([0])), g.constant(np.array([3])))
    return g.node("Slice", memory, *ends, g.constant(np.array([1])))


BY_FAMILY = {
    "inswapper": lambda: swapper(128, emap=True),
    "reswapper_128": lambda: swapper(128, emap=True, seed=1),
    # As its exports are: what comes out has a size of its own name.
    "reswapper_256": lambda: swapper(256, emap=True, is_shape_stated=False),
    "hyperswap": lambda: swapper(256, mask=True),
    "simswap_256": lambda: swapper(256, names=("input", "onnx::Gemm_1", "output")),
    "simswap_512": lambda: swapper(512, names=("input", "onnx::Gemm_1", "output")),
    "ghost": lambda: swapper(256, names=("target", "source", "781"), source_first=True),
    "hififace": lambda: swapper(256, mask=True, seed=2),
    "uniface": lambda: swapper(256, source=(3, 256, 256)),
    "blendswap": lambda: swapper(256, source=(3, 112, 112)),
    "dfm": lambda: deepface(256),
    "scrfd": scrfd,
    "yunet": yunet,
    "yolo_face": yolo,
    "arcface": recogniser,
    "mobilefacenet": lambda: recogniser(dimensions=128),
    "fan_68": lambda: landmarks(256, 68, heatmap_px=64),
    "regressed_106": lambda: landmarks(192, 106),
    "pfld_68": lambda: landmarks(112, 68),
    "xseg": occlusion,
    "bisenet": regions,
    "restorer_512": lambda: restorer(weighted=True),
    "gpen_256": lambda: restorer(256),
    "gpen_1024": lambda: restorer(1024),
    "gpen_2048": lambda: restorer(2048),
    "enlarger_x2": lambda: enlarger(2),
    "enlarger_x4": lambda: enlarger(4),
    "fusenet": fuser,
    "crossface": converter,
}
"""A network for each family of the catalogue, made when it is called."""
