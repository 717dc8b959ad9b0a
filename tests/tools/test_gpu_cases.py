"""Every kernel is measured."""

import importlib
from importlib import resources

import pytest

from cuda_kernels.device import CpuDevice
from tools.gpu_cases import Room, picture_cases
from tools.gpu_face_cases import face_cases

SOURCES = sorted(
    entry.name.removesuffix(".cu")
    for entry in resources.files("cuda_kernels").joinpath("src").iterdir()
    if entry.name.endswith(".cu")
)


@pytest.fixture(scope="module")
def cases():
    room = Room(CpuDevice())
    return [*picture_cases(room, (61, 83), None), *face_cases(room, (64, 64), None)]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_a_module_of_its_name_and_a_function_that_is_measured(cases, source):
    module = importlib.import_module(f"cuda_kernels.{source}")
    public = {name for name, value in vars(module).items() if callable(value) and name[0] != "_"}
    assert public & {case.name for case in cases}


def test_every_case_does_its_work_and_touches_something(cases):
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    for case in cases:
        case.work()
        assert case.num_bytes > 0
