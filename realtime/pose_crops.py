"""Which crop a swapping network is shown of a face: how large, how aligned, how turned.

All three follow the face with hysteresis or glide, so that none of them makes the output jump.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.families.crops import cut_crop
from engines.families.swapper import FaceNetwork
from engines.families.templates import fit_points
from realtime.face_mesh import FaceMesh
from realtime.five_points import five_points
from realtime.frame import Face, Image, Points
from realtime.frontal_mesh import Turn, turn_to_camera
from realtime.frontal_view import FrontalView
from realtime.geometry import Matrix, fit_head
from realtime.memory import Memory
from realtime.template_choice import TemplateChoice
from realtime.tracks import of_recent
from realtime.work_size import WorkSize

_ENLARGED = 1.25
"""A crop is not made larger while its pixels are shown no larger than this."""


@dataclass(slots=True)
class _Track:
    """What is remembered of one face.

    Attributes:
        seen_ns: when it was swapped last.
        size: of its crops.
        choice: its template, in the pixels of the smallest crop.
    """

    seen_ns: int
    size: WorkSize
    choice: TemplateChoice


@dataclass(slots=True)
class CropFit:
    """How one face of one frame is shown to the network.

    Attributes:
        network: the swapper for crops of the size that was chosen.
        crop_from_image: ``(2, 3) f64``, the network's crop, of the turned head if there is one.
        layer_from_image: ``(2, 3) f64``, where the swapped face belongs; known after ``cut``.
        turn: how the head is turned to the camera; None where it is left as it is.
    """

    network: FaceNetwork
    crop_from_image: Matrix
    layer_from_image: Matrix
    turn: Turn | None


class PoseCrops:
    """Cuts the crops of tracked faces and puts them back; belongs to one thread."""

    def __init__(
        self,
        networks: Sequence[FaceNetwork],
        mesh: FaceMesh | None,
        memory: Memory,
        *,
        limit_deg: float,
        strength: float,
    ) -> None:
        """Takes its scratch.

        Args:
            networks: the same swapper for crops of rising size, at least one.
            mesh: of the landmarks; None leaves heads as they are turned.
            memory: gives out the scratch.
            limit_deg, strength: as for ``turn_to_camera``.
        """
        self._networks = {network.crop_px: network for network in networks}
        self._views = {
            crop_px: FrontalView(mesh, crop_px, memory) for crop_px in self._networks if mesh
        }
        self._limit_deg, self._strength = limit_deg, strength
        self._tracks: dict[int, _Track] = {}
        self._now_ns = 0

    def begin(self, now_ns: int) -> None:
        """Goes on to the next frame, and forgets the faces that are gone."""
        self._tracks = of_recent(self._tracks, now_ns)
        self._now_ns = now_ns

    def fit(self, face: Face, measured: Points | None = None) -> CropFit:
        """Chooses the crop of a face in this frame.

        Args:
            face: the face.
            measured: ``(5, 2) f32`` image pixels, its eyes, nose and corners of the mouth, where
                they are known better than from its landmarks; of heads that are not turned.
        """
        smallest = next(iter(self._networks.values()))
        track = self._tracks.get(face.track_id)
        if track is None:
            size = WorkSize(tuple(self._networks))
            track = _Track(self._now_ns, size, TemplateChoice(smallest.templates))
            self._tracks[face.track_id] = track
        elapsed_ns = max(0, self._now_ns - track.seen_ns)
        track.seen_ns = self._now_ns
        turn = self._turn(face.landmarks)
        if turn is not None:
            points = five_points(turn.landmarks)
        else:
            points = five_points(face.landmarks) if measured is None else measured
        wanted = track.choice.follow(points, elapsed_ns)
        crop_from_image = fit_points(points, wanted)
        scale = float(np.hypot(crop_from_image[0, 0], crop_from_image[1, 0]))
        network = self._networks[track.size.follow(smallest.crop_px / (scale * _ENLARGED))]
        # A pixel of the smallest crop is the middle of a block of the others.
        times = network.crop_px / smallest.crop_px
        crop_from_image = fit_points(points, (wanted + 0.5) * times - 0.5)
        return CropFit(network, crop_from_image, crop_from_image, turn)

    def cut(self, fit: CropFit, image: Image, landmarks: Points, *, out: Image) -> None:
        """Writes the crop ``(C, C, 3) u8 BGR`` that the network is shown."""
        if fit.turn is None:
            cut_crop(image, fit.crop_from_image, out=out)
        else:
            view = self._views[fit.network.crop_px]
            fit.layer_from_image = view.cut(
                image, landmarks, fit.turn, fit.crop_from_image, out=out
            )

    def put_back(
        self,
        fit: CropFit,
        swapped: Image,
        covered: NDArray[np.uint8],
        *,
        face: Image,
        alpha: NDArray[np.uint8],
    ) -> None:
        """Turns what the network gave back; nothing where the head was not turned.

        Args:
            fit: of the last ``cut``.
            swapped, covered: ``(C, C, 3)`` and ``(C, C) u8``, the network's.
            face, alpha: of the same shapes, in the crop ``layer_from_image``; are written.
        """
        if fit.turn is not None:
            view = self._views[fit.network.crop_px]
            view.put_back(swapped, fit.turn, border=cv2.BORDER_REPLICATE, out=face)
            view.put_back(covered, fit.turn, border=cv2.BORDER_CONSTANT, out=alpha)

    def _turn(self, landmarks: Points) -> Turn | None:
        if not self._views:
            return None
        head = fit_head(landmarks)
        return turn_to_camera(landmarks, head, limit_deg=self._limit_deg, strength=self._strength)
