"""Judges super-resolution as published figures do: ``python -m tools.eval_sr NETWORK --set Set5``.

    python -m tools.eval_sr runs/srsn_full_x2_fidelity.pt srsn_lite_x2_fidelity \\
        --set Set5 --set Set14 --faces portraits:256 --features recogniser.onnx

A network is an ONNX file, a name of the catalogue, or a checkpoint of ``tools.train_srsn``. For
each and for plain bicubic interpolation: PSNR of brightness (Y of BT.601) without a border as wide
as the scale, of pictures shrunk as MATLAB shrinks them; then of the faces that no training sees,
shrunk and worsened as by a webcam, with how far the mean colour of their skin moves and, where a
network is given to look with, their distance: in the features of any network (``--features``), or
as ST-LPIPS learnt it (``--lpips alex_shift_tolerant.pth``). No self-ensemble, nothing tuned to a
picture.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.onnxruntime import OnnxRuntimeSession, compute
from realtime.engine_commands import load_network
from realtime.frame import Image
from tools.degrade import degrade
from tools.feature_distance import FeatureDistance
from tools.imresize import resized_u8
from tools.srsn_pictures import as_picture, as_planes, load_picture, picture_names, split

Resolve = Callable[[Image], Image]
"""Enlarges ``(h, w, 3) u8 BGR`` by a scale."""

Distance = Callable[[Image, Image], float]
"""How unlike two pictures of one size are; 0 where they are the same."""

BICUBIC = "bicubic"

FACE_SEED = 20
"""Of what is drawn to worsen the faces: the same for every network."""

_TRIED_PX = 32

_SKIN_YCRCB = (np.array([40, 135, 85], np.uint8), np.array([250, 180, 135], np.uint8))
"""Brightness and colour differences of skin of any tone, after Chai and Ngan (1999), widened."""


_RIM_PX = 7
"""Side of the square that must be all skin around each pixel, in the small picture."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of one way to enlarge.

    Attributes:
        psnr_db: by name of the set; the faces' under ``faces``.
        skin_shift: the most that the mean of a channel over one face's skin moved against the
            small picture, grey levels.
        distances: means over the faces, by what looked at them.
    """

    psnr_db: Mapping[str, float]
    skin_shift: float | None
    distances: Mapping[str, float]


def luma(image: Image) -> NDArray[np.float64]:
    """Brightness by BT.601 in the range of video, as MATLAB's ``rgb2ycbcr``: ``(H, W) f64``."""
    levels = 16 + image.astype(np.float64) @ np.array([24.966, 128.553, 65.481]) / 255
    return np.asarray(np.rint(levels))


def luma_psnr(found: Image, wanted: Image, border_px: int) -> float:
    """PSNR in dB of the brightness of two pictures of one size, without a border."""
    inside = slice(border_px, -border_px)
    error = (luma(found) - luma(wanted))[inside, inside]
    return float(10 * np.log10(255**2 / max(float(np.square(error).mean()), 1e-12)))


def bicubic(scale: int) -> Resolve:
    """MATLAB's ``imresize`` as a way to enlarge."""

    def enlarge(image: Image) -> Image:
        height, width = image.shape[:2]
        return resized_u8(image, height * scale, width * scale)

    return enlarge


def from_onnx(model: bytes, name: str) -> tuple[int, Resolve]:
    """The scale of a network, and what enlarges with it.

    Raises:
        ModelError: it takes no pictures, or gives none.
    """
    session = OnnxRuntimeSession(model, threads=2, name=name)
    scale = _scale_of(model, session, name)

    def enlarge(image: Image) -> Image:
        height, width = image.shape[:2]
        large = np.zeros((1, 3, height * scale, width * scale), np.float32)
        _run(session, as_planes([image]), large)
        return as_picture(large[0])

    return scale, enlarge


def from_checkpoint(path: Path) -> tuple[int, Resolve]:
    """The scale of a network in training, and what enlarges with its averaged weights."""
    # Needed for nothing else here.
    from tools.srsn_training import load_average

    network = load_average(path)
    return network.recipe.scale, network.resolve


def judge(
    enlarge: Resolve,
    scale: int,
    sets: Sequence[Path],
    faces: Sequence[Image],
    distances: Mapping[str, Distance],
) -> Judged:
    """Figures of one way to enlarge.

    Args:
        enlarge: by the scale.
        scale: 2 or 4.
        sets: folders of test pictures.
        faces: pictures of faces at the size that is wanted back.
        distances: look at the faces, by name.
    """
    psnr = {folder.name: float(np.mean(_set_psnr(enlarge, scale, folder))) for folder in sets}
    if not faces:
        return Judged(psnr, None, {})
    random = np.random.default_rng(FACE_SEED)
    pairs = [(degrade(face, scale, random), face) for face in faces]
    found = [enlarge(small) for small, _ in pairs]
    psnr["faces"] = float(
        np.mean([luma_psnr(one, face, scale) for one, (_, face) in zip(found, pairs, strict=True)])
    )
    shift = max(skin_shift(one, *pair) for one, pair in zip(found, pairs, strict=True))
    apart = {
        name: float(np.mean([look(one, face) for one, (_, face) in zip(found, pairs, strict=True)]))
        for name, look in distances.items()
    }
    return Judged(psnr, shift, apart)


