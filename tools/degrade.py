"""What a webcam and a video call do to a face: blur, shrinking, sensor noise, JPEG or H.264.

Second-hand pictures to train and judge super-resolution with, after the random degradations of
Real-ESRGAN (Wang et al. 2021, arXiv 2107.10833), at the strengths of a webcam.
"""

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image


@dataclass(frozen=True, slots=True)
class WebcamRanges:
    """How strong the parts may be; each is drawn evenly between its two ends.

    Attributes:
        blur_px: standard deviation of the lens's blur, in pixels of the small picture.
        read_noise: standard deviation of the sensor's noise in the dark, grey levels.
        shot_noise: further variance per grey level of light, grey levels.
        jpeg_quality: of OpenCV's encoder.
        crf: of x264, higher is worse.
        h264_share: how many of the pictures are H.264, the others are JPEG.
        uncompressed_share: how many are neither.
    """

    blur_px: tuple[float, float] = (0.0, 0.9)
    read_noise: tuple[float, float] = (0.0, 6.0)
    shot_noise: tuple[float, float] = (0.0, 0.12)
    jpeg_quality: tuple[int, int] = (40, 95)
    crf: tuple[int, int] = (18, 30)
    h264_share: float = 0.35
    uncompressed_share: float = 0.15


WEBCAM = WebcamRanges()


def degrade(
    image: Image, scale: int, random: np.random.Generator, ranges: WebcamRanges = WEBCAM
) -> Image:
    """A small, worse picture of a good one.

    Args:
        image: ``(H, W, 3) u8 BGR``, sides divisible by the scale (and by twice the scale where
            H.264 may be drawn, which knows even sides only).
        scale: how many times smaller the result is.
        random: what is drawn, and nothing else, decides the result.
        ranges: how strong the parts are.

    Returns:
        ``(H / scale, W / scale, 3) u8 BGR``.
    """
    blurred = _blur(image, scale * random.uniform(*ranges.blur_px))
    size = image.shape[1] // scale, image.shape[0] // scale
    method = cv2.INTER_AREA if random.random() < 0.5 else None
    small = _shrink(blurred, size, method, scale)
    noisy = add_sensor_noise(
        small, random.uniform(*ranges.read_noise), random.uniform(*ranges.shot_noise), random
    )
    draw = random.random()
    if draw < ranges.h264_share:
        return through_h264(noisy, int(random.integers(*ranges.crf, endpoint=True)))
    if draw < 1 - ranges.uncompressed_share:
        return through_jpeg(noisy, int(random.integers(*ranges.jpeg_quality, endpoint=True)))
    return noisy


def add_sensor_noise(image: Image, read: float, shot: float, random: np.random.Generator) -> Image:
    """Adds Gaussian noise whose variance grows with the light.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        read: standard deviation in the dark, grey levels.
        shot: variance per grey level, grey levels.
        random: where the noise comes from.
    """
    light = image.astype(np.float32)
    spread = np.sqrt(read * read + shot * light)
    noisy: NDArray[np.float32] = light + spread * random.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def through_jpeg(image: Image, quality: int) -> Image:
    """The picture after JPEG of a quality from 1 to 100."""
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def through_h264(image: Image, crf: int) -> Image:
    """The picture after one H.264 key frame at 4:2:0, even sides only."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="h264") as output:
        stream = output.add_stream("libx264", rate=Fraction(30))
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "superfast", "threads": "1"}
        # OpenCV's conversion: that of FFmpeg is quicker and moves colours by two levels.
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        output.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r", format="h264") as coded:
        planes = np.asarray(next(coded.decode(video=0)).to_ndarray(format="yuv420p"), np.uint8)
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _blur(image: Image, sigma_px: float) -> Image:
    if sigma_px < 0.05:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)


def _shrink(image: Image, size: tuple[int, int], method: int | None, scale: int) -> Image:
    """Smaller by the areas of pixels, or by a cubic kernel without antialiasing beyond a blur."""
    if method is not None:
        return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    soft = cv2.GaussianBlur(image, (0, 0), 0.4 * scale)
    return np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_CUBIC), np.uint8)
