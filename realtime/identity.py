"""Who is to be seen: pictures of one person become a texture that fits any face."""

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from engines.models.close_search import search_parts
from engines.models.face_finder import (
    FACE_NETWORKS,
    FaceFinder,
    LocatedFace,
    Wanted,
    open_face_finder,
)
from engines.session import Session
from realtime.errors import MediaError
from realtime.face_mesh import load_face_mesh
from realtime.face_texture import TextureMaker
from realtime.face_zones import MAP_PX, draw_zones
from realtime.frame import Image, Points
from realtime.geometry import fit_head, head_misfit, head_pose
from realtime.job import FaceChoice
from realtime.pictures import load_picture
from realtime.skin_light import LightScale, SkinLight
from realtime.stages.swap import Identity

MIN_FACE_PX = 64
"""A narrower face has too little detail to be shown to anybody."""

MAX_YAW, MAX_PITCH = 60.0, 40.0
"""Degrees beyond which a picture is refused."""

MAX_BEST_YAW = 40.0
"""Degrees within which at least one picture must show the person."""

_MAX_FACES, _NOBODY = 12, np.empty((0, 4), np.float32)

_BYSTANDER = 0.3
"""A face narrower than this share of the widest one is part of the background."""

_FAR_BETTER = 0.7
"""Share of a reading's misfit below which another reading of the same face replaces it."""

_WIDEST_PX = 1.2 * MAP_PX
"""Wider faces are shrunk before they are put on the map, so that no detail turns to noise."""

OpenSession = Callable[[str], Session]

Portrait = tuple[Image, Points]
"""A picture of a person, and where the landmarks of their face are in it."""


def prepare_identity(
    choices: Sequence[FaceChoice],
    connections: str,
    open_session: OpenSession,
    *,
    landmark: str = FACE_NETWORKS[2],
) -> Identity:
    """Prepares a person from pictures; done once, before the first frame.

    Args:
        choices: pictures of one person; none for the synthetic face that comes with the program.
        connections: text of the landmark model's list of connections.
        open_session: opens a network of the catalogue by name.
        landmark: name of the network that places the landmarks; the one that places them in the
            camera's pictures, so that both mean the same places on a face.

    Raises:
        MediaError: a picture cannot be read, or shows no usable face.
        ModelError: a network is missing.
    """
    mesh = load_face_mesh(connections)
    zones = draw_zones(mesh)
    light = SkinLight(mesh, zones, LightScale())
    with open_face_finder(open_session, landmark=landmark) as finder:
        faces = find_portraits(choices, finder)
    best_yaw = min(abs(head_pose(fit_head(landmarks)).yaw) for _, landmarks in faces)
    if best_yaw > MAX_BEST_YAW:
        raise MediaError(
            f"{choices[0].path}: a face turned by at most {MAX_BEST_YAW:.0f} degrees is needed, "
            f"got {best_yaw:.0f}. Add a picture that shows the face from the front."
        )
    texture = TextureMaker(mesh, zones, light).make([_sized(*face) for face in faces])
    return Identity(mesh, zones, light, texture)


def find_portraits(choices: Sequence[FaceChoice], finder: FaceFinder) -> list[Portrait]:
    """The pictures of one person with their landmarks.

    Args:
        choices: the pictures; none for the synthetic face that comes with the program.
        finder: places the landmarks.

    Raises:
        MediaError: a picture cannot be read, or shows no usable face.
    """
    if not choices:
        return [_synthetic_face(finder)]
    return [_choose_face(choice, finder) for choice in choices]


def _synthetic_face(finder: FaceFinder) -> Portrait:
    packaged = resources.files("realtime").joinpath("synthetic_face.jpg")
    with resources.as_file(packaged) as path:
        return _choose_face(FaceChoice(path), finder)


