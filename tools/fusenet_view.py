"""What FuseNet makes of drawn faces, beside the picture and the plain mesh: to judge it with."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cuda_kernels.warp import warp
from engines.families.fuser import Fuser
from engines.onnxruntime import OnnxRuntimeSession
from realtime.frame import Layer
from realtime.fusenet_inputs import FusenetInputs, fill_inputs, head_crop, to_planes
from tools.fusenet_disturb import Plane, levels
from tools.fusenet_pairs import Pairs


@dataclass(frozen=True, slots=True)
class View:
    """One face drawn on somebody else; pictures are ``(3, S, S) f32`` RGB 0..1.

    Attributes:
        target, source: numbers of the persons.
        truth: the picture.
        mesh: the drawn face laid over it.
        fusenet: the same after the network.
    """

    target: int
    source: int
    truth: Plane
    mesh: Plane
    fusenet: Plane


def load_views(
    pairs: Pairs, network: Path, *, blur_px: float = 0.8, most: int | None = None
) -> list[View]:
    """Runs a network on every pair of different people, without memory.

    Args:
        pairs: what was drawn.
        network: the ONNX file.
        blur_px: of the camera's lens, on the canvas.
        most: how many at most, evenly chosen; None: all.
    """
    numbers = pairs.others
    if most is not None and most < len(numbers):
        numbers = numbers[np.linspace(0, len(numbers) - 1, most).round().astype(int)]
    with closing(OnnxRuntimeSession(network.read_bytes(), name=network.name)) as session:
        fuser = Fuser(session)
        return [_view(pairs, int(number), fuser, blur_px) for number in numbers]


def _view(pairs: Pairs, number: int, fuser: Fuser, blur_px: float) -> View:
    side = fuser.side_px
    target = int(pairs.target[number])
    picture = levels(cv2.GaussianBlur(pairs.picture[number].astype(np.float32), (0, 0), blur_px))
    layer = Layer(pairs.face[number], pairs.alpha[number], np.eye(2, 3))
    crop = head_crop(pairs.landmarks[target], side)
    inputs, image = FusenetInputs.of(fuser.inputs), np.empty((side, side, 3), np.uint8)
    fill_inputs(picture, layer, None, crop, out=inputs)
    warp(picture, crop, out=image)
    truth = np.empty((3, side, side), np.float32)
    to_planes(image, out=truth)
    fuser.run()
    made, blend = fuser.outputs["image"][0], fuser.outputs["blend"][0]
    drawn, cover = inputs.render[0], inputs.validity[0]
    return View(
        target,
        int(pairs.source[number]),
        truth,
        truth + cover * (drawn - truth),
        truth + blend * (made - truth),
    )
