"""Optical flow between two aligned views of a face: three providers behind one protocol.

``cuda_kernels.flow`` is not among them: on a processor it takes four times as long as ``DisFlow``.
"""

import math
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from engines.errors import ModelError
from engines.session import Array, Session
from realtime.aligned_view import AlignedView
from realtime.geometry import bounding_box

Flow = NDArray[np.float32]
"""``(S, S, 2) f32`` view pixels: what is at ``p`` in the one view was at ``p + flow[p]`` before."""

TOLERANCE, NOISE, CONTRAST = 1 / 48, 3.0, 16.0
"""When a flow is doubted, see ``flow_confidence``; the tolerance in sides of a view. On smooth
skin there and back never quite meet, and to doubt the flow there would let the drawn face tremble
on it: what comes into sight is told by how it looks."""

_STILL, _MOVES = 1.025, 1.06
"""A face stands still when leaving it where it was explains the new picture about as well as its
flow does: ratios of the mean differences up to which it certainly does, from which not at all."""

_CLEAN, _NOISY = 0.8, 1.6
"""Mean difference after the flow, in grey levels, up to which a picture has too little noise to
deceive the flow, and from which it has enough."""

_REFINEMENTS = 2
"""Iterations of variational refinement on each scale."""

_FINEST_SCALE = 1
"""How often a view is halved before its motion is looked for."""

_STEP = 2
"""Every so many rows and columns are looked at to tell whether a face stands still."""


class FlowProvider(Protocol):
    """Measures how one view became the next."""

    def measure(self, before: AlignedView, now: AlignedView) -> tuple[Flow, Flow]:
        """Flow in both directions.

        Args:
            before, now: views of the same face in two frames, of equal size.

        Returns:
            For each pixel of ``now`` where it was in ``before``, and for each pixel of ``before``
            where it is in ``now``; new arrays, the caller's to keep.
        """
        ...

    def close(self) -> None:
        """Lets go what it holds."""
        ...


def calm_motion(before: AlignedView, now: AlignedView, backward: Flow, forward: Flow) -> None:
    """Takes the flow back, in place, as far as the face can as well have stood still.

    Flow fitted to the noise of a still picture is small but never zero, and its errors add up:
    what is carried along would creep.

    Args:
        before, now: views of equal scale.
        backward, forward: the flow between them, from ``FlowProvider.measure``.
    """
    side_px = len(now.grey)
    left, top, right, bottom = bounding_box(now.points).tolist()
    (left, right), (top, bottom) = (
        _whole(*ends, side_px) for ends in ((left, right), (top, bottom))
    )
    inside = (slice(top, bottom, _STEP), slice(left, right, _STEP))
    seen = np.ascontiguousarray(now.grey[inside])
    columns = np.arange(left, right, _STEP, dtype=np.float32)[None]
    rows = np.arange(top, bottom, _STEP, dtype=np.float32)[:, None]
    moved = backward[inside]
    went = _difference(seen, before.grey, columns + moved[..., 0], rows + moved[..., 1])
    noise = min(max((went - _CLEAN) / (_NOISY - _CLEAN), 0.0), 1.0)
    if noise == 0.0:
        return
    apart = (before.crop_from_image[:, 2] - now.crop_from_image[:, 2]).astype(np.float32)
    still = np.broadcast_arrays(columns + apart[0], rows + apart[1])
    stood = _difference(seen, before.grey, *map(np.ascontiguousarray, still))
    ratio = stood / max(went, _CLEAN)
    share = noise * min(max((_MOVES - ratio) / (_MOVES - _STILL), 0.0), 1.0)
    if share > 0.0:
        backward += share * (apart - backward)
        forward += share * (-apart - forward)


def _whole(low: float, high: float, side_px: int) -> tuple[int, int]:
    """First pixel of a stretch and the one after its last, within a view; at least one pixel."""
    first = int(min(max(low, 0.0), side_px - 1))
    return first, int(min(max(high + 1.0, first + 1), side_px))


