"""A head turned so far that the landmark network is in doubt whether it is one."""

from dataclasses import replace

from engines.models.face_finder import FaceFinder
from realtime.followed_faces import FollowedFace
from realtime.frame import Image
from realtime.sighting import Sighting, is_steady, sighting_in

_DRAWN_TOGETHER = 0.3
"""How much less turned than a moment ago the landmark network sees a profile that it has drawn
together into its crop, at least."""

_WIDER = 1.12
"""Side of the crop that it is shown then, over that of the usual one."""


def turned_away(finder: FaceFinder, image: Image, face: FollowedFace) -> Sighting | None:
    """A followed face that was turned far, if the detector is sure that it is still there.

    The landmark network places its points on a profile and says at the same time that there is
    hardly a face. The detector, which knows nothing of crops, decides; the points must go on from
    the picture before.

    Args:
        finder: the networks.
        image: ``(H, W, 3) u8 BGR``.
        face: as it was seen last, and where it is looked for.
    """
    if not face.is_confirmed or face.last.turn < 1.0:
        return None
    found = sighting_in(image, finder.look(image, face.square, min_score=0.0))
    if found is None or not is_steady(found, face.last):
        return None
    return found if finder.is_detected(image, found.landmarks) else None


def seen_wider(
    finder: FaceFinder, image: Image, face: FollowedFace, sighting: Sighting, *, min_score: float
) -> Sighting:
    """A sighting of a followed face, or a better one if this one drew a profile together.

    Args:
        finder: the networks.
        image: ``(H, W, 3) u8 BGR``.
        face: as it was seen last, and where it is looked for.
        sighting: what was seen there.
        min_score: what the landmark network must say of another one at least.
    """
    if face.turn - sighting.turn < _DRAWN_TOGETHER:
        return sighting
    square = replace(face.square, side_px=_WIDER * face.square.side_px)
    wider = sighting_in(image, finder.look(image, square, min_score=min_score))
    return wider if wider is not None and wider.turn > sighting.turn else sighting
