"""ONNX networks of plain operators in PyTorch, on a card where no other runtime is to be had.

The project's own twins and the published swappers consist of these operators. On a GPU the network
runs in 16 bits, its pixels' channels side by side, and as one CUDA graph of PyTorch's own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import onnx
import torch
import torch.nn.functional as nnf
from onnx import numpy_helper

from engines.errors import ModelError
from engines.session import Array, Buffer, Place, TensorSpec

Tensor = Any
"""A ``torch.Tensor``."""
Attributes = Mapping[str, Any]

_WARM_UPS = 3


class TorchNetwork:
    """A network as PyTorch computes it.

    Args:
        model: a serialised ONNX model.
        device: ``cpu`` or ``cuda``.
        half: whether it computes in 16 bits.
        name: what error messages call it.

    Raises:
        ModelError: it has an operator that is not known here.
    """

    def __init__(self, model: bytes, device: str, *, half: bool, name: str = "model") -> None:
        graph = onnx.load_model_from_string(model).graph
        unknown = sorted({node.op_type for node in graph.node} - set(_OPERATORS))
        if unknown:
            raise ModelError(
                f"{name}: must consist of operators known here, got {', '.join(unknown)}. "
                "Use another runtime."
            )
        self.inputs = tuple(_spec(value) for value in graph.input)
        self.outputs = tuple(_spec(value) for value in graph.output)
        self._dtype = torch.float16 if half else torch.float32
        self._layout = torch.channels_last if half else torch.contiguous_format
        # Shapes, axes and the like are needed as numbers, weights as tensors.
        self._arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._weights = {
            one: self._placed(torch.from_numpy(np.array(array)).to(device))
            for one, array in self._arrays.items()
            if array.dtype == np.float32
        }
        self._nodes = [
            (
                _OPERATORS[node.op_type],
                tuple(node.input),
                node.output[0],
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in graph.node
        ]

    def __call__(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Computes the network.

        Args:
            given: tensors by input name, on the network's device.

        Returns:
            float32 tensors by output name.
        """
        values = dict(self._weights)
        values.update({name: self._placed(tensor) for name, tensor in given.items()})
        for run, inputs, output, attributes in self._nodes:
            taken = [values[name] if name in values else self._arrays.get(name) for name in inputs]
            values[output] = run(taken, attributes)
        return {spec.name: values[spec.name].float() for spec in self.outputs}

    def _placed(self, tensor: Tensor) -> Tensor:
        layout = self._layout if tensor.ndim == 4 else torch.contiguous_format
        return tensor.to(self._dtype, memory_format=layout)


