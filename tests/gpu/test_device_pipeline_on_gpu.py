"""The device pipeline on a real GPU against the processor's twins; ``REQUIRE_GPU=1`` demands one.

Networks are arithmetic, so that nothing but CuPy is needed. One of them is a kernel that claims to
be capturable, as TensorRT's plans are, so that whole stages become graphs; the others are computed
in main memory meanwhile.
"""

import os
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from cuda_kernels.cupy_stream import CudaDevice
from cuda_kernels.device import CpuDevice
from cuda_kernels.errors import GpuError
from realtime.device_pipeline import DevicePipeline
from realtime.device_settings import DeviceSettings
from realtime.device_slots import DeviceFace

_PARTS = Path(__file__).parents[1] / "realtime" / "device_parts.py"
_SPEC = util.spec_from_file_location("parts", _PARTS)
parts = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(parts)

REDRAW = """
extern "C" __global__ void redraw(const float* target, const float* source, int num_source,
                                  float* out, int area) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= 3 * area) return;
    float gain = 0.0f;
    for (int n = 0; n < num_source; n++) gain += source[n];
    float value = target[(2 - index / area) * area + index % area] * gain;
    out[index] = fminf(fmaxf(value, 0.0f), 1.0f);
}
"""


@pytest.fixture
def card():
    try:
        device = CudaDevice()
    except GpuError as error:
        if os.environ.get("REQUIRE_GPU") == "1":
            pytest.fail(f"REQUIRE_GPU=1, but: {error}")
        pytest.skip(str(error))
    yield device
    device.close()


