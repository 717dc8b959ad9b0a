"""Makes the face of a person who does not exist: ``python -m tools.make_synthetic_face``.

Shape and colouring are averages over several generated portraits (CC0); skin detail, hair and
surroundings come from the first of them, bent to the average shape.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.rasterize import rasterize
from engines.errors import ModelError
from engines.models.face_finder import FaceFinder, Wanted, open_face_finder
from engines.models.library import ModelLibrary
from realtime.errors import MediaError, RtSwapError, SinkError
from realtime.face_mesh import OVAL, FaceMesh, load_face_mesh
from realtime.frame import Image, Points
from realtime.geometry import Matrix, apply, fit_similarity
from realtime.pictures import load_picture

PORTRAITS = ("female_86", "female_72", "female_68", "female_49", "female_47", "female_88")
"""Names of the portraits without their ending; the first gives the detail."""

CANVAS_PX = 720
FACE_PX = 320
"""Width of the face in the picture."""

MAX_BYTES = 150_000

_MIDDLE = (0.5, 0.5)
"""Where the middle of the face lies, over the picture's side."""

_OWN_SHARE = (1.0, 1.0, 0.85, 0.6, 0.4, 0.3, 0.3)
"""How much of each level of detail, from fine to coarse, is the first portrait's own."""

_SEAM = (0.02, 0.14)
"""Depth inside the face's outline at which the average begins and is whole, in face widths."""

_QUALITY = 92
_CELL_PX = 4

_NEAR, _FAR = 0.08, 0.35
"""How far around the landmarks their movement reaches, in face widths."""

_Colours = NDArray[np.float32]
"""``(H, W, 3) f32`` 0..255 BGR."""


def find_face(finder: FaceFinder, image: Image, name: str) -> Points:
    """The landmarks of the only face in a picture.

    Raises:
        MediaError: there is none, or more than one.
    """
    faces = finder.search(image, Wanted(np.empty((0, 4), np.float32), 2, 0.3, 0.5))
    if len(faces) != 1:
        raise MediaError(f"{name}: must show one face, got {len(faces)}. Choose another picture.")
    return faces[0].landmarks


def mean_shape(mesh: FaceMesh, faces: Sequence[Points]) -> NDArray[np.float64]:
    """The average of faces, each laid onto the mesh's neutral one: ``(468, 2)``."""
    shapes = []
    for landmarks in faces:
        fit = fit_similarity(landmarks[:, :2], mesh.neutral[:, :2])
        shapes.append(apply(fit.b_from_a, landmarks[:, :2]))
    return np.asarray(np.mean(shapes, axis=0))


def blend(faces: Sequence[_Colours], inside: NDArray[np.bool_]) -> _Colours:
    """Averages pictures on the coarse levels and keeps the first one's detail on the fine ones.

    Args:
        faces: aligned pictures of one size.
        inside: ``(H, W)`` where the faces are; their colours there are first made alike.
    """
    first = faces[0]
    alike = [first, *(_match_colours(face, first, inside) for face in faces[1:])]
    own = _pyramid(first)
    mean = [np.mean(levels, axis=0) for levels in zip(*map(_pyramid, alike), strict=True)]
    result = np.zeros_like(own[-1])
    for level in reversed(range(len(own))):
        share = np.float32(_OWN_SHARE[level])
        mixed = share * own[level] + (1 - share) * mean[level]
        result = mixed + _enlarged(result, mixed)
    return np.asarray(result, np.float32)


