"""Which faces of a frame are worked on by a device, and in which of its places."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.families.templates import Templates, fit_points
from realtime.device_slots import DeviceFace
from realtime.device_turning import TurnedFace
from realtime.face_parts import face_outline, without_skin
from realtime.five_points import five_points
from realtime.frame import Face, FaceState, Layer, Points
from realtime.frontal_mesh import FrontalMesh, Turn, turn_to_camera
from realtime.geometry import apply, fit_head
from realtime.hidden_parts import MOST_HIDDEN, in_front, share_hidden
from realtime.kept_parts import Region, without_kept
from realtime.template_choice import TemplateChoice
from realtime.tracks import GAP_NS

_NOTHING = np.empty((0, 0, 3), np.uint8)


@dataclass(slots=True)
class _Guest:
    """Who has a place.

    Attributes:
        track_id: of the face.
        seen_ns: when it was worked on last.
        choice: of the network's templates.
    """

    track_id: int
    seen_ns: int
    choice: TemplateChoice


@dataclass(frozen=True, slots=True)
class Frontal:
    """How heads are turned to the camera.

    Attributes:
        mesh: over which it is done.
        limit_deg, strength: as for ``turn_to_camera``.
    """

    mesh: FrontalMesh
    limit_deg: float
    strength: float

    def turn(self, face: Face) -> Turn | None:
        """How a head is turned; None where it looks at the camera."""
        return turn_to_camera(
            face.landmarks,
            fit_head(face.landmarks),
            limit_deg=self.limit_deg,
            strength=self.strength,
        )


class Seating:
    """Gives each face a place that it keeps from frame to frame. Used by one thread.

    Args:
        num_seats: how many there are.
        templates: ``(T, 5, 2) f64``, where five points of a face may lie in the network's crop.
        crop_px: side of that crop.
        drawn_px: side of the face that is laid over the picture.
        keep: parts of the person in front of the camera that stay.
        frontal: turns heads to the camera; None leaves them as they are.
    """

    def __init__(
        self,
        num_seats: int,
        templates: Templates,
        crop_px: int,
        drawn_px: int,
        *,
        keep: Sequence[Region] = (),
        frontal: Frontal | None = None,
    ) -> None:
        self._frontal = frontal
        self._keep = tuple(keep)
        self._guests: list[_Guest | None] = [None] * num_seats
        self._templates = templates
        self._times, self._drawn_px = drawn_px / crop_px, drawn_px

    def place(self, faces: Sequence[Face], now_ns: int) -> list[tuple[Face, DeviceFace]]:
        """Those faces that are to be swapped, the largest first, each with its place.

        A face most of which is hidden is left out, as the composite stage leaves it out.

        Args:
            faces: of the frame, the largest first.
            now_ns: the frame's time.
        """
        wanted = [
            face
            for face in faces
            if face.state is FaceState.SEEN and face.chosen and share_hidden(face) <= MOST_HIDDEN
        ][: len(self._guests)]
        present = {face.track_id for face in wanted}
        for seat, guest in enumerate(self._guests):
            if guest is not None and guest.track_id not in present:
                self._guests[seat] = None
        return [(face, self._placed(face, now_ns)) for face in wanted]

    def _placed(self, face: Face, now_ns: int) -> DeviceFace:
        ids = [None if guest is None else guest.track_id for guest in self._guests]
        seat = ids.index(face.track_id if face.track_id in ids else None)
        guest = self._guests[seat]
        is_known = guest is not None
        if guest is None:
            guest = self._guests[seat] = _Guest(
                face.track_id, now_ns, TemplateChoice(self._templates)
            )
        elapsed_ns = now_ns - guest.seen_ns
        guest.seen_ns = now_ns
        # Without motion the picture was cut, or the face has just come; with one that is believed
        # nowhere something else stands there.
        moved = face.motion is not None and bool(face.motion.confidence.any())
        is_new = not (is_known and moved and 0 < elapsed_ns <= GAP_NS)
        turn = None if self._frontal is None else self._frontal.turn(face)
        five = five_points(face.landmarks if turn is None else turn.landmarks)
        crop_from_image = fit_points(five, guest.choice.follow(five, max(0, elapsed_ns)))
        turned = None
        if self._frontal is not None and turn is not None:
            views = self._frontal.mesh.views(face.landmarks, turn, crop_from_image)
            turned = TurnedFace(views, crop_from_image, turn.share)
            crop_from_image = views.crop_from_image
        drawn_from_image = self._times * crop_from_image
        drawn_from_image[:, 2] += (self._times - 1.0) / 2.0
        points: Points = np.asarray(apply(drawn_from_image, face.landmarks[:, :2]), np.float32)
        alpha = self._alpha(face, points, drawn_from_image)
        bare = 255 - without_skin(points, (self._drawn_px, self._drawn_px))
        return DeviceFace(seat, crop_from_image, face.person, is_new, alpha, bare, turned)

    def _alpha(
        self, face: Face, points: Points, drawn_from_image: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """What of the drawn face is to be seen: the face, less what stands in front of it."""
        alpha = face_outline(points, (self._drawn_px, self._drawn_px))
        alpha = without_kept(alpha, self._keep, face, points, drawn_from_image)
        if face.occluder is None:
            return alpha
        return in_front(Layer(_NOTHING, alpha, drawn_from_image), face.occluder)
