"""What happens to pictures on their way, as far as the invisible mark is put to the test."""

import io
from collections.abc import Callable, Mapping, Sequence

import av
import cv2
import numpy as np

from realtime.frame import Image

Pictures = Sequence[Image]
Attack = Callable[[Pictures], Pictures]

RATE_HZ = 30
SMALL_SIDE_PX = 360


def each(change: Callable[[Image], Image]) -> Attack:
    """An attack that changes every picture by itself."""
    return lambda pictures: [change(picture) for picture in pictures]


def jpeg(quality: int) -> Callable[[Image], Image]:
    """JPEG and back."""

    def change(picture: Image) -> Image:
        _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return change


def scaled(picture: Image, factor: float) -> Image:
    """Another size, both sides even."""
    width, height = (2 * round(side * factor / 2) for side in picture.shape[1::-1])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def to_360(picture: Image) -> Image:
    """The shorter side 360 pixels, as a small stream has it."""
    return scaled(picture, SMALL_SIDE_PX / min(picture.shape[:2]))


def mirrored(picture: Image) -> Image:
    """Left and right exchanged, as in the mirror view of a call."""
    return np.ascontiguousarray(picture[:, ::-1])


def screenshot(picture: Image) -> Image:
    """Smaller, JPEG, brighter."""
    small = jpeg(70)(scaled(picture, 0.6))
    return np.asarray(cv2.convertScaleAbs(small, alpha=1, beta=20), np.uint8)


def zoomed(picture: Image) -> Image:
    """A tenth of width and height cut off, the rest enlarged."""
    height, width = picture.shape[:2]
    left, top = width // 20, height // 20
    inner = picture[top : height - top, left : width - left]
    return np.asarray(cv2.resize(inner, (width, height)), np.uint8)


def squared(picture: Image) -> Image:
    """The middle square; of a square picture the middle 4:3."""
    height, width = picture.shape[:2]
    new_width, new_height = min(width, height), min(width, height)
    if width == height:
        new_height = height * 3 // 4
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return np.ascontiguousarray(picture[top : top + new_height, left : left + new_width])


def noisy(picture: Image) -> Image:
    """Strong noise; the same in every run."""
    noise = np.random.default_rng(int(picture[0, 0, 0])).normal(0, 8, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def coded(codec: str, *, bit_rate: int | None = None, **options: str) -> Attack:
    """A video codec and back.

    Args:
        codec: FFmpeg's name of the encoder.
        bit_rate: bits per second, where the codec is steered by that.
        options: of the encoder.
    """

    def change(pictures: Pictures) -> Pictures:
        buffer = io.BytesIO()
        form = "webm" if "vpx" in codec else "mp4"
        height, width = (side - side % 2 for side in pictures[0].shape[:2])
        with av.open(buffer, "w", format=form) as container:
            stream = container.add_stream(codec, rate=RATE_HZ, options=options)
            if not isinstance(stream, av.VideoStream):
                raise TypeError(f"{codec}: must encode pictures, got another kind of codec.")
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = 1
            if bit_rate is not None:
                stream.bit_rate = bit_rate
            for picture in pictures:
                even = np.ascontiguousarray(picture[:height, :width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="bgr24")))
            container.mux(stream.encode())
        buffer.seek(0)
        with av.open(buffer, "r") as container:
            return [
                np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                for frame in container.decode(video=0)
            ]

    return change


def x264(crf: int) -> Attack:
    """H.264 as programs write it in real time."""
    return coded("libx264", crf=str(crf), preset="veryfast")


def small_x264(crf: int) -> Attack:
    """A small stream of H.264."""
    return lambda pictures: x264(crf)(each(to_360)(pictures))


ATTACKS: Mapping[str, Attack] = {
    "untouched": lambda pictures: pictures,
    "JPEG quality 30": each(jpeg(30)),
    "H.264 crf 23": x264(23),
    "resized to 360 lines": each(to_360),
    "mirrored": each(mirrored),
    "H.264 crf 28": x264(28),
    # Below zero the speed is fixed; else it follows how busy the machine is and runs differ.
    "VP8 800 kbit/s": coded("libvpx", bit_rate=800_000, deadline="realtime", **{"cpu-used": "-8"}),
    "screenshot (0.6, JPEG 70, +20)": each(screenshot),
    "cut to a square": each(squared),
    "zoomed by a tenth": each(zoomed),
    "noise of 8 levels": each(noisy),
    "360 lines and H.264 crf 28": small_x264(28),
    "H.264 crf 35": x264(35),
}
"""By name, in the order of the table."""
