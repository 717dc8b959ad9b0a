"""Redraws every face of the frame as another person's with a swapping network."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from engines.families.crops import cut_crop
from engines.families.landmarks import LandmarkNetwork
from engines.families.landmarks import five_points as five_of
from engines.families.mask import MaskNetwork
from engines.families.swapper import FaceNetwork
from engines.models.five_detector import box_as_detected
from engines.split_session import SplitSession
from realtime.feature_memory import MemoryConfig
from realtime.five_points import five_points
from realtime.frame import Face, FaceState, Frame, Image, Layer, PictureSpec
from realtime.memory import Memory
from realtime.network_memory import NetworkMemory

Source = NDArray[np.float32]
"""What a network is told about one person: a vector, or a picture; empty where it knows one."""

_FRAMES_KEPT = 2
"""For so many frames a layer stays as it is: for the one at hand and the one before."""


class NeuralSwapConfig(BaseModel, frozen=True, extra="forbid"):
    """How swapping networks are used.

    Attributes:
        boost: the crop gets so many times the network's pixels along each side; time grows with
            its square. Without meaning for models of one person (``.dfm``).
        threads: processor threads of the swapper. ``auto``: those of ``device.threads`` for a light
            one, nearly every core for one that cannot keep up with a camera anyway.
        recogniser: the network that reads the identity; None for the one the swapper's family
            was trained on.
        converter: the network that translates the embedding; None for the family's own.
        landmarks: a network of 68 or 106 points; the crop is placed by five of them. None for
            those of the 468, which are steadier from picture to picture.
        mask: a network that says which pixels of the crop are face; None for the whole crop.
        fuse_features: ``auto`` averages the inner features of a swapper over time, as ``fuse``
            does with the drawn face: where its graph can be cut in two at a map smaller than the
            picture, on the processor, without boost. Not yet judged on a trained swapper, so it
            must be asked for.
    """

    boost: int = Field(1, ge=1, le=8)
    threads: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    recogniser: str | None = None
    converter: str | None = None
    landmarks: str | None = None
    mask: str | None = None
    fuse_features: Literal["auto", "never"] = "never"


@dataclass(frozen=True, slots=True)
class Networks:
    """What the stage runs, loaded.

    Attributes:
        swapper: puts the person into a crop.
        mask: limits what is replaced; None for the swapper's own edge.
        halves: what the swapper runs in, where its features are to be averaged.
        landmarks: places the five points that the crop is fitted to; None for the stage's own.
    """

    swapper: FaceNetwork
    mask: MaskNetwork | None = None
    halves: SplitSession | None = None
    landmarks: LandmarkNetwork | None = None


OpenNetworks = Callable[[], AbstractContextManager[Networks]]


@dataclass(slots=True)
class _Buffers:
    """The scratch of the stage: one crop, and a layer for each face of a few frames.

    Attributes:
        crop: ``(C, C, 3) u8 BGR``.
        mask: ``(C, C) u8``.
        layers: by frame and face.
    """

    crop: Image
    mask: NDArray[np.uint8]
    layers: list[list[Layer]]


class NeuralSwap:
    """Sets ``Face.layer`` on every chosen face; laying it over the picture is not its work."""

    def __init__(
        self,
        open_networks: OpenNetworks,
        people: Sequence[Source],
        *,
        max_faces: int,
        remember: MemoryConfig | None = None,
    ) -> None:
        """Takes the people; networks are loaded by ``open``.

        Args:
            open_networks: loads the networks for as long as the context lasts.
            people: what the network is told about each person that ``Face.person`` can name.
            max_faces: so many faces of a frame are swapped at most.
            remember: how features are averaged over time, where the swapper runs in two halves;
                None for the usual way.
        """
        self._remember = remember or MemoryConfig()
        self._memory: NetworkMemory | None = None
        self._known: tuple[Source, ...] = ()
        self._open_networks = open_networks
        self._people = tuple(people)
        self._max_faces = max_faces
        self._opened = ExitStack()
        self._networks: Networks | None = None
        self._buffers: _Buffers | None = None
        self._turn = 0

    @property
    def name(self) -> str:
        """The stage's name in the statistics."""
        return "swap"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the networks, takes the scratch, and lets the networks work once.

        The first run of a network takes the memory for all others, and shows whether it can work
        at all: better here than on a frame that somebody waits for.

        Raises:
            ModelError: a network is missing or unusable.
        """
        with ExitStack() as opening:
            networks = opening.enter_context(self._open_networks())
            buffers = self._take(memory, networks.swapper.crop_px)
            noise = np.random.default_rng(0).integers(0, 256, buffers.crop.shape)
            buffers.crop[...] = noise
            self._swap(networks, buffers, self._people[0], buffers.layers[0][0])
            if networks.landmarks is not None:
                networks.landmarks.locate(buffers.crop, (0, 0, *buffers.crop.shape[:2]))
            self._memory = None
            if networks.halves is not None:
                shape, crop_px = networks.halves.features_shape, networks.swapper.crop_px
                self._memory = NetworkMemory(self._remember, shape, crop_px)
            self._networks, self._buffers = networks, buffers
            self._opened = opening.pop_all()

    def process(self, frame: Frame) -> None:
        """Swaps every chosen face that was seen in this frame, the largest first.

        A layer is written again when two more frames have been worked on.

        Raises:
            ModelError: a network fails, or gives no picture.
        """
        networks, buffers = self._networks, self._buffers
        if networks is None or buffers is None:
            raise RuntimeError("NeuralSwap.process: the stage must be open, got a closed one.")
        self._turn = (self._turn + 1) % _FRAMES_KEPT
        # Read once: another thread may give other people at any moment.
        people = self._people
        self._begin(frame, people)
        wanted = [face for face in frame.faces if face.state is FaceState.SEEN and face.chosen]
        for face, layer in zip(wanted, buffers.layers[self._turn], strict=False):
            layer.crop_from_image = networks.swapper.fit(_five_points(networks, frame, face))
            cut_crop(frame.image, layer.crop_from_image, out=buffers.crop)
            if self._memory is not None and networks.halves is not None:
                work = self._memory.work(face, layer.crop_from_image, frame.media_ns)
                networks.halves.work_on_features(work)
            self._swap(networks, buffers, people[face.person], layer)
            face.layer = layer

    def give(self, people: Sequence[Source]) -> None:
        """Swaps other people in, from the next frame on; may be called from any thread.

        Args:
            people: as many as before, told as this stage's network wants it.

        Raises:
            ValueError: there are more or fewer.
        """
        if len(people) != len(self._people):
            raise ValueError(
                f"NeuralSwap.give: there must be {len(self._people)} people, got {len(people)}."
            )
        self._people = tuple(people)

    def close(self) -> None:
        """Lets the networks and the scratch go."""
        self._networks = self._buffers = self._memory = None
        self._opened.close()

    def _begin(self, frame: Frame, people: tuple[Source, ...]) -> None:
        """Goes on with what is remembered of the features, or begins afresh with other people."""
        if self._memory is None:
            return
        if people is not self._known:
            self._memory.reset()
            self._known = people
        self._memory.begin(frame)

    def _swap(self, networks: Networks, buffers: _Buffers, person: Source, layer: Layer) -> None:
        """Fills a layer from the crop in the scratch."""
        networks.swapper.swap(buffers.crop, person, face=layer.face, alpha=layer.alpha)
        if networks.mask is not None:
            networks.mask.mask(buffers.crop, out=buffers.mask)
            np.minimum(layer.alpha, buffers.mask, out=layer.alpha)

    def _take(self, memory: Memory, crop_px: int) -> _Buffers:
        def layer() -> Layer:
            return Layer(
                memory.host((crop_px, crop_px, 3), np.uint8),
                memory.host((crop_px, crop_px), np.uint8),
                np.zeros((2, 3)),
            )

        return _Buffers(
            memory.host((crop_px, crop_px, 3), np.uint8),
            memory.host((crop_px, crop_px), np.uint8),
            [[layer() for _ in range(self._max_faces)] for _ in range(_FRAMES_KEPT)],
        )


def _five_points(networks: Networks, frame: Frame, face: Face) -> NDArray[np.float32]:
    """The points that the crop is fitted to: ``(5, 2) f32`` image pixels."""
    five = five_points(face.landmarks)
    if networks.landmarks is None:
        return five
    right, left = five[:2]
    angle_rad = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
    box = box_as_detected(face.box)
    return five_of(networks.landmarks.locate(frame.image, box, angle_rad=angle_rad).points)
