"""How unlike two pictures are to a network: a perceptual distance after LPIPS.

As LPIPS (Zhang et al. 2018, arXiv 1801.03924) without its learnt weights: activations of several
layers, each place's vector brought to length one, mean squared difference, summed over the layers.
LPIPS takes a network trained on photographs of anything; here any ONNX network of square RGB
pictures can be given, so distances in two networks cannot be compared.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.onnxruntime import OnnxRuntimeSession
from realtime.frame import Image

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

_ACTIVATIONS = ("Relu", "PRelu", "LeakyRelu")
_NUM_LAYERS = 5
_LEAST_PX = 7
_TINY = 1e-10


class FeatureDistance:
    """Compares pictures tile by tile at their own size.

    Args:
        model: an ONNX network with one fixed square input, RGB with ImageNet's normalisation.

    Raises:
        ModelError: it has another input, or no activations to compare.
    """

    def __init__(self, model: bytes) -> None:
        proto = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
        del proto.graph.output[:]
        proto.graph.output.extend(_layers(proto))
        self._session = OnnxRuntimeSession(proto.SerializeToString(), threads=2, name="features")
        shape = self._session.inputs[0].shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[2] < _LEAST_PX:
            raise ModelError(f"features: must take square RGB pictures, got a tensor of {shape}.")
        self._side_px = shape[2]

    def __call__(self, found: Image, wanted: Image) -> float:
        """The distance of two pictures of one size; 0 where they are the same.

        Args:
            found, wanted: ``(H, W, 3) u8 BGR``; the tiles that fit into their middle are compared.

        Raises:
            ModelError: the pictures are smaller than the network's input.
        """
        side, sizes = self._side_px, wanted.shape[:2]
        counts = [size // side for size in sizes]
        if not all(counts):
            raise ModelError(f"features: pictures must be of {side} px or more, got {sizes}.")
        first = [(size - count * side) // 2 for size, count in zip(sizes, counts, strict=True)]
        tiles = [
            (slice(top, top + side), slice(left, left + side))
            for top in range(first[0], first[0] + counts[0] * side, side)
            for left in range(first[1], first[1] + counts[1] * side, side)
        ]
        return float(np.mean([self._distance(found[tile], wanted[tile]) for tile in tiles]))

    def _distance(self, found: Image, wanted: Image) -> float:
        pairs = zip(self._look(found), self._look(wanted), strict=True)
        return sum(float(np.square(a - b).sum(axis=1).mean()) for a, b in pairs)

    def _look(self, tile: Image) -> list[NDArray[Any]]:
        """Activations of one tile, each place's vector of length one."""
        pixels = (tile[..., ::-1].astype(np.float32) / 255 - _MEAN) / _STD
        given = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
        out = {
            spec.name: np.zeros([max(extent, 1) for extent in spec.shape], np.float32)
            for spec in self._session.outputs
        }
        self._session.enqueue({self._session.inputs[0].name: given}, out=out, stream=0)
        return [
            one / np.sqrt(np.square(one).sum(axis=1, keepdims=True) + _TINY) for one in out.values()
        ]


def _layers(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Activations at even distances through the network, maps of pixels only."""
    shapes = {info.name: info for info in proto.graph.value_info}
    names = [node.output[0] for node in proto.graph.node if node.op_type in _ACTIVATIONS]
    maps = [shapes[name] for name in names if name in shapes and _side(shapes[name]) >= _LEAST_PX]
    if not maps:
        raise ModelError("features: the network must have activations to compare, got none.")
    places = np.linspace(0, len(maps) - 1, min(_NUM_LAYERS, len(maps))).round().astype(int)
    return [maps[place] for place in places]


def _side(info: onnx.ValueInfoProto) -> int:
    dims = info.type.tensor_type.shape.dim
    return int(dims[2].dim_value) if len(dims) == 4 else 0
