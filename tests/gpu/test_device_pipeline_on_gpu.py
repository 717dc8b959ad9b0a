"""The device pipeline on a real GPU against the processor's twins; ``REQUIRE_GPU=1`` demands one.

Networks are arithmetic in CuPy, so that nothing but CuPy is needed; one of them claims to be
capturable, as TensorRT's are, so that whole stages become graphs.
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
from realtime.device_slots import DeviceFace

_PARTS = Path(__file__).parents[1] / "realtime" / "device_parts.py"
_SPEC = util.spec_from_file_location("parts", _PARTS)
parts = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(parts)


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


class CupySwapper:
    """``device_parts.redrawn`` in CuPy, on the stream it is told."""

    place = "cuda"

    def __init__(self, inner, provider):
        self.inputs, self.outputs, self.provider = inner.inputs, inner.outputs, provider

    def enqueue(self, inputs, *, out, stream):
        import cupy

        with cupy.cuda.ExternalStream(stream):
            target, gain = inputs["target"], inputs["source"].sum()
            cupy.clip(target[:, ::-1] * gain, 0.0, 1.0, out=out["output"])

    def close(self):
        pass


def results(device, networks, size=parts.SIZE, num_frames=12, num_slots=3):
    pipeline = DevicePipeline(
        device, networks, [parts.person()], size, num_slots=num_slots, max_faces=2
    )
    found = []
    for frame in range(num_frames):
        if not pipeline.has_room:
            found.append(pipeline.wait_oldest())
        faces = [DeviceFace(0, parts.crop_at(frame))]
        if frame % 5:
            faces.append(DeviceFace(1, parts.crop_at(frame, 80.0)))
        pipeline.enqueue(parts.picture(frame, size), faces)
    while pipeline.num_in_flight:
        found.append(pipeline.wait_oldest())
    return found, pipeline


@pytest.mark.parametrize("size", [parts.SIZE, (641, 363)])
def test_a_gpu_gives_what_the_processor_gives(card, size):
    def wrap(session):
        # Its memory comes out of CuPy's own pool, so it is not captured.
        return CupySwapper(session, "cupy:CUDA")

    there, pipeline = results(card, parts.networks(wrap), size)
    here, _ = results(CpuDevice(), parts.networks(), size)
    assert pipeline.num_graphs > 0
    for ours, theirs in zip(there, here, strict=True):
        apart = np.abs(ours.image.astype(int) - theirs.image)
        assert apart.max() <= 14
        assert apart.mean() < 0.3
        assert ours.num_bad == theirs.num_bad


def test_a_gpu_takes_no_more_memory_once_it_runs(card):
    networks = parts.networks(lambda session: CupySwapper(session, "cupy:CUDA"))
    _, pipeline = results(card, networks, num_frames=12)
    used_bytes, images = card.used_bytes, [parts.picture(frame) for frame in range(4)]
    for frame in range(200):
        if not pipeline.has_room:
            pipeline.wait_oldest()
        pipeline.enqueue(images[frame % 4], [DeviceFace(0, parts.crop_at(frame % 40))])
    pipeline.wait_all()
    assert card.used_bytes == used_bytes
