"""Short sequences to train FuseNet with, made of what ``tools.fusenet_data`` has drawn.

A pair is a person in the picture and a face drawn on them. Moving, lighting, hiding and worsening
it gives the network's inputs, built by the very function that the engine builds them with, and the
truth. Everything drawn follows from a seed and the number of the step.
"""

from dataclasses import dataclass, fields
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.warp import warp
from realtime.face_mesh import LEFT_EYE, RIGHT_EYE
from realtime.frame import Image, Layer, Occluder
from realtime.fusenet_inputs import FusenetInputs, fill_inputs, head_crop, to_planes
from realtime.geometry import Matrix, apply, compose, invert
from tools.degrade import add_sensor_noise, through_jpeg
from tools.fusenet_disturb import (
    Plane,
    Random,
    as_found,
    blurred,
    levels,
    mottled,
    occluder,
    overdone,
    relit,
    resharpened,
    smooth,
    with_foreign_brow,
    with_glasses,
    with_holes,
    with_strands,
)
from tools.fusenet_motion import Course, still, wander
from tools.fusenet_pairs import Pairs, Shots, cut_out
from tools.fusenet_zones import zones
from tools.judge import arcface_from_image

_SMALL, _SMALL_SHARE = (0.25, 0.8), 0.35
"""Sizes of small faces, against that of the canvas, and how many there are."""

_FOREIGN_BROWS = 0.35
"""Share of faces, drawn on themselves, whose forehead is that of somebody else."""

_MIRRORED_POINTS = (1, 0, 2, 4, 3)
"""Eyes, nose and corners of the mouth of ``tools.judge``, in a mirror."""


@dataclass(slots=True)
class _Scene:
    """One pair on its way: grey levels f32, canvas pixels."""

    picture: Plane
    face: Plane
    alpha: Plane
    landmarks: Plane
    points: Plane
    embedding: Plane
    own: bool

    @property
    def outline(self) -> Plane:
        """The landmarks in two dimensions."""
        return self.landmarks[:, :2]


class ShotSource:
    """Makes sequences.

    Args:
        pairs: what was drawn.
        mirror: ``(468,)`` the landmark on the other side of the face for each.
        side_px: of the network.
        seed: of everything drawn.
    """

    def __init__(self, pairs: Pairs, mirror: NDArray[np.int16], side_px: int, seed: int) -> None:
        self._pairs = pairs
        self._mirror = mirror
        self._side = side_px
        self._seed = seed

    def shots(
        self, step: int, count: int, frames: int, others: float, patch_px: int | None = None
    ) -> Shots:
        """The sequences of one step.

        Args:
            step: the same number gives the same sequences.
            count: how many.
            frames: of each; one without motion.
            others: share in which somebody else is drawn.
            patch_px: side of the part that is cut out at random, a multiple of 4; None: all.
        """
        random = np.random.default_rng((self._seed, step))
        made = []
        for _ in range(count):
            sequence = self._sequence(random, frames, random.random() >= others)
            made.append(cut_out(random, sequence, self._side, patch_px or self._side))
        return Shots(
            **{one.name: np.stack([parts[one.name] for parts in made]) for one in fields(Shots)}
        )

    def _sequence(self, random: Random, frames: int, own: bool) -> dict[str, Plane]:
        scene = self._scene(random, own)
        side = scene.alpha.shape[0]
        _light(random, scene)
        if own:
            _spoil(random, scene)
        crop = _shaken(random, head_crop(scene.landmarks, self._side), self._side)
        course = wander(random, frames, side) if frames > 1 else still(side)
        front = occluder(random, side, scene.outline) if random.random() < 0.45 else None
        found = None if front is None else as_found(random, front[1])
        worse = _Worse.drawn(random)
        steps = [
            self._frame(random, scene, crop, course, number, front, found, worse)
            for number in range(frames)
        ]
        parts = {name: np.stack([one[name] for one in steps]) for name in steps[0]}
        parts["embedding"] = scene.embedding
        parts["own"] = np.asarray(float(own), np.float32)
        return parts

    def _scene(self, random: Random, own: bool) -> _Scene:
        pairs = self._pairs
        number = int(random.choice(pairs.selves if own else pairs.others))
        target, source = int(pairs.target[number]), int(pairs.source[number])
        picture = pairs.canvas[target] if own else pairs.picture[number]
        face, alpha = pairs.face[number], pairs.alpha[number]
        if own and random.random() < _FOREIGN_BROWS:
            other = pairs.face[int(random.choice(np.flatnonzero(pairs.target == target)))]
            outline = pairs.landmarks[target, :, :2]
            face = with_foreign_brow(random, face, other, outline)
        landmarks, points = pairs.landmarks[target], pairs.points[target]
        if random.random() < 0.5:
            last = picture.shape[1] - 1
            picture, face, alpha = picture[:, ::-1], face[:, ::-1], alpha[:, ::-1]
            landmarks, points = landmarks[self._mirror], points[list(_MIRRORED_POINTS)]
            landmarks[:, 0], points[:, 0] = last - landmarks[:, 0], last - points[:, 0]
        return _Scene(
            picture=np.ascontiguousarray(picture, np.float32),
            face=np.ascontiguousarray(face, np.float32),
            alpha=np.ascontiguousarray(alpha, np.float32),
            landmarks=landmarks,
            points=points,
            embedding=pairs.embedding[source],
            own=own,
        )

    def _frame(
        self,
        random: Random,
        scene: _Scene,
        crop: Matrix,
        course: Course,
        number: int,
        front: tuple[Plane, Plane] | None,
        found: Plane | None,
        worse: "_Worse",
    ) -> dict[str, Plane]:
        side = self._side
        picture = course.moved(scene.picture, number)
        hidden = np.zeros(scene.alpha.shape, np.float32)
        mask = None
        if front is not None:
            colours, hidden = (course.passed(one, number) for one in front)
            picture = picture + hidden[..., None] * (colours - picture)
            mask = None if found is None else levels(255 * course.passed(found, number))
        picture = picture * np.float32(course.gain(number))
        clean, to_canvas = worse.seen(picture)
        drawn = course.moved(scene.face, number, jitter=True) * np.float32(course.lagging(number))
        alpha = course.moved(scene.alpha, number, jitter=True)
        layer = Layer(worse.shrunk(drawn), worse.shrunk(alpha), np.eye(2, 3))
        inputs, truth = FusenetInputs.empty(side), np.empty((side, side, 3), np.uint8)
        stands = None if mask is None else Occluder(worse.shrunk(mask), np.eye(2, 3))
        seen = compose(crop, to_canvas)
        fill_inputs(worse.noisy(random, clean), layer, stands, seen, out=inputs)
        warp(clean, seen, out=truth)
        planes = np.empty((3, side, side), np.float32)
        to_planes(truth, out=planes)
        shut = cv2.warpAffine(hidden, crop, (side, side))
        flow, confidence = course.flow(random, number, crop, side, hidden if front else None)
        points = scene.points - course.shift_at(scene.points, number)
        arcface = compose(arcface_from_image(points), invert(crop))
        outline = scene.outline - course.shift_at(scene.outline, number)
        outline = np.asarray(apply(crop, outline), np.float32)
        named = {one.name: getattr(inputs, one.name)[0] for one in fields(FusenetInputs)}
        return named | {
            "truth": planes,
            "hidden": shut[None],
            "zones": zones(outline, inputs.validity[0, 0]),
            "flow": flow,
            "confidence": confidence,
            "arcface": np.asarray(arcface, np.float32),
        }


