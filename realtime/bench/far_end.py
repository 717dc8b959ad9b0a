"""The far end as a process of its own: reads a device or a pipe and notes every stamp.

``python -m realtime.bench.far_end --out FILE (--pipe | --device N) --size WxH``: pictures come from
standard input or from ``/dev/videoN``. For each one a line with the time of its arrival and its
stamp (``-`` where none can be read) goes to the file. It ends with its input, or when its standard
input is closed.
"""

import argparse
import select
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.bench.arrivals import Arrival
from realtime.bench.stamp import read_stamp
from realtime.config import parse_size
from realtime.sources.camera import open_device

RETRY_S = 0.05

Luma = NDArray[np.uint8]


def read_pipe(pipe: BinaryIO, width: int, height: int) -> Iterator[Luma]:
    """The luma of I420 pictures, ``(H, W) u8``, until the pipe ends."""
    num_bytes = width * height * 3 // 2
    while len(data := pipe.read(num_bytes)) == num_bytes:
        yield np.frombuffer(data, np.uint8, count=width * height).reshape(height, width)


def read_device(index: int, alive: "Alive") -> Iterator[NDArray[np.uint8]]:
    """The pictures of a camera, ``(H, W, 3) u8 BGR``, each as soon as it is there.

    A virtual camera can be read only once it is written to, so it is opened again and again.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    while alive.holds():
        capture = open_device(index, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        try:
            while alive.holds():
                delivered, picture = capture.read()
                if not delivered:
                    break
                yield picture
        finally:
            capture.release()
        time.sleep(RETRY_S)


class Alive:
    """Whether the process that started this one still wants it: its end of the pipe is open."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def holds(self) -> bool:
        """False once the stream has ended."""
        readable, _, _ = select.select([self._stream], [], [], 0)
        return not readable


def note(pictures: Iterable[NDArray[np.uint8]], out: Path) -> None:
    """Writes a line for every picture as it comes."""
    with out.open("w", encoding="ascii", buffering=1) as lines:
        for picture in pictures:
            arrived_ns = time.monotonic_ns()
            stamp = read_stamp(picture)
            lines.write(f"{arrived_ns} {'-' if stamp is None else stamp}\n")


def parse_notes(text: str) -> list[Arrival]:
    """The arrivals that ``note`` wrote; a last line that was cut off is left out."""
    whole = text[: text.rfind("\n") + 1]
    pairs = (line.split(" ") for line in whole.splitlines())
    return [Arrival(int(arrived), None if stamp == "-" else int(stamp)) for arrived, stamp in pairs]


def main() -> None:
    """Reads until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", type=int)
    parser.add_argument("--size", default="1280x720")
    options = parser.parse_args()
    if options.device is not None:
        note(read_device(options.device, Alive(sys.stdin)), options.out)
        return
    size: Any = parse_size(options.size)
    note(read_pipe(sys.stdin.buffer, *size), options.out)


if __name__ == "__main__":
    main()