def skin_shift(found: Image, small: Image, wanted: Image) -> float:
    """How far the mean colour of the skin moved from the small picture, the most of three channels.

    Args:
        found: ``(scale h, scale w, 3) u8 BGR``.
        small: ``(h, w, 3) u8 BGR``, what it was made from.
        wanted: as found; where the skin is. Looked for in the small picture it would be where that
            one's noise has the colour of skin, and any network that takes noise away would move it.

    Returns:
        Grey levels; 0 where there is no skin.
    """
    height, width = small.shape[:2]
    clean = cv2.resize(wanted, (width, height), interpolation=cv2.INTER_AREA)
    skin = cv2.inRange(cv2.cvtColor(clean, cv2.COLOR_BGR2YCrCb), *_SKIN_YCRCB)
    # Where it ends a sharper edge takes darkness out of the skin, which is as it should be.
    inside = cv2.erode(skin, np.ones((_RIM_PX, _RIM_PX), np.uint8)) > 0
    if not inside.any():
        return 0.0
    times = found.shape[0] // height
    cells = found.reshape(height, times, width, times, 3).mean(axis=(1, 3))
    return float(np.abs(cells[inside].mean(axis=0) - small[inside].mean(axis=0)).max())


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="+", help="ONNX files, catalogue names, checkpoints")
    parser.add_argument("--set", action="append", type=Path, default=[], help="test pictures")
    parser.add_argument("--faces", help="FOLDER:SIDE of portraits; every ninth is judged")
    parser.add_argument("--features", type=Path, help="ONNX network to look at the faces with")
    parser.add_argument("--lpips", type=Path, help="weights of ST-LPIPS with AlexNet")
    options = parser.parse_args(arguments)
    try:
        faces = load_faces(options.faces) if options.faces else []
        distances = open_distances(options.features, options.lpips)
        result: dict[str, Any] = {}
        for name in options.networks:
            scale, enlarge = open_network(name)
            for label, way in ((name, enlarge), (f"{BICUBIC}_x{scale}", bicubic(scale))):
                if label not in result:
                    judged = judge(way, scale, options.set, faces, distances)
                    result[label] = _rounded(judged)
    except (ModelError, OSError, ValueError) as error:
        print(f"eval_sr: {error}", file=sys.stderr)
        return ModelError.exit_code
    print(json.dumps(result, indent=2))
    return 0


def load_faces(text: str) -> list[Image]:
    """The faces that no training sees, from ``FOLDER:SIDE``.

    Raises:
        ValueError: there are none, or the side is no number.
    """
    folder, _, side = text.rpartition(":")
    if not side.isdecimal() or int(side) % 8:
        raise ValueError(f"--faces: must be FOLDER:SIDE with a multiple of 8, got {text}.")
    _, kept_out = split(picture_names(Path(folder)))
    return [load_picture(name, int(side)) for name in kept_out]


def open_distances(features: Path | None, lpips: Path | None) -> dict[str, Distance]:
    """What looks at the faces, by name.

    Args:
        features: an ONNX network whose features are compared.
        lpips: weights of ST-LPIPS.

    Raises:
        ModelError: one of them is another file.
        OSError: it cannot be read.
    """
    distances: dict[str, Distance] = {}
    if features is not None:
        distances["features"] = FeatureDistance(features.read_bytes())
    if lpips is not None:
        # Needs torch, which is needed for nothing else here.
        from tools.stlpips import ShiftTolerantLpips

        distances["st_lpips"] = ShiftTolerantLpips(lpips)
    return distances


def open_network(name: str) -> tuple[int, Resolve]:
    """The scale of a network, and what enlarges with it.

    Raises:
        ModelError: it cannot be had, or does not enlarge.
        OSError, ValueError: a checkpoint cannot be read.
    """
    if name.endswith(".pt"):
        return from_checkpoint(Path(name))
    return from_onnx(load_network(name), name)


def _set_psnr(enlarge: Resolve, scale: int, folder: Path) -> list[float]:
    values = []
    for path in picture_names(folder):
        image = load_picture(path)
        height, width = (side // scale * scale for side in image.shape[:2])
        large = np.ascontiguousarray(image[:height, :width])
        small = resized_u8(large, height // scale, width // scale)
        values.append(luma_psnr(enlarge(small), large, scale))
    return values


def _scale_of(model: bytes, session: OnnxRuntimeSession, name: str) -> int:
    small = np.zeros((1, 3, _TRIED_PX, _TRIED_PX), np.float32)
    (found,) = compute(model, [{session.inputs[0].name: small}], name=name)
    shape = next(iter(found.values())).shape
    for scale in (2, 4):
        if shape == (1, 3, scale * _TRIED_PX, scale * _TRIED_PX):
            return scale
    raise ModelError(f"{name}: must make pictures 2 or 4 times as large, got {shape}.")


def _run(session: OnnxRuntimeSession, small: NDArray[Any], large: NDArray[Any]) -> None:
    inputs, outputs = {session.inputs[0].name: small}, {session.outputs[0].name: large}
    session.enqueue(inputs, out=outputs, stream=0)


def _rounded(judged: Judged) -> dict[str, Any]:
    return {
        "psnr_db": {name: round(value, 2) for name, value in judged.psnr_db.items()},
        "skin_shift": None if judged.skin_shift is None else round(judged.skin_shift, 3),
        "distances": {name: round(value, 5) for name, value in judged.distances.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
