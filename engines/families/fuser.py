"""FuseNet: a drawn face and the picture around it go in, the face as a part of it comes out.

What it remembers from frame to frame goes in and comes out as plain tensors; the caller keeps it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.signature import ANY, expect_count, shown
from engines.session import Session, TensorSpec

MEMORIES: Mapping[str, str] = MappingProxyType(
    {"memory_4": "next_memory_4", "memory_8": "next_memory_8"}
)
"""What goes in of the frame before, moved to this one, and what comes out for the next."""

_STEPS = {"memory_4": 4, "memory_8": 8}
"""Pixels of the crop for each of a memory."""

_COLOURS, _PLANE = 3, 1
_PICTURES = {"render": _COLOURS, "validity": _PLANE, "context": _COLOURS, "keep": _PLANE}
_RESULTS = {"image": _COLOURS, "blend": _PLANE}
_CONFIDENCE = "confidence"

Planes = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FuserTensors:
    """Shapes of the network's tensors by their names; the crop's side in pixels."""

    side_px: int
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]


def bind_fuser(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str
) -> FuserTensors:
    """Checks that all tensors are there under their names, in their shapes.

    Raises:
        ModelError: one is not.
    """
    has_in, has_out = ({spec.name: spec for spec in specs} for specs in (inputs, outputs))
    render = has_in.get("render")
    side = render.shape[-1] if render is not None and len(render.shape) == 4 else ANY
    if side <= 0 or side % _STEPS["memory_8"]:
        got = "none" if render is None else shown(render.shape)
        raise ModelError(
            f"{where}: the network must have an input render of shape 1×3×S×S with S a multiple "
            f"of 8, got {got}. Export it with tools/export_fusenet.py."
        )
    wanted_in = {name: (1, channels, side, side) for name, channels in _PICTURES.items()}
    wanted_in[_CONFIDENCE] = (1, 1, side // 4, side // 4)
    wanted_out = {name: (1, channels, side, side) for name, channels in _RESULTS.items()}
    for name, following in MEMORIES.items():
        there = has_in.get(name)
        channels = there.shape[1] if there is not None and len(there.shape) == 4 else ANY
        shape = (1, channels, side // _STEPS[name], side // _STEPS[name])
        wanted_in[name] = wanted_out[following] = shape
    expect_count(inputs, (len(wanted_in),), where=where, role="inputs")
    expect_count(outputs, (len(wanted_out),), where=where, role="outputs")
    _expect(has_in, wanted_in, where)
    _expect(has_out, wanted_out, where)
    return FuserTensors(side, wanted_in, wanted_out)


def _expect(
    specs: Mapping[str, TensorSpec], wanted: Mapping[str, tuple[int, ...]], where: str
) -> None:
    for name, shape in wanted.items():
        spec = specs.get(name)
        if spec is None or spec.shape != shape or spec.dtype != np.float32 or ANY in shape:
            got = "none" if spec is None else f"{shown(spec.shape)} {spec.dtype.name}"
            raise ModelError(
                f"{where}: the network must have {name} of shape {shown(shape)} float32, got "
                f"{got}. Export it with tools/export_fusenet.py."
            )


class Fuser:
    """One network of FuseNet's signature. One thread at a time: the buffers are the object's.

    Attributes:
        inputs: arrays by the names of the inputs, all 0 at first; filled by the caller.
        outputs: arrays by the names of the outputs, written by each run.
    """

    def __init__(self, session: Session) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of FuseNet.
        """
        tensors = bind_fuser(session.inputs, session.outputs, "fuser")
        self._session = session
        self._side_px = tensors.side_px
        self.inputs = _buffers(tensors.inputs)
        self.outputs = _buffers(tensors.outputs)

    @property
    def side_px(self) -> int:
        """Side of the square crop."""
        return self._side_px

    def run(self) -> None:
        """Writes the outputs.

        Raises:
            ModelError: the network fails, or gives values that are no numbers.
        """
        self._session.enqueue(self.inputs, out=self.outputs, stream=0)
        for name, values in self.outputs.items():
            # What is no number would be painted as anything, or be remembered for ever.
            if not np.isfinite(values.sum()):
                raise ModelError(
                    f"fuser: {name} must consist of numbers, got NaN or infinite ones. "
                    "Use the network's fp32 version."
                )


def _buffers(shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, NDArray[Any]]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