def _difference(
    seen: NDArray[np.uint8],
    grey: NDArray[np.uint8],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
) -> float:
    """Mean difference, in grey levels, between what is seen and a view at some places."""
    found = cv2.remap(grey, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.norm(seen, np.asarray(found, np.uint8), cv2.NORM_L1) / seen.size


class DisFlow:
    """Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016).

    Both directions are measured alike, on half of the view's pixels, and with variational
    refinement.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._dis.setFinestScale(_FINEST_SCALE)
        # The preset's five take longer and measure no better.
        self._dis.setVariationalRefinementIterations(_REFINEMENTS)

    def measure(self, before: AlignedView, now: AlignedView) -> tuple[Flow, Flow]:
        """As ``FlowProvider.measure``."""
        return self._one_way(now.grey, before.grey), self._one_way(before.grey, now.grey)

    def close(self) -> None:
        """Holds nothing that must be let go."""

    def _one_way(self, start: NDArray[np.uint8], end: NDArray[np.uint8]) -> Flow:
        flow = np.zeros((*start.shape, 2), np.float32)
        self._dis.calc(start, end, flow)
        return flow


class MeshFlow:
    """Flow read off the landmarks of the two views, between them linear over the triangles.

    Nearly free, but it knows only what the landmark network saw: noise included, hands excluded.
    Outside the face the similarity that moves the whole face goes on.
    """

    def __init__(self, triangles: NDArray[np.int32]) -> None:
        """Takes the mesh's ``(M, 3)`` triangles over the 468 landmarks."""
        self._triangles = triangles

    def measure(self, before: AlignedView, now: AlignedView) -> tuple[Flow, Flow]:
        """As ``FlowProvider.measure``."""
        return self._one_way(now, before), self._one_way(before, now)

    def close(self) -> None:
        """Holds nothing that must be let go."""

    def _one_way(self, start: AlignedView, end: AlignedView) -> Flow:
        height, width = start.grey.shape
        whole, _ = cv2.estimateAffinePartial2D(start.points, end.points, method=cv2.LMEDS)
        shift = np.eye(2, 3) if whole is None else np.asarray(whole, np.float64)
        rows, columns = np.indices((height, width), np.float32)
        ahead = cv2.transform(np.dstack([columns, rows]), shift - np.eye(2, 3))
        values = np.ones((len(start.points), 3), np.float32)
        values[:, :2] = end.points - start.points
        drawn = np.empty((height, width, 3), np.float32)
        rasterize(
            start.points,
            np.zeros(len(start.points), np.float32),
            self._triangles,
            values,
            out=drawn,
            depth=np.empty((height, width), np.float32),
        )
        inside = drawn[..., 2] > 0.5
        flow = np.array(ahead, np.float32)
        flow[inside] = drawn[inside, :2]
        return flow


class NetworkFlow:
    """Any network from two pictures to the flow between them: SpyNet, PWC-Net, RAFT, GMFlow.

    The pictures go in as RGB 0..1 (or 0..255 where ``peak`` says so), ``(1, 3, H, W)`` each, or
    both in one ``(1, 6, H, W)``; the last output with two channels is taken as the flow from the
    first picture to the second, in pixels of its own size.
    """

    def __init__(self, session: Session, peak: float = 1.0) -> None:
        """Takes a loaded network, which it closes.

        Args:
            session: the network.
            peak: value of white.

        Raises:
            ModelError: the network's tensors are not those of a two-picture flow network.
        """
        flows = [spec for spec in session.outputs if len(spec.shape) == 4 and spec.shape[1] == 2]
        shapes = [spec.shape for spec in session.inputs]
        is_pair = len(shapes) == 2 and all(len(s) == 4 and s[1] == 3 for s in shapes)
        is_stack = len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][1] == 6
        # Buffers of unknown size can only be taken where the meaning of each extent is known.
        is_bound = all(min(s.shape, default=1) > 0 or len(s.shape) == 4 for s in session.outputs)
        if not flows or not is_bound or not (is_pair or is_stack):
            raise ModelError(
                "flow network: must take two (1, 3, H, W) pictures or one (1, 6, H, W) and give "
                f"(1, 2, h, w), got {shapes} and {[s.shape for s in session.outputs]}. "
                "Choose flow.provider dis or mesh."
            )
        self._session, self._peak, self._is_stack = session, peak, is_stack
        self._size: tuple[int, int] | None = None
        if min(shapes[0][2:]) > 0:
            self._size = (shapes[0][3], shapes[0][2])
        self._output = flows[-1]
        self._inputs: dict[str, Array] = {}
        self._outputs: dict[str, Array] = {}

    def measure(self, before: AlignedView, now: AlignedView) -> tuple[Flow, Flow]:
        """As ``FlowProvider.measure``."""
        return self._one_way(now, before), self._one_way(before, now)

    def close(self) -> None:
        """Closes the network."""
        self._session.close()

    def _one_way(self, start: AlignedView, end: AlignedView) -> Flow:
        height, width = start.grey.shape
        size = self._size or (math.ceil(width / 32) * 32, math.ceil(height / 32) * 32)
        planes = [self._planes(view, size) for view in (start, end)]
        self._bind(size)
        if self._is_stack:
            np.concatenate(planes, axis=1, out=next(iter(self._inputs.values())))
        else:
            for buffer, plane in zip(self._inputs.values(), planes, strict=True):
                np.copyto(buffer, plane)
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        found = self._outputs[self._output.name][0].transpose(1, 2, 0).astype(np.float32)
        scale = np.array([width / found.shape[1], height / found.shape[0]], np.float32)
        flow = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(flow * scale, np.float32)

    def _planes(self, view: AlignedView, size: tuple[int, int]) -> NDArray[np.float32]:
        picture = cv2.cvtColor(cv2.resize(view.picture, size), cv2.COLOR_BGR2RGB)
        scaled = picture.astype(np.float32) * np.float32(self._peak / 255.0)
        return scaled.transpose(2, 0, 1)[None]

    def _bind(self, size: tuple[int, int]) -> None:
        """Takes the network's buffers, once."""
        if self._inputs:
            return
        width, height = size
        for spec in self._session.inputs:
            self._inputs[spec.name] = np.zeros((1, spec.shape[1], height, width), np.float32)
        for spec in self._session.outputs:
            shape = tuple(
                extent if extent > 0 else known
                for extent, known in zip(spec.shape, (1, 2, height, width), strict=True)
            )
            self._outputs[spec.name] = np.zeros(shape, np.float32)
