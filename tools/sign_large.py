"""Whether a large film is signed in bounded memory: ``python -m tools.sign_large --mb 1000``.

A real film of that size is written (noise in H.264, its packets repeated, so that this takes
seconds), sealed as the engine seals its outputs, and checked as ``rt-swap verify`` does. What
counts is the peak of the process's memory beside the size of the file. Returns 1 where the film
is not found whole and signed.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from realtime.machine import resident_bytes
from realtime.metrics import Json
from realtime.provenance.keys import KeyFolder
from realtime.provenance.run_record import NO_LABEL, RunRecord, draw_session
from realtime.provenance.seal import Seal
from realtime.provenance.verify import Findings, verify_file

MB_BYTES = 1_000_000
SIZE = (1280, 720)
RATE_HZ = 30
NUM_PICTURES = 8
"""Pictures that are really encoded; each can be decoded by itself."""

_KB_BYTES = 1024
"""Unit in which Linux tells the peak of memory; macOS tells bytes."""


def write_film(path: Path, num_bytes: int) -> None:
    """Writes an MP4 file of at least so many bytes that every player can read.

    Args:
        path: written over.
        num_bytes: a packet more at most, and the index.
    """
    rng = np.random.default_rng(0)
    options = {"qp": "0", "preset": "ultrafast", "g": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        packets = []
        for _ in range(NUM_PICTURES):
            picture = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24"))
        packets += stream.encode()
        contents = [bytes(packet) for packet in packets]
        written, number = 0, 0
        while written < num_bytes:
            packet = av.Packet(contents[number % len(contents)])
            packet.stream, packet.time_base = stream, Fraction(1, RATE_HZ)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            written, number = written + packet.size, number + 1
            container.mux(packet)


def measure(folder: Path, num_bytes: int) -> tuple[Json, Findings]:
    """Writes, seals and checks one film.

    Args:
        folder: for the film, its copy and the keys; needs room for twice its size.
        num_bytes: of the film.

    Returns:
        ``film_mb``, ``before_mb``, ``peak_mb``, ``seal_s``, ``verify_s`` and ``c2pa``, and what was
        found in the film.

    Raises:
        SinkError: it cannot be sealed.
    """
    film = folder / "film.mp4"
    write_film(film, num_bytes)
    keys = KeyFolder(folder / "keys")
    record = RunRecord(session=draw_session(), label=NO_LABEL, strength="standard")
    seal = Seal(record, None, keys)
    seal.open()
    before_bytes, began_s = resident_bytes(), time.monotonic()
    seal.finish(film, film)
    sealed_s = time.monotonic()
    findings = verify_file(film, keys)
    figures = {
        "film_mb": round(film.stat().st_size / MB_BYTES, 1),
        "before_mb": round(before_bytes / MB_BYTES, 1),
        "peak_mb": round(peak_bytes() / MB_BYTES, 1),
        "seal_s": round(sealed_s - began_s, 2),
        "verify_s": round(time.monotonic() - sealed_s, 2),
        "c2pa": findings.c2pa.state,
        "sidecar": findings.sidecar.state,
    }
    return figures, findings


def peak_bytes() -> int:
    """The most memory that this process has ever occupied at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KB_BYTES


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="Whether a large film is signed in little memory.")
    parser.add_argument("--mb", type=int, default=1000, help="size of the film")
    parser.add_argument("--folder", type=Path, help="where there is room for it twice")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rt-swap-", dir=options.folder) as folder:
        figures, findings = measure(Path(folder), options.mb * MB_BYTES)
    print(json.dumps(figures, indent=2))
    return 0 if (findings.c2pa.state, findings.sidecar.state) == ("trusted", "own") else 1


if __name__ == "__main__":
    sys.exit(main())
