"""What FuseNet's memory is good for: ``python -m tools.fusenet_memory PAIRS``.

A still picture is filmed with the noise of a camera, and faces are drawn on it. The network sees
the frames once with its memory and once without. Printed is how much less the drawn faces change
from frame to frame with it, and whether they are as sharp: an average over time that blurs would
be no use. ``PAIRS`` is the folder of ``tools.fusenet_data``; the people are those kept out.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.errors import ModelError
from engines.families.fuser import MEMORIES, Fuser
from engines.onnxruntime import OnnxRuntimeSession
from realtime.frame import Layer
from realtime.fusenet_inputs import FusenetInputs, fill_inputs, head_crop
from tools.degrade import add_sensor_noise
from tools.export_fusenet import WEIGHTS
from tools.fusenet_disturb import Plane
from tools.fusenet_pairs import Pairs
from tools.json_file import write_json

NOISE = 4.0
"""Standard deviation, grey levels."""

FRAMES = 16
_SETTLED = 6
"""Frames after which the memory is full."""

_BLUR_PX = 0.8


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What was seen of the drawn faces, means over faces.

    Attributes:
        with_memory, without: standard deviation over time, grey levels.
        sharpness: gradient energy with the memory over that without.
    """

    with_memory: float
    without: float
    sharpness: float

    @property
    def falls_by(self) -> float:
        """Share by which the memory lowers the deviation."""
        return 1 - self.with_memory / self.without


def film(pairs: Pairs, number: int, fuser: Fuser, seed: int, *, remember: bool) -> Plane:
    """The drawn face in each settled frame, ``(frames, 3, S, S)`` grey levels, 0 beside it.

    Args:
        pairs: what was drawn.
        number: of the pair.
        fuser: the network.
        seed: of the noise, the same for both films.
        remember: give it its memory.
    """
    random = np.random.default_rng((seed, number))
    still = cv2.GaussianBlur(pairs.picture[number], (0, 0), _BLUR_PX)
    layer = Layer(pairs.face[number], pairs.alpha[number], np.eye(2, 3))
    crop = head_crop(pairs.landmarks[pairs.target[number]], fuser.side_px)
    inputs = FusenetInputs.of(fuser.inputs)
    for name in (*MEMORIES, "confidence"):
        fuser.inputs[name][:] = 0
    shown = []
    for _ in range(FRAMES):
        noisy = add_sensor_noise(np.asarray(still, np.uint8), NOISE, 0.0, random)
        fill_inputs(noisy, layer, None, crop, out=inputs)
        fuser.run()
        shown.append(255 * fuser.outputs["image"][0] * (inputs.keep[0] < 0.5))
        if remember:
            for name, following in MEMORIES.items():
                np.copyto(fuser.inputs[name], fuser.outputs[following])
            fuser.inputs["confidence"][:] = 1
    return np.stack(shown[_SETTLED:])


def deviation(frames: Plane) -> float:
    """Standard deviation over time, mean over what is not 0."""
    drawn = frames.min(axis=0) > 0
    return float(frames.std(axis=0)[drawn].mean())


def gradient_energy(frames: Plane) -> float:
    """Mean square of the differences between neighbours inside the drawn face."""
    drawn = frames.min(axis=(0, 1)) > 0
    down, across = np.diff(frames, axis=2), np.diff(frames, axis=3)
    pairs = (down[..., drawn[1:] & drawn[:-1]], across[..., drawn[:, 1:] & drawn[:, :-1]])
    return float(np.mean([np.square(steps).mean() for steps in pairs]))


def measure(pairs: Pairs, network: Path, most: int) -> Steadiness:
    """Films some faces with and without memory."""
    numbers = pairs.others[np.linspace(0, len(pairs.others) - 1, most).round().astype(int)]
    rows = []
    with closing(OnnxRuntimeSession(network.read_bytes(), name=network.name)) as session:
        fuser = Fuser(session)
        for number in numbers.tolist():
            films = [film(pairs, number, fuser, 1, remember=one) for one in (True, False)]
            energies = [gradient_energy(one) for one in films]
            rows.append((*(deviation(one) for one in films), energies[0] / energies[1]))
    return Steadiness(*np.mean(rows, axis=0).tolist())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", type=Path, help="folder of tools.fusenet_data")
    parser.add_argument("--network", type=Path, default=WEIGHTS / "fusenet_lite.onnx")
    parser.add_argument("--most", type=int, default=24, help="faces")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        found = measure(Pairs.read(options.pairs / "test.npz"), options.network, options.most)
    except (ModelError, OSError, ValueError) as error:
        print(f"fusenet_memory: {error}", file=sys.stderr)
        return 2
    print(
        f"noise {NOISE:g}: deviation {found.without:.3f} without memory, {found.with_memory:.3f} "
        f"with it, {100 * found.falls_by:.0f} % less; sharpness {found.sharpness:.3f}"
    )
    if options.json is not None:
        write_json(
            {
                "without": found.without,
                "with_memory": found.with_memory,
                "sharpness": found.sharpness,
            },
            options.json,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