class KernelSwapper:
    """``device_parts.redrawn`` as one kernel, which takes no memory and waits for nothing."""

    place, provider = "cuda", "tensorrt:CUDA"

    def __init__(self, inner):
        import cupy

        self.inputs, self.outputs = inner.inputs, inner.outputs
        self._cupy, self._kernel = cupy, cupy.RawKernel(REDRAW, "redraw")

    def enqueue(self, inputs, *, out, stream):
        target, source = inputs["target"], inputs["source"]
        area = target.shape[2] * target.shape[3]
        with self._cupy.cuda.ExternalStream(stream):
            given = (target, source, np.int32(source.size), out["output"], np.int32(area))
            self._kernel((-(-3 * area // 256), 1, 1), (256, 1, 1), given)

    def close(self):
        pass


class HostedNetwork:
    """A network of the processor between copies; it waits, so it cannot be captured."""

    place, provider = "cuda", "hosted:CUDA"

    def __init__(self, inner):
        self._inner = inner
        self.inputs, self.outputs = inner.inputs, inner.outputs

    def enqueue(self, inputs, *, out, stream):
        import cupy

        with cupy.cuda.ExternalStream(stream) as own:
            given = {name: array.get() for name, array in inputs.items()}
            wanted = {name: np.zeros(array.shape, array.dtype) for name, array in out.items()}
            self._inner.enqueue(given, out=wanted, stream=0)
            for name, array in wanted.items():
                out[name].set(array)
            own.synchronize()

    def close(self):
        pass


def on_gpu(session):
    is_swapper = any(spec.name == "target" for spec in session.inputs)
    return KernelSwapper(session) if is_swapper else HostedNetwork(session)


def two_that_come_and_go(frame):
    faces = [DeviceFace(0, parts.crop_at(frame))]
    if frame % 5:
        faces.append(DeviceFace(1, parts.crop_at(frame, 80.0)))
    return faces


def results(
    device,
    networks,
    size=parts.SIZE,
    num_frames=12,
    *,
    num_slots=3,
    settings=None,
    faces=two_that_come_and_go,
    given=lambda image: image,
):
    pipeline = DevicePipeline(
        device,
        networks,
        [parts.person()],
        size,
        num_slots=num_slots,
        max_faces=2,
        settings=settings,
    )
    found = []
    for frame in range(num_frames):
        if not pipeline.has_room:
            found.append(pipeline.wait_oldest())
        pipeline.enqueue(given(parts.picture(frame, size)), faces(frame))
    while pipeline.num_in_flight:
        found.append(pipeline.wait_oldest())
    return found, pipeline


def expect_alike(there, here):
    for ours, theirs in zip(there, here, strict=True):
        image = ours.image if isinstance(ours.image, np.ndarray) else ours.image.get()
        apart = np.abs(image.astype(int) - theirs.image)
        assert apart.max() <= 14
        assert apart.mean() < 0.3
        assert ours.num_bad == theirs.num_bad
        np.testing.assert_allclose(ours.found, theirs.found, atol=1e-2)


@pytest.mark.parametrize("rim", ["feather", "multiband", "poisson"])
@pytest.mark.parametrize("size", [parts.SIZE, (641, 363)])
def test_a_gpu_gives_what_the_processor_gives(card, size, rim):
    settings = DeviceSettings(rim=rim)
    there, pipeline = results(card, parts.networks(on_gpu), size, settings=settings)
    here, _ = results(CpuDevice(), parts.networks(), size, settings=settings)
    assert pipeline.num_graphs > 0
    expect_alike(there, here)


@pytest.mark.parametrize("is_followed", [False, True])
def test_a_gpu_with_a_detector_and_an_enlarger_does_so_too(card, is_followed):
    def faces(frame):
        return [DeviceFace(0, None if is_followed else parts.crop_at(frame))]

    kinds = {"detect": True, "enlarge": True}
    there, _ = results(card, parts.networks(on_gpu, **kinds), faces=faces)
    here, _ = results(CpuDevice(), parts.networks(**kinds), faces=faces)
    expect_alike(there, here)


def test_another_size_is_captured_anew(card):
    _, pipeline = results(card, parts.networks(on_gpu))
    before = pipeline.num_graphs
    assert before > 0
    pipeline.resize((96, 88))
    assert pipeline.num_graphs == 0
    other, _ = results(CpuDevice(), parts.networks(), (96, 88), num_slots=3)
    found = []
    for frame in range(12):
        if not pipeline.has_room:
            found.append(pipeline.wait_oldest())
        pipeline.enqueue(parts.picture(frame, (96, 88)), two_that_come_and_go(frame))
    while pipeline.num_in_flight:
        found.append(pipeline.wait_oldest())
    expect_alike(found, other)
    assert pipeline.num_graphs == before


def test_pictures_that_lie_on_the_gpu_are_taken_from_cupy_and_from_torch(card):
    import cupy

    def put(image):
        array = cupy.asarray(image)
        cupy.cuda.get_current_stream().synchronize()
        return array

    here, _ = results(CpuDevice(), parts.networks())
    there, _ = results(card, parts.networks(on_gpu), given=put)
    expect_alike(there, here)
    torch = pytest.importorskip("torch")

    class OnlyDlpack:
        def __init__(self, image):
            self.tensor = torch.from_numpy(image).cuda()
            self.shape = self.tensor.shape

        def __dlpack__(self, **more):
            return self.tensor.__dlpack__(**more)

        def __dlpack_device__(self):
            return self.tensor.__dlpack_device__()

    for lay in (lambda image: torch.from_numpy(image).cuda(), OnlyDlpack):
        there, _ = results(card, parts.networks(on_gpu), given=lay)
        torch.cuda.synchronize()
        expect_alike(there, here)


def test_pictures_that_are_pinned_already_are_taken_all_the_same(card):
    import cupy

    held = []

    def pinned_in_part(picture):
        address = picture.ctypes.data
        cupy.cuda.runtime.hostRegister(address, picture.nbytes // 2, 0)
        held.append(picture)
        return picture

    here, _ = results(CpuDevice(), parts.networks(), num_frames=4)
    there, _ = results(card, parts.networks(on_gpu), num_frames=4, given=pinned_in_part)
    for picture in held:
        cupy.cuda.runtime.hostUnregister(picture.ctypes.data)
    expect_alike(there, here)


def test_a_gpu_takes_no_more_memory_once_it_runs(card):
    _, pipeline = results(card, parts.networks(on_gpu))
    used_bytes, images = card.used_bytes, [parts.picture(frame) for frame in range(4)]
    for frame in range(200):
        if not pipeline.has_room:
            pipeline.wait_oldest()
        pipeline.enqueue(images[frame % 4], [DeviceFace(0, parts.crop_at(frame % 40))])
    pipeline.wait_all()
    assert card.used_bytes == used_bytes


def test_a_card_can_be_opened_again_after_it_was_closed(card):
    results(card, parts.networks(on_gpu), num_frames=4)
    card.close()
    other = CudaDevice()
    there, _ = results(other, parts.networks(on_gpu), num_frames=4)
    here, _ = results(CpuDevice(), parts.networks(), num_frames=4)
    expect_alike(there, here)
    other.close()
