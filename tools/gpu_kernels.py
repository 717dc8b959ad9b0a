"""How fast each kernel is, as a share of a plain copy of as many bytes on the same device."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cuda_kernels.device import Device
from tools.gpu_cases import Room, Size, picture_cases
from tools.gpu_face_cases import face_cases

Json = dict[str, Any]

_REPEATS = 20
_ROUNDS = 5


def measure_kernels(device: Device, picture: Size, face: Size, repeats: int = _REPEATS) -> Json:
    """Times every kernel and a copy of as many bytes.

    Args:
        device: runs them.
        picture: of those that work on whole pictures.
        face: of those that work on a face.
        repeats: runs that are timed together.

    Returns:
        ``copy_gb_s`` of the picture, and for each of ``kernels`` its ``name, size, ms, gb_s,
        share_of_copy, memory_bound``.
    """
    stream = device.new_stream()
    launcher = device.launcher(stream)
    room = Room(device)
    cases = [*picture_cases(room, picture, launcher), *face_cases(room, face, launcher)]
    found, copies = [], dict[int, float]()

    def copy_rate(num_bytes: int) -> float:
        if num_bytes not in copies:
            source = device.zeros((num_bytes // 2,), np.uint8)
            target = device.zeros((num_bytes // 2,), np.uint8)
            device.settle()
            work = lambda: device.copy(source, out=target, stream=stream)  # noqa: E731
            copies[num_bytes] = num_bytes / time_ms(device, stream, work, repeats) / 1e6
            device.unsettle()
        return copies[num_bytes]

    device.settle()
    timed = [(case, time_ms(device, stream, case.work, repeats)) for case in cases]
    device.unsettle()
    for case, ms in timed:
        rate = case.num_bytes / ms / 1e6
        found.append(
            {
                "name": case.name,
                "bytes": case.num_bytes,
                "ms": ms,
                "gb_s": rate,
                "share_of_copy": rate / copy_rate(case.num_bytes),
                "memory_bound": case.is_memory_bound,
            }
        )
    return {
        "picture": list(picture),
        "face": list(face),
        "copy_gb_s": copy_rate(2 * 3 * picture[0] * picture[1]),
        "kernels": found,
    }


def time_ms(device: Device, stream: Any, work: Callable[[], None], repeats: int) -> float:
    """The least time of one run, of many that are queued as one graph."""

    def all_of_it() -> None:
        for _ in range(repeats):
            work()

    work()
    graph = device.capture(all_of_it, stream=stream)
    graph.launch(stream)
    times = []
    for _ in range(_ROUNDS if device.place == "cuda" else 1):
        begin, end = (device.new_event(timed=True) for _ in range(2))
        begin.record(stream)
        graph.launch(stream)
        end.record(stream)
        end.synchronize()
        times.append(device.elapsed_ms(begin, end) / repeats)
    return max(min(times), 1e-6)
