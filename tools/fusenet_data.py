"""Draws people's faces on each other once: ``python -m tools.fusenet_data FACES --out pairs.npz``.

The mesh draws every person on themselves and on some others, as the engine does, on canvases that
are a little larger than the network's crop. ``tools.train_fusenet`` and ``tools.realism`` read what
comes out. Every ninth person by name is kept out of the training; nobody of one half is drawn on
somebody of the other.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.warp import warp
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.errors import MediaError
from realtime.frame import Face, Frame, Image, Layer, PictureSpec, Points
from realtime.fusenet_inputs import head_crop
from realtime.geometry import Matrix, apply, fit_head, head_pose, invert
from realtime.identity import find_faces, prepare_identity
from realtime.job import FaceChoice
from realtime.job_models import CONNECTIONS
from realtime.memory import Memory
from realtime.pictures import load_picture
from realtime.stages.swap import Identity, MeshSwap, MeshSwapConfig
from tools.judge import Judge, open_judge
from tools.srsn_pictures import picture_names, split

CANVAS_PX = 224
FACE_PX = 176
"""The part of a canvas that the network's crop shows at its own size, pixels."""

SHRUNK_PX = 768


@dataclass(frozen=True, slots=True)
class Person:
    """A portrait on its canvas.

    Attributes:
        name: of the file.
        canvas: ``(C, C, 3) u8 BGR``.
        landmarks: ``(468, 3) f32`` canvas pixels.
        points: ``(5, 2) f32`` canvas pixels, as the judge's detector places them.
        embedding: ``(128,) f32`` of length 1, whom the judge's recogniser sees.
        identity: what the mesh is told of them.
    """

    name: str
    canvas: Image
    landmarks: Points
    points: NDArray[np.float32]
    embedding: NDArray[np.float32]
    identity: Identity


def canvas_crop(landmarks: Points) -> Matrix:
    """The matrix ``(2, 3)`` canvas_from_image: the network's crop with a margin around it."""
    margin = (CANVAS_PX - FACE_PX) / 2
    shift = np.array([[0, 0, margin], [0, 0, margin]])
    return np.asarray(head_crop(landmarks, FACE_PX) + shift, np.float64)


def moved(landmarks: Points, canvas_from_image: Matrix) -> Points:
    """Landmarks on another canvas; depth is scaled alike."""
    scale = np.sqrt(abs(np.linalg.det(canvas_from_image[:, :2])))
    flat = apply(canvas_from_image, landmarks[:, :2])
    return np.column_stack([flat, landmarks[:, 2] * scale]).astype(np.float32)


def read_person(path: Path, library: ModelLibrary, judge: Judge) -> Person | None:
    """Reads a portrait; None where no usable face is found in it."""
    config, open_session = load_config(None, ()), partial(library.session, threads=1)
    image = load_picture(path)
    scale = SHRUNK_PX / max(image.shape[:2])
    image = np.asarray(
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )
    connections = library.text(CONNECTIONS)
    try:
        identity = prepare_identity(
            [FaceChoice(path)], connections, open_session, landmark=config.track.landmarks
        )
    except MediaError:
        return None
    with open_face_finder(open_session, landmark=config.track.landmarks) as finder:
        faces = find_faces(image, finder)
    seen = judge.detector.detect(image)
    if len(faces) != 1 or not seen:
        return None
    crop = canvas_crop(faces[0])
    canvas = np.empty((CANVAS_PX, CANVAS_PX, 3), np.uint8)
    warp(image, crop, out=canvas)
    points = np.asarray(apply(crop, seen[0].points), np.float32)
    embedding = judge.recogniser.embed(image, seen[0].points)
    return Person(path.stem, canvas, moved(faces[0], crop), points, embedding, identity)


def draw(target: Person, source: Identity) -> tuple[Image, Layer] | None:
    """Draws somebody on a portrait, as the engine's swap stage does.

    Returns:
        The picture with its eyes and mouth where the drawn ones are, and the layer; None where
        too little can be covered.
    """
    spec = PictureSpec(CANVAS_PX, CANVAS_PX, Fraction(30), live=False)
    landmarks = target.landmarks
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    face = Face(
        track_id=1,
        box=np.concatenate([low, high]).astype(np.float32),
        landmarks=landmarks,
        score=1.0,
        pose=head_pose(fit_head(landmarks)),
    )
    frame = Frame(target.canvas.copy(), faces=[face])
    stage, memory = MeshSwap(MeshSwapConfig(), source), Memory()
    stage.open(spec, memory)
    stage.process(frame)
    layer = face.layer
    if layer is not None:
        layer = on_canvas(layer)
    stage.close()
    memory.close()
    return None if layer is None else (frame.image, layer)


def on_canvas(layer: Layer) -> Layer:
    """The same layer at the place and the size of the canvas."""
    canvas_from_layer = invert(layer.crop_from_image)
    size = (CANVAS_PX, CANVAS_PX)
    face = cv2.warpAffine(
        layer.face, canvas_from_layer, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = cv2.warpAffine(layer.alpha, canvas_from_layer, size, flags=cv2.INTER_LINEAR)
    return Layer(np.asarray(face, np.uint8), np.asarray(alpha, np.uint8), np.eye(2, 3), lit=True)


def pairings(count: int, others: int, seed: int) -> Iterator[tuple[int, int]]:
    """Each one with themselves, and with some others: target, source."""
    random = np.random.default_rng(seed)
    for target in range(count):
        yield target, target
        rest = [one for one in range(count) if one != target]
        for source in random.choice(rest, min(others, len(rest)), replace=False).tolist():
            yield target, source


def prepare(
    paths: Sequence[Path], others: int, library: ModelLibrary, judge: Judge
) -> dict[str, NDArray[np.generic]]:
    """Everything that is drawn of some people on each other.

    Returns:
        ``name``, ``canvas``, ``landmarks``, ``points``, ``embedding`` of each person; ``target``,
        ``source`` (numbers of persons), ``picture``, ``face``, ``alpha`` of each pair.
    """
    found = [read_person(path, library, judge) for path in paths]
    people = [person for person in found if person is not None]
    pairs = []
    for target, source in pairings(len(people), others, seed=1):
        drawn = draw(people[target], people[source].identity)
        if drawn is not None:
            picture, layer = drawn
            pairs.append((target, source, picture, layer.face, layer.alpha))
    columns = [np.stack(column) for column in zip(*pairs, strict=True)]
    parts = dict(zip(("target", "source", "picture", "face", "alpha"), columns, strict=True))
    for name in ("canvas", "landmarks", "points", "embedding"):
        parts[name] = np.stack([getattr(person, name) for person in people])
    return parts | {"name": np.array([person.name for person in people])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faces", type=Path, help="folder of portraits, one person each")
    parser.add_argument("--out", type=Path, required=True, help="folder of train.npz, test.npz")
    parser.add_argument("--others", type=int, default=4, help="people drawn on each")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    train, kept_out = split(picture_names(options.faces))
    library, judge = ModelLibrary(), open_judge()
    for name, paths in (("test", kept_out), ("train", train)):
        parts = prepare(paths, options.others, library, judge)
        np.savez(options.out / f"{name}.npz", allow_pickle=False, **parts)
        print(f"{name}: {len(parts['name'])} people, {len(parts['target'])} pairs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