def _choose_face(choice: FaceChoice, finder: FaceFinder) -> Portrait:
    """The picture and the landmarks of the face that is meant."""
    image = load_picture(choice.path)
    faces = find_faces(image, finder)
    landmarks = _pick(choice.path, choice.number, faces)
    width_px = float(np.ptp(landmarks[:, 0]))
    if width_px < MIN_FACE_PX:
        raise MediaError(
            f"{choice.path}: the face must be at least {MIN_FACE_PX} px wide, got {width_px:.0f}. "
            "Use a larger picture, or one taken from nearer."
        )
    pose = head_pose(fit_head(landmarks))
    if abs(pose.yaw) > MAX_YAW or abs(pose.pitch) > MAX_PITCH:
        raise MediaError(
            f"{choice.path}: the face must look towards the camera, got one turned by "
            f"{abs(pose.yaw):.0f} degrees and tilted by {abs(pose.pitch):.0f}. "
            "Use a picture from the front."
        )
    return image, landmarks


def _pick(path: Path, number: int | None, faces: list[Points]) -> Points:
    if not faces:
        raise MediaError(
            f"{path}: no face was found. Use a sharp, well-lit picture of one face from the front."
        )
    if number is None and len(faces) > 1:
        raise MediaError(
            f"{path}: one face is needed, got {len(faces)}. Choose one by its place from the "
            f"left, for example --face {path}#2."
        )
    if number is not None and number > len(faces):
        raise MediaError(
            f"{path}: face number {number} is not there, {len(faces)} found. "
            f"Choose from #1 to #{len(faces)}."
        )
    return faces[(number or 1) - 1]


def find_faces(image: Image, finder: FaceFinder) -> list[Points]:
    """The landmarks of every face of a still picture, from left to right.

    A picture that lies on its side or its head is looked at in all four directions. Faces far
    smaller than the largest one are left out.
    """
    every_way = [Wanted(_NOBODY, _MAX_FACES, 0.5, 0.5, turns) for turns in range(4)]
    readings = [finder.search(image, wanted) for wanted in every_way]
    # Small heads are looked for as the others lie, or upright.
    likely = next((turns for turns, faces in enumerate(readings) if faces), 0)
    upright = readings[likely]
    upright += search_parts(finder, image, every_way[likely], found=upright)
    every = [other for faces in readings for other in faces]
    found = [_right_way_up(face, every) for face in upright]
    widths = [float(np.ptp(face.landmarks[:, 0])) for face in found]
    faces = [
        face.landmarks
        for face, width in zip(found, widths, strict=True)
        if width >= _BYSTANDER * max(widths)
    ]
    return sorted(faces, key=lambda points: float(points[:, 0].mean()))


def _right_way_up(face: LocatedFace, readings: list[LocatedFace]) -> LocatedFace:
    """The reading of the same face in another direction where that is far more like a head.

    A face that stands on its head passes for an upright one, with the mouth on the forehead.
    """
    middle = face.landmarks[:, :2].mean(axis=0)
    half_px = np.ptp(face.landmarks[:, :2], axis=0).max() / 2
    same = [
        other
        for other in readings
        if np.linalg.norm(other.landmarks[:, :2].mean(axis=0) - middle) < half_px
    ]
    best = min(same, key=_misfit)
    return best if _misfit(best) < _FAR_BETTER * _misfit(face) else face


def _misfit(face: LocatedFace) -> float:
    return head_misfit(face.landmarks, fit_head(face.landmarks))


def _sized(image: Image, landmarks: Points) -> tuple[Image, Points]:
    """A picture cut to the face and shrunk to the size of the map where it is larger."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    margin = 0.2 * (high - low).max()
    left, top = np.maximum(np.floor(low - margin), 0).astype(int)
    right, bottom = np.ceil(high + margin).astype(int)
    part = image[top:bottom, left:right]
    moved = landmarks.copy()
    moved[:, :2] -= (left, top)
    scale = min(1.0, _WIDEST_PX / float((high - low).max()))
    if scale < 1.0:
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        factors = np.array([size[0] / part.shape[1], size[1] / part.shape[0]], np.float32)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        moved[:, :2] = (moved[:, :2] + np.float32(0.5)) * factors - np.float32(0.5)
        moved[:, 2] *= factors.mean()
    return np.ascontiguousarray(part), moved
