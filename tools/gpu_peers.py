"""The same swap as the programs people use do it: a call and a wait for each network, the rest on
the processor, the face laid back over the whole picture.

Detection, crop, swap, enlargement and the paste-back of InsightFace's ``inswapper``: its mask is
eroded and blurred, everything warped to the full frame, https://github.com/deepinsight/insightface.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.device import Device
from engines.hosted import open_hosted
from engines.session import Session
from realtime.frame import Image
from tools.gpu_networks import Runtime, Sizes, network_shapes
from tools.gpu_scene import crop_at, picture

Json = dict[str, float | int | str]


class PeersWay:
    """Detector, swapper and enlarger called one after the other, arrays in main memory.

    Args:
        runtime: opens the networks; on a GPU each copies its arrays there and back, and waits.
        device: says where networks run.
        sizes: which networks.
        enlarge: whether faces get more pixels.
        stack: closes the networks.
    """

    def __init__(
        self, runtime: Runtime, device: Device, sizes: Sizes, stack: ExitStack, *, enlarge: bool
    ) -> None:
        shapes = network_shapes(sizes)

        def opened(name: str) -> Session:
            if device.place == "cpu":
                return stack.enter_context(closing(runtime.open(name, shapes[name], 0)))
            hosted = open_hosted(lambda stream: runtime.open(name, shapes[name], stream), name=name)
            return stack.enter_context(closing(hosted))

        self._sizes, self._shapes = sizes, shapes
        self._detector, self._swapper = opened(sizes.detector), opened(sizes.swapper)
        self._enlarger = opened(sizes.enlarger) if enlarge else None
        self._source = np.full((1, 512), 0.04, np.float32)

    def process(self, image: Image, crop_from_image: NDArray[np.float64]) -> None:
        """Swaps the face of one picture in place."""
        side = self._sizes.detect_px
        fit = side / max(image.shape[:2])
        small = np.asarray(cv2.resize(image, None, fx=fit, fy=fit), np.uint8)
        square = np.zeros((side, side, 3), np.uint8)
        square[: small.shape[0], : small.shape[1]] = small
        self._run(self._detector, {"picture": _blob(square)})
        crop = np.asarray(cv2.warpAffine(image, crop_from_image, (128, 128)), np.uint8)
        given = {"target": _blob(crop), "source": self._source}
        (face,) = self._run(self._swapper, given).values()
        if self._enlarger is not None:
            size = (self._sizes.enlarge_px,) * 2
            large = np.asarray(cv2.resize(_picture(face), size), np.uint8)
            larger = {"picture": _blob(large)}
            (face,) = self._run(self._enlarger, larger).values()
        _paste_back(_picture(face), crop_from_image, image)

    def _run(
        self, session: Session, given: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        shapes = {
            "output": (1, 3, 128, 128),
            "enlarged": (1, 3, *(2 * self._sizes.enlarge_px,) * 2),
        }
        num = {s: (self._sizes.detect_px // s) ** 2 * 2 for s in (8, 16, 32)}
        out = {}
        for spec in session.outputs:
            stride = spec.name.rpartition("_")[2]
            shape = shapes.get(spec.name) or (1, num[int(stride)], spec.shape[-1])
            out[spec.name] = np.empty(shape, np.float32)
        session.enqueue(given, out=out, stream=0)
        return out


def measure_peers(
    way: PeersWay, size: tuple[int, int], seconds: float, least_frames: int = 5
) -> Json:
    """How fast that is.

    Args:
        way: does it.
        size: width and height of the pictures.
        seconds: how long it is measured.
        least_frames: even if that takes longer.
    """
    images = [picture(size, seed) for seed in range(2)]
    way.process(images[0], crop_at(0, size, 128))
    times_ms: list[float] = []
    began = time.perf_counter()
    while len(times_ms) < least_frames or time.perf_counter() - began < seconds:
        frame = len(times_ms)
        at = time.perf_counter()
        way.process(images[frame % 2], crop_at(frame, size, 128))
        times_ms.append((time.perf_counter() - at) * 1e3)
    return {
        "fps": 1e3 / float(np.mean(times_ms)),
        "latency_ms_p50": float(np.quantile(times_ms, 0.5)),
        "latency_ms_p99": float(np.quantile(times_ms, 0.99)),
        "frames": len(times_ms),
    }


def _blob(image: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.dnn.blobFromImage(image, 1 / 255.0, swapRB=True), np.float32)


def _picture(planes: NDArray[np.float32]) -> Image:
    levels = 255.0 * planes[0].transpose(1, 2, 0)[..., ::-1]
    return np.ascontiguousarray(np.clip(levels, 0, 255), np.uint8)


def _paste_back(face: Image, crop_from_image: NDArray[np.float64], image: Image) -> None:
    """Warps face and mask to the whole picture, and blends the whole picture in floats."""
    times = face.shape[0] / 128
    height, width = image.shape[:2]
    back = cv2.invertAffineTransform(crop_from_image * times)
    white = np.full(face.shape[:2], 255, np.float32)
    mask = cv2.warpAffine(white, back, (width, height))
    laid = cv2.warpAffine(face, back, (width, height))
    mask[mask > 20] = 255
    rows, columns = np.where(mask == 255)
    if not len(rows):
        return
    extent = int(np.sqrt(np.ptp(rows) * np.ptp(columns)))
    eroded = max(extent // 10, 10)
    mask = cv2.erode(mask, np.ones((eroded, eroded), np.uint8))
    blur = 2 * max(extent // 20, 5) + 1
    weight = cv2.GaussianBlur(mask, (blur, blur), 0)[..., None] / 255
    image[:] = (weight * laid + (1 - weight) * image.astype(np.float32)).astype(np.uint8)
