"""Every kernel is measured."""

from importlib import resources

import pytest

from cuda_kernels.device import CpuDevice
from cuda_kernels.source import kernels_of, read_source
from tools.gpu_cases import Room, picture_cases
from tools.gpu_face_cases import face_cases

SOURCES = sorted(
    entry.name.removesuffix(".cu")
    for entry in resources.files("cuda_kernels").joinpath("src").iterdir()
    if entry.name.endswith(".cu")
)

BY_ANOTHER = {"levels_from_half": "levels_from_float", "letterbox_half": "letterbox_float"}
"""The same kernel for 16 bits."""


class Noting:
    """A stream that keeps the names of the kernels that are launched on it."""

    def __init__(self):
        self.launched = set()

    def launch(self, source, kernel, arguments, *, extent, block=None):
        self.launched.add((source, kernel))


@pytest.fixture(scope="module")
def cases():
    room = Room(CpuDevice())
    return [*picture_cases(room, (61, 83), None), *face_cases(room, (64, 64), None)]


@pytest.fixture(scope="module")
def launched():
    stream, room = Noting(), Room(CpuDevice())
    for case in (*picture_cases(room, (61, 83), stream), *face_cases(room, (64, 64), stream)):
        case.work()
    return stream.launched


@pytest.mark.parametrize("source", SOURCES)
def test_every_kernel_of_every_source_is_measured(launched, source):
    kernels = {BY_ANOTHER.get(name, name) for name in kernels_of(read_source(source))}
    assert kernels == {kernel for name, kernel in launched if name == source}


def test_every_case_does_its_work_and_touches_something(cases):
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    for case in cases:
        case.work()
        assert case.num_bytes > 0
