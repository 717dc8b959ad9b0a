"""Redraws every face of the frame as another person's with a swapping network."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from engines.families.landmarks import LandmarkNetwork
from engines.families.landmarks import five_points as five_of
from engines.families.mask import MaskNetwork
from engines.families.swapper import FaceNetwork
from engines.models.five_detector import box_as_detected
from engines.split_session import SplitSession
from realtime.face_mesh import FaceMesh
from realtime.feature_memory import MemoryConfig
from realtime.five_points import five_points
from realtime.frame import Face, FaceState, Frame, Image, Layer, PictureSpec, Points
from realtime.memory import Memory
from realtime.network_memory import NetworkMemory
from realtime.pose_crops import CropFit, PoseCrops

Source = NDArray[np.float32]
"""What a network is told about one person: a vector, or a picture; empty where it knows one."""

_BYTES_OF_WORK, _BYTES_OF_LAYER = 8, 4
"""For each pixel of a crop: the crop, the face, its coverage and a mask; face and coverage."""


class NeuralSwapConfig(BaseModel, frozen=True, extra="forbid"):
    """How swapping networks are used.

    Attributes:
        boost: the crop gets so many times the network's pixels along each side; time grows with
            its square. ``auto``: twice as many for faces that have them in the picture, where
            that makes no more than 512. Without meaning for models of one person (``.dfm``).
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
        frontal: how much of a turn beyond ``frontal_deg`` is taken back before the network and
            given again after it, 0..1; 0 for none.
        frontal_deg: angle between the head's front and the line of sight, as the landmarks say
            it, from which on that is done.
    """

    boost: Annotated[int, Field(ge=1, le=8)] | Literal["auto"] = 1
    threads: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    recogniser: str | None = None
    converter: str | None = None
    landmarks: str | None = None
    mask: str | None = None
    fuse_features: Literal["auto", "never"] = "never"
    frontal: float = Field(0.6, ge=0.0, le=1.0)
    frontal_deg: float = Field(25.0, ge=0.0, le=90.0)


@dataclass(frozen=True, slots=True)
class Networks:
    """What the stage runs, loaded.

    Attributes:
        swapper: puts the person into a crop.
        mask: limits what is replaced; None for the swapper's own edge.
        halves: what the swapper runs in, where its features are to be averaged.
        landmarks: places the five points that the crop is fitted to; None for the stage's own.
        boosted: the same swapper for larger crops, rising, where close-ups are to get one.
    """

    swapper: FaceNetwork
    mask: MaskNetwork | None = None
    halves: SplitSession | None = None
    landmarks: LandmarkNetwork | None = None
    boosted: tuple[FaceNetwork, ...] = ()


OpenNetworks = Callable[[], AbstractContextManager[Networks]]


@dataclass(slots=True)
class _Room:
    """Where the work for one crop is done: pieces of the scratch, and of a layer's buffer.

    Attributes:
        crop: ``(C, C, 3) u8 BGR`` what the network is shown.
        face: ``(C, C, 3) u8 BGR`` what it gives.
        alpha, mask: ``(C, C) u8``.
    """

    crop: Image
    face: Image
    alpha: NDArray[np.uint8]
    mask: NDArray[np.uint8]


class NeuralSwap:
    """Sets ``Face.layer`` on every chosen face; laying it over the picture is not its work."""

    def __init__(
        self,
        open_networks: OpenNetworks,
        people: Sequence[Source],
        *,
        max_faces: int,
        remember: MemoryConfig | None = None,
        config: NeuralSwapConfig | None = None,
        mesh: FaceMesh | None = None,
    ) -> None:
        """Takes the people; networks are loaded by ``open``.

        Args:
            open_networks: loads the networks for as long as the context lasts.
            people: what the network is told about each person that ``Face.person`` can name.
            max_faces: so many faces of a frame are swapped at most.
            remember: how features are averaged over time, where the swapper runs in two halves;
                None for the usual way.
            config: how far turned heads are turned to the camera; None for the usual way.
            mesh: of the landmarks; None leaves heads as they are turned.
        """
        self._config = config or NeuralSwapConfig()
        self._mesh = mesh
        self._remember = remember or MemoryConfig()
        self._memory: NetworkMemory | None = None
        self._known: tuple[Source, ...] = ()
        self._open_networks = open_networks
        self._people = tuple(people)
        self._max_faces = max_faces
        self._opened = ExitStack()
        self._networks: Networks | None = None
        self._crops: PoseCrops | None = None
        self._scratch: NDArray[np.uint8] = np.empty(0, np.uint8)

    @property
    def name(self) -> str:
        """The stage's name in the statistics."""
        return "swap"

    @property
    def people(self) -> tuple[Source, ...]:
        """What the network is told about each person now; any thread may ask."""
        return self._people

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the networks, takes the scratch, and lets the networks work once.

        The first run of a network takes the memory for all others, and shows whether it can work
        at all: better here than on a frame that somebody waits for.

        Raises:
            ModelError: a network is missing or unusable.
        """
        with ExitStack() as opening:
            networks = opening.enter_context(self._open_networks())
            swappers = (networks.swapper, *networks.boosted)
            area = swappers[-1].crop_px ** 2
            self._scratch = memory.host((_BYTES_OF_WORK * area,), np.uint8)
            room = self._room(networks.swapper.crop_px)
            room.crop[...] = np.random.default_rng(0).integers(0, 256, room.crop.shape)
            self._run(networks, networks.swapper, room, self._people[0])
            if networks.landmarks is not None:
                networks.landmarks.locate(room.crop, (0, 0, *room.crop.shape[:2]))
            self._memory = None
            if networks.halves is not None:
                shape, crop_px = networks.halves.features_shape, networks.swapper.crop_px
                self._memory = NetworkMemory(self._remember, shape, crop_px)
            self._crops = PoseCrops(
                swappers,
                self._mesh if self._config.frontal > 0.0 else None,
                memory,
                limit_deg=self._config.frontal_deg,
                strength=self._config.frontal,
            )
            self._networks = networks
            self._opened = opening.pop_all()

    def process(self, frame: Frame) -> None:
        """Swaps every chosen face that was seen in this frame, the largest first.

        Raises:
            ModelError: a network fails, or gives no picture.
        """
        networks, crops = self._networks, self._crops
        if networks is None or crops is None:
            raise RuntimeError("NeuralSwap.process: the stage must be open, got a closed one.")
        # Read once: another thread may give other people at any moment.
        people = self._people
        self._begin(frame, people)
        crops.begin(frame.media_ns)
        wanted = [face for face in frame.faces if face.state is FaceState.SEEN and face.chosen]
        for index, face in enumerate(wanted[: self._max_faces]):
            fit = crops.fit(face, _measured_points(networks, frame, face))
            room = self._room(fit.network.crop_px)
            layer = _layer(frame.room(index, _BYTES_OF_LAYER * fit.network.crop_px**2), fit)
            if fit.turn is None:
                # The network writes into the layer itself.
                room = replace(room, face=layer.face, alpha=layer.alpha)
            crops.cut(fit, frame.image, face.landmarks, out=room.crop)
            self._work_on_features(networks, fit, face, frame.media_ns)
            self._run(networks, fit.network, room, people[face.person])
            layer.crop_from_image = fit.layer_from_image
            crops.put_back(fit, room.face, room.alpha, face=layer.face, alpha=layer.alpha)
            face.layer, face.worked_px = layer, fit.network.crop_px

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
        self._networks = self._crops = self._memory = None
        self._opened.close()

    def _begin(self, frame: Frame, people: tuple[Source, ...]) -> None:
        """Goes on with what is remembered of the features, or begins afresh with other people."""
        if self._memory is None:
            return
        if people is not self._known:
            self._memory.reset()
            self._known = people
        self._memory.begin(frame)

    def _work_on_features(self, networks: Networks, fit: CropFit, face: Face, now_ns: int) -> None:
        """Says what is done between the halves of the swapper for this face.

        A head that is turned to the camera moves in its crop as the picture does not, so that
        nothing can be carried along.
        """
        if self._memory is None or networks.halves is None:
            return
        work = None
        if fit.turn is None:
            work = self._memory.work(face, fit.crop_from_image, now_ns)
        networks.halves.work_on_features(work)

    def _run(self, networks: Networks, swapper: FaceNetwork, room: _Room, person: Source) -> None:
        """Fills face and alpha from the crop."""
        swapper.swap(room.crop, person, face=room.face, alpha=room.alpha)
        if networks.mask is not None:
            networks.mask.mask(room.crop, out=room.mask)
            np.minimum(room.alpha, room.mask, out=room.alpha)

    def _room(self, crop_px: int) -> _Room:
        """The scratch for crops of a size."""
        area = crop_px * crop_px
        crop, face, alpha, mask = np.split(
            self._scratch[: _BYTES_OF_WORK * area], [3 * area, 6 * area, 7 * area]
        )
        coloured, plain = (crop_px, crop_px, 3), (crop_px, crop_px)
        return _Room(
            crop.reshape(coloured),
            face.reshape(coloured),
            alpha.reshape(plain),
            mask.reshape(plain),
        )


def _measured_points(networks: Networks, frame: Frame, face: Face) -> Points | None:
    """What a network says of eyes, nose and mouth, ``(5, 2) f32`` image pixels; None without."""
    if networks.landmarks is None:
        return None
    right, left = five_points(face.landmarks)[:2]
    angle_rad = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
    box = box_as_detected(face.box)
    return five_of(networks.landmarks.locate(frame.image, box, angle_rad=angle_rad).points)


def _layer(buffer: NDArray[np.uint8], fit: CropFit) -> Layer:
    """A layer of a crop's size in a buffer."""
    side = fit.network.crop_px
    area = side * side
    face, alpha = buffer[: 3 * area], buffer[3 * area : 4 * area]
    return Layer(face.reshape(side, side, 3), alpha.reshape(side, side), fit.layer_from_image)