def draw_face(mesh: FaceMesh, pictures: Sequence[Image], faces: Sequence[Points]) -> Image:
    """The picture of the person who does not exist.

    Args:
        mesh: the landmarks' mesh.
        pictures: portraits; the first gives hair and surroundings.
        faces: the landmarks in each, ``(468, 3)``.

    Returns:
        ``(CANVAS_PX, CANVAS_PX, 3) u8 BGR``.
    """
    canvas_from_first = _place_first(faces[0])
    base = faces[0].copy()
    base[:, :2] = apply(canvas_from_first, faces[0][:, :2])
    base[:, 2] *= np.hypot(*canvas_from_first[0, :2])
    shape = mean_shape(mesh, faces)
    target = apply(fit_similarity(shape, base[:, :2]).b_from_a, shape)
    drawn = [
        _warp(picture, landmarks, target, mesh.closed)
        for picture, landmarks in zip(pictures, faces, strict=True)
    ]
    depth_px = _depth_inside(target)
    mixed = blend(drawn, depth_px > _SEAM[1] * FACE_PX)
    surroundings = cv2.warpAffine(
        pictures[0],
        canvas_from_first,
        (CANVAS_PX, CANVAS_PX),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    bent = _bend(np.asarray(surroundings, np.uint8), base, target)
    low, high = (edge * FACE_PX for edge in _SEAM)
    alpha = np.clip((depth_px - low) / (high - low), 0.0, 1.0)[..., None]
    alpha = alpha * alpha * (3.0 - 2.0 * alpha)
    portrait = bent * (1 - alpha) + mixed * alpha
    return np.asarray(np.clip(np.round(portrait), 0, 255), np.uint8)


def _place_first(landmarks: Points) -> Matrix:
    """``canvas_from_first``: an upright face in the middle."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    scale = FACE_PX / float(high[0] - low[0])
    shift = np.array(_MIDDLE) * CANVAS_PX - scale * (low + high) / 2
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def _draw_values(
    place: NDArray[np.float64], values: NDArray[np.float64], triangles: NDArray[np.int32]
) -> _Colours:
    """Two values for each point and 1 where something is drawn, over the canvas."""
    out = np.empty((CANVAS_PX, CANVAS_PX, 3), np.float32)
    corners = np.ones((len(place), 3), np.float32)
    corners[:, :2] = values
    rasterize(
        place.astype(np.float32),
        np.zeros(len(place), np.float32),
        triangles,
        corners,
        out=out,
        depth=np.empty((CANVAS_PX, CANVAS_PX), np.float32),
    )
    return out


def _warp(
    picture: Image, landmarks: Points, target: NDArray[np.float64], triangles: NDArray[np.int32]
) -> _Colours:
    """A picture's face drawn onto other landmarks; its colours run on beyond its outline."""
    shrink = FACE_PX / float(np.ptp(landmarks[:, 0]))
    soft = cv2.GaussianBlur(picture, (0, 0), max(0.3, 0.4 / shrink)) if shrink < 1 else picture
    at = _draw_values(target, landmarks[:, :2].astype(np.float64), triangles)
    drawn = cv2.remap(soft, at[..., 0].copy(), at[..., 1].copy(), cv2.INTER_CUBIC)
    # Coarse levels reach over the outline, so the outside must not be black.
    outside = (at[..., 2] < 0.5).astype(np.uint8)
    filled = cv2.inpaint(
        cv2.resize(drawn, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST),
        cv2.dilate(
            cv2.resize(outside, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST),
            np.ones((3, 3), np.uint8),
        ),
        2,
        cv2.INPAINT_TELEA,
    )
    smooth = cv2.resize(filled, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_LINEAR)
    return np.where(outside[..., None] > 0, smooth, drawn).astype(np.float32)


def _bend(canvas: Image, base: Points, target: NDArray[np.float64]) -> _Colours:
    """The first portrait with its face in the target's shape; hair and neck follow smoothly."""
    cells = CANVAS_PX // _CELL_PX
    moves = np.zeros((cells, cells, 3), np.float32)
    columns, rows = np.clip((target / _CELL_PX).astype(int), 0, cells - 1).T
    # Moves and how many of them; their quotient after smoothing is a weighted mean.
    np.add.at(moves, (rows, columns), np.column_stack([base[:, :2] - target, np.ones(len(base))]))
    near, far = (
        cv2.GaussianBlur(moves, (0, 0), reach * FACE_PX / _CELL_PX) for reach in (_NEAR, _FAR)
    )
    summed = near + np.float32(0.01) * far
    mean = summed[..., :2] / np.maximum(summed[..., 2:], np.float32(1e-6))
    still = far[..., 2] / float(far[..., 2].max())
    field = cv2.resize(mean * np.minimum(2.0 * still, 1.0)[..., None], (CANVAS_PX, CANVAS_PX))
    down, across = np.mgrid[:CANVAS_PX, :CANVAS_PX].astype(np.float32)
    bent = cv2.remap(
        canvas,
        across + field[..., 0],
        down + field[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(bent, np.float32)


def _depth_inside(target: NDArray[np.float64]) -> NDArray[np.float32]:
    """Distance from the face's outline inwards in pixels; 0 outside."""
    mask = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    cv2.fillPoly(mask, [np.round(target[list(OVAL)]).astype(np.int32)], (255,))
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32)


def _match_colours(face: _Colours, model: _Colours, inside: NDArray[np.bool_]) -> _Colours:
    """Gives a face the mean and the spread of another one's colours, in Lab."""
    lab, wanted = (
        cv2.cvtColor(np.clip(image, 0, 255) / np.float32(255), cv2.COLOR_BGR2Lab)
        for image in (face, model)
    )
    spread = wanted[inside].std(axis=0) / np.maximum(lab[inside].std(axis=0), 1e-3)
    lab = (lab - lab[inside].mean(axis=0)) * np.clip(spread, 0.7, 1.4) + wanted[inside].mean(axis=0)
    return np.asarray(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2BGR) * 255, np.float32)


def _enlarged(image: _Colours, like: _Colours) -> _Colours:
    """A level at the size of the next finer one; unchanged where it has that size."""
    if image.shape == like.shape:
        return image
    return np.asarray(cv2.pyrUp(image, dstsize=like.shape[1::-1]), np.float32)


def _pyramid(image: _Colours) -> list[_Colours]:
    """A Laplacian pyramid: detail from fine to coarse, then what is left."""
    levels = []
    for _ in range(len(_OWN_SHARE) - 1):
        smaller = np.asarray(cv2.pyrDown(image), np.float32)
        levels.append(image - _enlarged(smaller, image))
        image = smaller
    return [*levels, image]


def _write_jpeg(image: Image, path: Path) -> None:
    """Writes the picture as large as it may be."""
    for quality in range(_QUALITY, 10, -2):
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
        if data.nbytes <= MAX_BYTES:
            break
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(
            f"{path}: must be writable, got: {error.strerror}. Name another place."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description="A portrait of a person who does not exist.")
    parser.add_argument("--portraits", type=Path, required=True, help="folder of CC0 portraits")
    parser.add_argument("--out", type=Path, required=True, help="JPEG to write")
    options = parser.parse_args(arguments)
    try:
        library = ModelLibrary()
        mesh = load_face_mesh(library.text("face_mesh_connections"))
        with open_face_finder(library.session) as finder:
            paths = [options.portraits / f"{name}.jpg" for name in PORTRAITS]
            pictures = [load_picture(path) for path in paths]
            faces = [
                find_face(finder, picture, str(path))
                for picture, path in zip(pictures, paths, strict=True)
            ]
            portrait = draw_face(mesh, pictures, faces)
            find_face(finder, portrait, str(options.out))
        _write_jpeg(portrait, options.out)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