@dataclass(frozen=True, slots=True)
class _Worse:
    """What the camera does to a sequence."""

    blur_px: float
    read: float
    shot: float
    quality: int | None
    share: float

    @classmethod
    def drawn(cls, random: Random) -> Self:
        return cls(
            blur_px=max(0.0, random.uniform(-0.4, 1.3)),
            read=random.uniform(0, 6),
            shot=random.uniform(0, 0.08),
            quality=int(random.integers(55, 96)) if random.random() < 0.5 else None,
            share=random.uniform(*_SMALL) if random.random() < _SMALL_SHARE else 1.0,
        )

    def seen(self, picture: Plane) -> tuple[Image, Matrix]:
        """Through the lens, at the camera's size: what is to be reached, and canvas_from_it."""
        if self.blur_px >= 0.2:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur_px), np.float32)
        small = self.shrunk(picture)
        scale = picture.shape[0] / small.shape[0]
        shift = np.full((2, 1), (scale - 1) / 2)
        return small, np.hstack([scale * np.eye(2), shift])

    def shrunk(self, picture: Plane | Image) -> Image:
        """Anything on the canvas, at the size that the camera sees it in."""
        plane, side = np.asarray(picture, np.float32), round(self.share * picture.shape[0])
        if side < plane.shape[0]:
            small = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA)
            plane = np.asarray(small, np.float32)
        return levels(plane)

    def noisy(self, random: Random, picture: Image) -> Image:
        """By sensor and compression; what the network is shown."""
        noisy = add_sensor_noise(picture, self.read, self.shot, random)
        return noisy if self.quality is None else through_jpeg(noisy, self.quality)


def _light(random: Random, scene: _Scene) -> None:
    """Other light on all, which the mesh follows only in part, with errors of its own."""
    side = scene.alpha.shape[0]
    strength = random.uniform(0, 1)
    light = relit(random, strength, side)
    scene.picture *= light
    follows = blurred(light, side / 8)
    scene.face *= follows ** np.float32(random.uniform(0.7, 1.0))
    if random.random() < 0.8:
        scene.face *= mottled(random, side)


def _spoil(random: Random, scene: _Scene) -> None:
    """What else may be wrong with a drawn face; the truth knows better."""
    side = scene.alpha.shape[0]
    if random.random() < 0.4:
        scene.face = resharpened(random, scene.face)
    if random.random() < 0.4:
        scene.face = overdone(random, scene.face, scene.alpha)
    if random.random() < 0.25:
        scene.face = with_strands(random, scene.face, scene.outline)
    if random.random() < 0.2:
        eyes = [scene.outline[list(ring)].mean(axis=0) for ring in (RIGHT_EYE, LEFT_EYE)]
        scene.face = with_glasses(random, scene.face, np.stack(eyes))
    if random.random() < 0.25:
        scene.face = with_holes(random, scene.face, scene.outline)
    field = smooth(random, side, 6, 2) * np.float32(random.uniform(0, 0.8))
    y, x = np.mgrid[:side, :side].astype(np.float32)
    at = (x + field[..., 0], y + field[..., 1])
    scene.face, scene.alpha = (
        np.asarray(
            cv2.remap(one, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
        for one in (scene.face, scene.alpha)
    )


def _shaken(random: Random, crop: Matrix, side: int) -> Matrix:
    """The crop of another head of about the same shape: a little turned, larger, aside."""
    turn, scale = random.normal(0, 0.05), np.exp(random.normal(0, 0.05))
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    middle = np.array([side / 2, side / 2])
    linear = np.array([[cosine, -sine], [sine, cosine]])
    shift = middle - linear @ middle + random.normal(0, 2, 2)
    return compose(np.column_stack([linear, shift]), crop)
