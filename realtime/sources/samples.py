"""A few short runs of pictures out of a video, for looking at it without reading all of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import av
import numpy as np

from realtime.errors import MediaError
from realtime.frame import Image
from realtime.media_file import open_video, picture_stream
from realtime.pictures import MAX_PICTURE_PIXELS

Kept = TypeVar("Kept")


def sample_windows(
    path: Path, *, num_windows: int, num_pictures: int, keep: Callable[[Image], Kept]
) -> Iterator[list[Kept]]:
    """Runs of pictures from the beginning of a video and from places spread over it.

    A video that cannot be sought in gives its beginning only; one that breaks off gives what came
    before.

    Args:
        path: the video.
        num_windows: at most so many runs.
        num_pictures: pictures of a run; the last ones may have fewer.
        keep: what is kept of each picture.

    Yields:
        Runs of at least one picture, all pictures of one size.

    Raises:
        MediaError: the file is no video, or its pictures are too large.
    """
    with open_video(path) as container:
        stream = picture_stream(container, path)
        _check_size(stream.codec_context.width * stream.codec_context.height, path)
        duration = container.duration or 0  # microseconds
        for window in range(num_windows):
            if window and not _seek(container, duration * window // num_windows):
                return
            pictures = _read(container, stream, num_pictures, keep, path)
            if pictures:
                yield pictures


def read_tags(path: Path) -> dict[str, str]:
    """The metadata of a video's container.

    Raises:
        MediaError: the file is no video.
    """
    with open_video(path) as container:
        return dict(container.metadata)


def _seek(container: av.container.InputContainer, time_us: int) -> bool:
    if time_us <= 0:
        return False
    try:
        container.seek(time_us)
    except av.FFmpegError:
        return False
    return True


def _read(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    num_pictures: int,
    keep: Callable[[Image], Kept],
    path: Path,
) -> list[Kept]:
    kept: list[Kept] = []
    size: tuple[int, int] | None = None
    try:
        for frame in container.decode(stream):
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                break
            _check_size(frame.width * frame.height, path)
            kept.append(keep(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)))
            if len(kept) == num_pictures:
                break
    except (av.FFmpegError, ValueError):
        # What came before the damage is enough to look at.
        return kept
    return kept


def _check_size(num_pixels: int, path: Path) -> None:
    if num_pixels > MAX_PICTURE_PIXELS:
        raise MediaError(
            f"{path}: pictures must have at most {MAX_PICTURE_PIXELS // 1_000_000} megapixels, "
            f"got {num_pixels // 1_000_000}. Scale the video down."
        )