class TorchSession:
    """A network in PyTorch that reads and writes arrays of other libraries in place, on a GPU.

    Args:
        model: a serialised ONNX model.
        name: what error messages call it.

    Attributes:
        inputs, outputs, place, provider: see ``Session``.

    Raises:
        ModelError: PyTorch finds no GPU, or the network is not known to it.
    """

    def __init__(self, model: bytes, *, name: str = "model") -> None:
        if not torch.cuda.is_available():
            raise ModelError(f"{name}: PyTorch must find a GPU, got none. Use another runtime.")
        self._network: TorchNetwork | None = TorchNetwork(model, "cuda", half=True, name=name)
        self.inputs: Final = self._network.inputs
        self.outputs: Final = self._network.outputs
        self.place: Final[Place] = "cuda"
        self.provider: Final = "torch:CUDA graph"
        self._graphs: dict[tuple[int, ...], tuple[Any, list[Buffer]]] = {}
        self._name = name

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Queues one run; the first with some arrays captures it, and waits for the whole GPU.

        Args:
            inputs: C-contiguous device arrays by input name.
            out: C-contiguous device arrays by output name.
            stream: handle of the CUDA stream.

        Raises:
            ModelError: the session is closed.
        """
        if self._network is None:
            raise ModelError(f"{self._name}: the session must be open, got a closed one.")
        buffers = [*inputs.values(), *out.values()]
        key = tuple(map(id, buffers))
        if key not in self._graphs:
            # Held, so that no other array gets the identity of one of these.
            self._graphs[key] = (self._captured(self._network, inputs, out), buffers)
        with torch.cuda.stream(torch.cuda.ExternalStream(stream)):
            self._graphs[key][0].replay()

    def close(self) -> None:
        """Frees the network."""
        self._graphs.clear()
        self._network = None

    def _captured(
        self,
        network: TorchNetwork,
        inputs: Mapping[str, Buffer],
        out: Mapping[str, Buffer],
    ) -> Any:
        given, wanted = (
            {name: torch.as_tensor(array, device="cuda") for name, array in arrays.items()}
            for arrays in (inputs, out)
        )

        def run() -> None:
            for name, tensor in network(given).items():
                wanted[name].copy_(tensor)

        torch.cuda.synchronize()
        side = torch.cuda.Stream()
        # The warm-ups try cuDNN's ways out; the capture takes the fastest of each.
        tried = torch.backends.cudnn.flags(enabled=True, benchmark=True)
        with torch.inference_mode(), tried:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    run()
            side.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=side):
                run()
        torch.cuda.synchronize()
        return graph


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value or -1 for dim in tensor.shape.dim)
    return TensorSpec(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))


def _whole(array: Array) -> list[int]:
    return [int(number) for number in np.asarray(array).ravel()]


def _conv(x: list[Any], a: Attributes) -> Tensor:
    given, pads = x[0], a.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        given, pads = nnf.pad(given, (pads[1], pads[3], pads[0], pads[2])), [0, 0]
    bias = x[2] if len(x) > 2 else None
    return nnf.conv2d(given, x[1], bias, a.get("strides", 1), pads[:2], 1, a.get("group", 1))


def _gemm(x: list[Any], a: Attributes) -> Tensor:
    weights = x[1] if a.get("transB") else x[1].T
    return nnf.linear(x[0], weights, x[2] if len(x) > 2 else None)


def _slice(x: list[Any], _: Attributes) -> Tensor:
    result = x[0]
    starts, ends, axes = map(_whole, x[1:4])
    for start, end, axis in zip(starts, ends, axes, strict=True):
        length = result.shape[axis]
        result = result.narrow(axis, start, min(end, length) - start)
    return result


def _unsqueeze(x: list[Any], _: Attributes) -> Tensor:
    result = x[0]
    for axis in _whole(x[1]):
        result = result.unsqueeze(axis)
    return result


def _resize(x: list[Any], a: Attributes) -> Tensor:
    times = [float(number) for number in np.asarray(x[2].cpu() if torch.is_tensor(x[2]) else x[2])]
    if a["mode"] == b"linear":
        return nnf.interpolate(x[0], scale_factor=times[2:], mode="bilinear", align_corners=False)
    return nnf.interpolate(x[0], scale_factor=times[2:], mode="nearest")


def _pad(x: list[Any], a: Attributes) -> Tensor:
    pads = _whole(x[1])
    mode = a.get("mode", b"constant").decode()
    return nnf.pad(x[0], (pads[3], pads[7], pads[2], pads[6]), mode=mode)


def _depth_to_space(x: list[Any], a: Attributes) -> Tensor:
    size = a["blocksize"]
    if a.get("mode", b"DCR") == b"CRD":
        return nnf.pixel_shuffle(x[0], size)
    batch, channels, height, width = x[0].shape
    parts = x[0].reshape(batch, size, size, channels // size**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * size, width * size)


def _mean(x: list[Any], a: Attributes) -> Tensor:
    # A sum over a whole picture leaves the range of 16 bits.
    return x[0].float().mean(a["axes"], keepdim=bool(a.get("keepdims", 1))).to(x[0].dtype)


def _grid_sample(x: list[Any], a: Attributes) -> Tensor:
    padding, corners = a["padding_mode"].decode(), bool(a["align_corners"])
    return nnf.grid_sample(x[0], x[1], "bilinear", padding, corners)


_OPERATORS: Mapping[str, Callable[[list[Any], Attributes], Tensor]] = {
    "Add": lambda x, _: x[0] + x[1],
    "AveragePool": lambda x, a: nnf.avg_pool2d(x[0], a["kernel_shape"], a["strides"]),
    "Concat": lambda x, a: torch.cat(x, a["axis"]),
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "Div": lambda x, _: x[0] / x[1],
    "Flatten": lambda x, a: x[0].contiguous().flatten(a.get("axis", 1)),
    "Gemm": _gemm,
    "GridSample": _grid_sample,
    "Identity": lambda x, _: x[0],
    "LeakyRelu": lambda x, a: nnf.leaky_relu(x[0], a.get("alpha", 0.01)),
    "MaxPool": lambda x, a: nnf.max_pool2d(x[0], a["kernel_shape"], a["strides"]),
    "Mul": lambda x, _: x[0] * x[1],
    "PRelu": lambda x, _: torch.where(x[0] < 0, x[0] * x[1], x[0]),
    "Pad": _pad,
    "ReduceMean": _mean,
    "Relu": lambda x, _: torch.relu(x[0]),
    "Reshape": lambda x, _: x[0].reshape(_whole(x[1])),
    "Resize": _resize,
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "Slice": _slice,
    "Sqrt": lambda x, _: torch.sqrt(x[0]),
    "Sub": lambda x, _: x[0] - x[1],
    "Tanh": lambda x, _: torch.tanh(x[0]),
    "Transpose": lambda x, a: x[0].permute(a["perm"]),
    "Unsqueeze": _unsqueeze,
}
