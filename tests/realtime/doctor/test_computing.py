from types import SimpleNamespace

import pytest

from engines.choose import Runtime
from engines.errors import ModelError
from realtime.doctor.computing import (
    check_gpu,
    check_inference,
    check_models,
    check_processor,
    cpu_flags,
    run_trial,
)
from realtime.doctor.finding import Level

MODERN = frozenset({"avx2", "fma", "sse2"})


def test_the_instruction_sets_are_read_from_the_kernel(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\n")
    assert cpu_flags(path) == {"fpu", "avx2", "amx_bf16"}
    assert cpu_flags(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("flags", "cores", "machine", "level"),
    [
        (MODERN, 2, "x86_64", Level.OK),
        (frozenset({"sse2"}), 8, "x86_64", Level.WARNING),
        (MODERN, 1, "x86_64", Level.WARNING),
        (frozenset({"asimd"}), 4, "aarch64", Level.OK),
        (None, 4, "AMD64", Level.OK),
    ],
)
def test_a_slow_processor_is_warned_of(flags, cores, machine, level):
    (finding,) = check_processor(flags, num_cores=cores, machine=machine)
    assert finding.level is level
    assert "sse2" not in finding.details


RUNTIMES = (
    Runtime("tensorrt", "cuda", "no NVIDIA GPU with a driver"),
    Runtime("onnxruntime:CPU", "cpu", ""),
)


def test_no_gpu_is_fine_and_each_runtime_says_whether_it_can_be_used(tmp_path):
    gpu, tensorrt, cpu = check_gpu(RUNTIMES, None, driver=tmp_path / "none")
    assert (gpu.level, tensorrt.level) == (Level.OK, Level.OK)
    assert "cannot be used: no NVIDIA GPU" in tensorrt.text
    assert cpu.text == "can be used"


def test_a_gpu_is_told_with_its_driver(tmp_path):
    driver = tmp_path / "version"
    driver.write_text("NVRM version: 580.65\nGCC version\n")
    gpu = next(iter(check_gpu(RUNTIMES, (8, 9), driver=driver)))
    assert gpu.text == "compute capability 8.9 NVRM version: 580.65"


def test_a_driver_without_a_gpu_is_warned_of(tmp_path):
    driver = tmp_path / "version"
    driver.write_text("NVRM version: 580.65\n")
    gpu = next(iter(check_gpu(RUNTIMES, None, driver=driver)))
    assert gpu.level is Level.WARNING
    assert "nvidia-smi" in gpu.cure


def test_a_network_really_runs_here():
    provider, values = run_trial()
    assert provider == "onnxruntime:CPU"
    assert values == [0.0, 0.0, 2.5]
    (finding,) = check_inference()
    assert (finding.level, provider in finding.text) == (Level.OK, True)


def test_wrong_numbers_are_a_problem():
    (finding,) = check_inference(lambda: ("cpu", [0.0, 0.0, float("nan")]))
    assert finding.level is Level.PROBLEM
    assert "got 0.0, 0.0, nan" in finding.text


class Library:
    """Models by name: ``None`` missing, False damaged, True whole."""

    def __init__(self, **models):
        self.models = models

    def list(self):
        return [
            SimpleNamespace(name=name, is_cached=state is not None)
            for name, state in self.models.items()
        ]

    def sha256(self, name):
        if not self.models[name]:
            raise ModelError(f"{name}: other hash.")
        return "0"


def test_models_that_are_whole_are_counted():
    (finding,) = check_models(Library(mesh=True, hand=True, other=None), ["mesh", "hand"])
    assert (finding.level, finding.details) == (Level.OK, ("mesh", "hand"))


def test_a_missing_model_is_a_problem_with_its_command():
    finding = next(iter(check_models(Library(mesh=None, hand=True), ["mesh", "hand"])))
    assert (finding.level, finding.cure) == (Level.PROBLEM, "Run: rt-swap models pull")
    assert "mesh" in finding.text


def test_a_damaged_model_is_a_problem_only_where_it_is_needed():
    needed, spare, whole = check_models(Library(mesh=False, extra=False, hand=True), ["mesh"])
    assert (needed.level, spare.level, whole.level) == (
        Level.PROBLEM,
        Level.WARNING,
        Level.OK,
    )
    assert needed.cure == "Run: rt-swap models pull mesh"
    assert spare.cure == "Run: rt-swap models remove extra"
    assert whole.details == ("hand",)
