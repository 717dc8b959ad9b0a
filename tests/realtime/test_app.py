from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from engines.models.library import ModelLibrary
from realtime.app import build_sinks, build_source, build_swapping
from realtime.config import load_config
from realtime.job import Job
from realtime.sinks.detached import Detached
from realtime.sinks.null import Null
from realtime.sinks.picture import PictureFile
from realtime.sinks.video import VideoFile as VideoSink
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.sources.camera import Camera
from realtime.sources.enlarged import EnlargedSource
from realtime.sources.still import StillPicture
from realtime.sources.synthetic import SyntheticCamera
from realtime.sources.video import VideoFile as VideoSource
from realtime.stages.restore import Restore, Restorers


def job(
    camera: str | None = None,
    input: str | None = None,
    output: str | None = None,
    virtual_camera: str | None = None,
    discard: bool = False,
    seconds: float | None = None,
) -> Job:
    return Job(
        camera=camera,
        input=Path(input) if input else None,
        faces=(),
        output=Path(output) if output else None,
        discard=discard,
        virtual_camera=virtual_camera,
        seconds=seconds,
    )


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (job(camera="0", virtual_camera=""), [VirtualCamera]),
        (job(camera="0", output="out.mp4"), [VideoSink]),
        (
            job(camera="0", output="out.mp4", virtual_camera="/dev/video9"),
            [VirtualCamera, Detached],
        ),
        (job(input="a.png", output="b.jpg"), [PictureFile]),
        (job(input="a.mp4", discard=True), [Null]),
    ],
)
def test_every_output_that_was_asked_for_is_built(asked: Job, kinds: list[type]):
    assert [type(sink) for sink in build_sinks(asked, load_config())] == kinds


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (job(camera="0", virtual_camera=""), Camera),
        (job(camera="/dev/video3", virtual_camera=""), Camera),
        (job(input="a.mp4", output="b.mp4"), VideoSource),
        (job(input="a.mp4", virtual_camera=""), VideoSource),
        (job(input="a.PNG", output="b.mp4"), StillPicture),
    ],
)
def test_the_source_follows_from_the_input(asked: Job, kind: type, tmp_path: Path):
    library = ModelLibrary(tmp_path, offline=True)
    source = build_source(asked, load_config(), library, library.session)
    assert type(source) is kind


@pytest.mark.models
def test_the_synthetic_camera_is_a_camera_of_that_name():
    library = ModelLibrary()
    asked = job(camera="synthetic", discard=True)
    source = build_source(asked, load_config(), library, library.session)
    assert type(source) is SyntheticCamera


def test_a_file_s_pictures_become_larger_where_that_is_asked_for():
    library = ModelLibrary(Path(), offline=True)
    for name in ("a.mp4", "a.png"):
        asked = replace(job(input=name, output="b.mp4"), upscale=True)
        source = build_source(asked, load_config(), library, library.session)
        assert type(source) is EnlargedSource


def test_faces_are_restored_after_they_are_fused_and_before_they_are_laid_over_the_picture():
    library = ModelLibrary(Path(), offline=True)

    def names(*settings: str) -> list[str]:
        config = load_config(settings=settings)
        swap = Restore(config.restore, lambda: nullcontext(Restorers()))
        return [stage.name for stage in build_swapping(config, library, swap)][1:]

    assert names("restore.model=lite") == ["match", "blend", "fuse", "restore", "composite"]
    assert names("restore=full", "fuse.enabled=false") == ["match", "blend", "restore", "composite"]
    assert names() == ["match", "blend", "fuse", "composite"]


def test_a_still_picture_is_as_long_as_asked():
    config = load_config(settings=["output.rate_hz=10"])
    library = ModelLibrary(Path(), offline=True)
    for asked, count in [
        (job(input="a.png", output="b.mp4", seconds=2.0), 20),
        (job(input="a.png", output="b.mp4"), 50),
        (job(input="a.png", output="b.png"), 1),
        (job(input="a.png", virtual_camera=""), None),
    ]:
        source = build_source(asked, config, library, library.session)
        assert isinstance(source, StillPicture)
        assert source._num_frames == count
        assert source._rate_hz == Fraction(10)
