"""Networks and pictures for tests of the device pipeline, on a processor and on a pretended GPU."""

from importlib import util
from pathlib import Path

import cv2
import numpy as np

from cuda_kernels.feather import feather
from engines.fake import FakeSession
from engines.session import TensorSpec
from realtime.device_networks import (
    DetectNetwork,
    DeviceNetworks,
    EnlargeNetwork,
    SwapNetwork,
    scale_in,
    scale_out,
)

_FOLDER = Path(__file__).parents[1] / "cuda_kernels"
ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
F32 = np.dtype(np.float32)
CROP_PX, DETECT_PX, PERSON = 48, 64, 4
SIZE = (160, 120)
POINTS = np.float32([[14, 18], [34, 18], [24, 27], [16, 36], [32, 36]])
"""Of a face in the crop."""


def load(name):
    spec = util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake_cupy, host_stream = load("fake_cupy"), load("host_stream")


class GpuSession:
    """A network on the pretended GPU; runs are recorded and computed on its memory."""

    place = "cuda"

    def __init__(self, inner, cupy, provider="tensorrt:CUDA"):
        self._inner, self._cupy, self.provider = inner, cupy, provider
        self.closed = False

    @property
    def inputs(self):
        return self._inner.inputs

    @property
    def outputs(self):
        return self._inner.outputs

    def enqueue(self, inputs, *, out, stream):
        plain = [{n: a.view(np.ndarray) for n, a in arrays.items()} for arrays in (inputs, out)]
        self._cupy.session_step(
            "network",
            stream,
            inputs.values(),
            out.values(),
            lambda: self._inner.enqueue(plain[0], out=plain[1], stream=0),
        )

    def close(self):
        self.closed = True


def spec(name, *shape):
    return TensorSpec(name, shape, F32)


def redrawn(arrays):
    """The crop with its colours turned around and half as bright again, as the person says."""
    gain = float(arrays["source"].sum())
    return {"output": np.clip(arrays["target"][:, ::-1] * gain, 0.0, 1.0)}


def swapper(compute=redrawn):
    return FakeSession(
        (spec("target", 1, 3, CROP_PX, CROP_PX), spec("source", 1, PERSON)),
        (spec("output", 1, 3, CROP_PX, CROP_PX),),
        compute,
    )


def brightest(arrays):
    """Sees a face of 24 pixels around the brightest cell of each stride, as SCRFD would say it."""
    red = arrays["picture"][0, 0]
    found = {}
    for stride in (8, 16, 32):
        cells = red.reshape(DETECT_PX // stride, stride, -1, stride).mean(axis=(1, 3)).ravel()
        scores = np.repeat(np.clip(cells, 0, 1), 2).astype(np.float32)
        if stride > 8:
            scores *= 0.5
        num = len(scores)
        found[f"score_{stride}"] = scores.reshape(1, num, 1)
        found[f"box_{stride}"] = np.full((1, num, 4), 1.5, np.float32)
        found[f"points_{stride}"] = np.tile(
            np.array([-1, -1, 1, -1, 0, 0, -1, 1, 1, 1], np.float32), (1, num, 1)
        )
    return found


def detector():
    outputs = [
        spec(f"{kind}_{stride}", 1, (DETECT_PX // stride) ** 2 * 2, width)
        for stride in (8, 16, 32)
        for kind, width in (("score", 1), ("box", 4), ("points", 10))
    ]
    return FakeSession((spec("picture", 1, 3, DETECT_PX, DETECT_PX),), tuple(outputs), brightest)


def enlarger():
    def doubled(arrays):
        return {"enlarged": arrays["small"].repeat(2, axis=2).repeat(2, axis=3)}

    return FakeSession((spec("small", 1, 3, 64, 64),), (spec("enlarged", 1, 3, 128, 128),), doubled)


def networks(wrap=lambda session: session, *, detect=False, enlarge=False, compute=redrawn):
    """Networks of a pipeline; ``wrap`` puts their sessions on a device."""
    swap, find, grow = wrap(swapper(compute)), wrap(detector()), wrap(enlarger())
    unit = scale_in(ZERO, ONE)
    levels = {s: (f"score_{s}", f"box_{s}", f"points_{s}") for s in (8, 16, 32)}
    return DeviceNetworks(
        SwapNetwork(
            swap, *swap.inputs, swap.outputs[-1], CROP_PX, unit, scale_out(ZERO, ONE), POINTS
        ),
        edge(128 if enlarge else CROP_PX),
        DetectNetwork(find, *find.inputs, DETECT_PX, levels, 2, unit) if detect else None,
        EnlargeNetwork(grow, *grow.inputs, *grow.outputs, 64, 2, unit, scale_out(ZERO, ONE))
        if enlarge
        else None,
    )


def edge(side):
    """All of a crop but a soft rim."""
    mask, out = np.full((side, side), 255, np.uint8), np.zeros((side, side), np.uint8)
    feather(mask, side // 6, scratch=np.zeros((side, side), np.int32), out=out)
    return out


def person(gain=1.2):
    return np.full(PERSON, gain / PERSON, np.float32)


def picture(frame, size=SIZE):
    """A soft picture that slides to the left by a pixel and a half each frame."""
    noise = np.random.default_rng(1).uniform(0, 255, (size[1] + 16, size[0] + 64, 3))
    soft = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 3)
    soft = np.clip((soft - soft.mean()) * 6 + 120, 0, 255)
    move = np.array([[1.0, 0.0, 1.5 * frame], [0.0, 1.0, 4.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.rint(cv2.warpAffine(soft, move, size, flags=flags)).astype(np.uint8)


def crop_at(frame, left=30.0):
    """``crop_from_image`` of a face that slides with the picture."""
    return np.array([[0.7, 0.02, -0.7 * (left - 1.5 * frame)], [-0.02, 0.7, -15.0]])
