"""Media made for the tests, the face mesh, and a stand-in for a GPU."""

import shutil
from collections.abc import Callable, Mapping
from fractions import Fraction
from importlib import util
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cuda_kernels.device import CpuDevice
from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from engines.opener import open_exactly
from realtime import app, device_opening
from realtime.face_mesh import load_face_mesh
from realtime.face_zones import draw_zones
from realtime.skin_light import LightScale, SkinLight

TICKS_HZ = 90_000


def add_sound(container: Any, codec: str, seconds: float, rate_hz: int) -> Any:
    """Adds a sound stream and returns a function that writes a sine tone into it."""
    stream = container.add_stream(codec, rate=rate_hz, layout="mono")

    def write() -> None:
        form = stream.codec_context.format.name
        dtype = np.float32 if form.startswith("flt") else np.int16
        # Encoders of fixed frame length say it; the others take any.
        step = stream.codec_context.frame_size or 1024
        samples = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz) * 0.5
        if dtype is np.int16:
            samples = samples * 32767
        for start in range(0, len(samples), step):
            part = samples[start : start + step].astype(dtype)[None]
            frame = av.AudioFrame.from_ndarray(part, format=form, layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start
            frame.time_base = Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

    return write


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path_factory, monkeypatch):
    """Keys and consents of a test are its own and not those of whoever runs it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def write_video(tmp_path: Path) -> Callable[..., Path]:
    """Gives a function that writes BGR pictures into a video file and returns its path."""

    def write(
        name: str,
        pictures: list[Any],
        *,
        rate_hz: Fraction | int = 30,
        pts: list[int] | None = None,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        colorspace: int = 6,
        color_range: int = 1,
        rotation: int = 0,
        pixel_shape: Fraction | None = None,
        sound_s: float = 0,
        sound_codec: str = "aac",
        sound_rate_hz: int = 48_000,
    ) -> Path:
        path = tmp_path / name
        height, width = pictures[0].shape[:2]
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate_hz, options=options or {})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            context = stream.codec_context
            context.time_base = (
                Fraction(1, TICKS_HZ) if codec == "libx264" else 1 / Fraction(rate_hz)
            )
            context.colorspace, context.color_range = colorspace, color_range
            if pixel_shape is not None:
                context.sample_aspect_ratio = pixel_shape
            if rotation:
                stream.set_display_rotation(rotation)
            write_sound = sound_s and add_sound(container, sound_codec, sound_s, sound_rate_hz)
            for index, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame = frame.reformat(
                    format=pix_fmt,
                    dst_colorspace=colorspace if colorspace == 1 else 5,
                    src_color_range=2,
                    dst_color_range=color_range,
                    interpolation="BICUBIC",
                )
                frame.colorspace, frame.color_range = colorspace, color_range
                frame.pts = pts[index] if pts else round(index * TICKS_HZ / Fraction(rate_hz))
                frame.time_base = Fraction(1, TICKS_HZ)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if write_sound:
                write_sound()
        return path

    return write


@pytest.fixture(scope="session")
def library_with(tmp_path_factory):
    """Gives a function that makes a library of the face networks and further models.

    The function takes family and contents of each further model by its name.
    """

    def make(models: Mapping[str, tuple[str, bytes]]) -> ModelLibrary:
        cache = tmp_path_factory.mktemp("cache")
        own = ModelLibrary()
        own.pull((*FACE_NETWORKS, "face_mesh_connections", "portrait_astronaut"))
        for path in own.path("portrait_astronaut").parent.glob("*.*"):
            if path.is_file():
                shutil.copy(path, cache)
        library = ModelLibrary(cache, offline=True)
        for name, (family, model) in models.items():
            path = cache / "twin.onnx"
            path.write_bytes(model)
            library.import_file(path, family=family, name=name)
        return library

    return make


class StandIn:
    """The processor in the place of a GPU, for whole runs.

    Attributes:
        is_wanted: whether swaps are to be done on it.
        is_there: whether networks can be opened on it.
        opened: names of those that were.
    """

    def __init__(self):
        self.is_wanted = self.is_there = True
        self.opened = []

    def fault(self, config, library):
        return "" if self.is_wanted else None

    def open_network(self, model, crops, cache, seat, *, name, pixels, say):
        if not self.is_there:
            raise ModelError(f"{name}: a runtime for the GPU must be there, got none.")
        self.opened.append(name)
        return open_exactly(model, threads=1, name=name)


@pytest.fixture
def stand_in(monkeypatch):
    """A machine whose GPU is its processor."""
    gpu = StandIn()
    monkeypatch.setattr(app, "device_fault", gpu.fault)
    monkeypatch.setattr(device_opening, "CudaDevice", CpuDevice)
    monkeypatch.setattr(device_opening, "open_on_gpu", gpu.open_network)
    return gpu


@pytest.fixture(scope="session")
def mesh():
    """The mesh of the default landmark model; tests that use it are marked ``models``."""
    path = ModelLibrary().path("face_mesh_connections")
    return load_face_mesh(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def zones(mesh):
    return draw_zones(mesh)


@pytest.fixture(scope="session")
def light(mesh, zones):
    return SkinLight(mesh, zones, LightScale())


@pytest.fixture(scope="session")
def sitter(mesh, zones):
    """Draws people of known looks, poses and light."""
    spec = util.spec_from_file_location("sitter", Path(__file__).with_name("sitter.py"))
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Sitter(mesh, zones)
