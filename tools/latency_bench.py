"""What each piece of the last metre costs: ``python -m tools.latency_bench [--size 1280x720]``.

Drawing and reading the stamp, converting a picture for every kind of virtual camera, fitting it
into another size, writing it to ``/dev/null`` in the place of a device, and looking whether a
camera is frozen. The way through the whole engine is measured by ``rt-swap bench``.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import cv2
import numpy as np

from realtime.bench.stamp import draw_stamp, read_stamp
from realtime.config import CameraConfig
from realtime.frame import Image
from realtime.letterbox import letterbox
from realtime.machine import machine_facts
from realtime.metrics import Histogram, Json
from realtime.sinks.packing import FORMATS, Packer
from realtime.sources.watchdog import FrozenWatch

Piece = Callable[[], object]


def pieces(width: int, height: int, null: int) -> Iterator[tuple[str, Piece]]:
    """What is measured, by name.

    Args:
        width, height: of the pictures, even.
        null: descriptor of ``/dev/null``.
    """
    image: Image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    draw_stamp(1, out=image)
    smaller: Image = np.zeros((height // 4 * 2, width // 2 + width // 2 % 2, 3), np.uint8)
    watch, i420 = FrozenWatch(), Packer("YU12", width, height)
    yield "stamp drawn", lambda: draw_stamp(1, out=image)
    yield "stamp read", lambda: read_stamp(image)
    for fourcc in FORMATS:
        packer = Packer(fourcc, width, height)
        yield f"packed as {fourcc}", partial(packer.pack, image)
    yield "letterboxed", lambda: letterbox(image, out=smaller)
    yield "sink: converted and written", lambda: os.write(null, i420.pack(image).data)
    yield "frozen camera looked for", lambda: watch.see(image, 0)


def measure(width: int, height: int, num_rounds: int) -> dict[str, Json]:
    """Times of every piece in milliseconds.

    The pieces take turns, so that whatever else the machine does meets all alike.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        found = dict(pieces(width, height, null))
        times = {name: Histogram() for name in found}
        for _ in range(num_rounds):
            for name, piece in found.items():
                began_ns = time.perf_counter_ns()
                piece()
                times[name].add(time.perf_counter_ns() - began_ns)
    finally:
        os.close(null)
    return {
        name: {"p50": one.quantile_ms(0.5), "p99": one.quantile_ms(0.99)}
        for name, one in times.items()
    }


def describe(times: Mapping[str, Json]) -> list[str]:
    """A table."""
    return [
        f"{name:28} p50 {figures['p50']:8.3f} ms   p99 {figures['p99']:8.3f} ms"
        for name, figures in times.items()
    ]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", default="1280x720", help="of the pictures")
    parser.add_argument("--rounds", type=int, default=200, help="measurements of each piece")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    width, height = CameraConfig.model_validate({"size": options.size}).size
    cv2.setNumThreads(1)
    times = measure(width - width % 2, height - height % 2, options.rounds)
    if options.json:
        print(json.dumps({"pieces_ms": times, "machine": machine_facts()}, indent=2))
        return
    print("\n".join(describe(times)))


if __name__ == "__main__":
    main()
