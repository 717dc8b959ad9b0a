import os
from fractions import Fraction
from pathlib import Path

import pytest

from engines.models.library import ModelLibrary
from realtime.app import build_sinks, build_source, describe, num_lanes, spread, summary
from realtime.config import load_config
from realtime.contact_sheet import Moments, Tap
from realtime.job import Job
from realtime.pipeline import Report
from realtime.sinks.detached import Detached
from realtime.sinks.null import Null
from realtime.sinks.picture import PictureFile
from realtime.sinks.video import VideoFile as VideoSink
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.sources.camera import Camera
from realtime.sources.still import StillPicture
from realtime.sources.synthetic import SyntheticCamera
from realtime.sources.video import VideoFile as VideoSource


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


@pytest.mark.parametrize(
    ("lanes", "rate_hz", "live", "cores", "expected"),
    [
        ("auto", 30, False, 2, 2),
        ("auto", 30, False, 1, 1),
        ("auto", 30, True, 2, 1),
        ("auto", 60, True, 2, 2),
        ("auto", 60, True, 1, 1),
        (1, 60, False, 2, 1),
        (2, 30, True, 1, 2),
    ],
)
def test_lanes_follow_from_the_input_the_rate_and_the_cores(
    lanes: str | int,
    rate_hz: int,
    live: bool,
    cores: int,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    config = load_config(settings=[f"pipeline.lanes={lanes}", f"camera.rate_hz={rate_hz}"])
    assert num_lanes(config, live=live) == expected


def test_stages_keep_their_order_whatever_the_lanes():
    finding = tuple(Tap(name, lambda frame: None) for name in ("track", "align"))
    swapping = tuple(Tap(name, lambda frame: None) for name in ("swap", "mark"))
    moments = Moments([0])
    for lanes in (1, 2):
        spread_out = spread(finding, swapping, lanes, moments)
        assert len(spread_out) == lanes
        names = [stage.name for lane in spread_out for stage in lane]
        assert names == ["before", "track", "align", "swap", "mark"]
    assert spread(finding, swapping, 2, None) == (finding, swapping)


def test_a_run_is_described_in_a_few_words():
    both = job(camera="0", output="out.mp4", virtual_camera="")
    assert describe(both) == "camera 0 to out.mp4 and virtual camera"
    assert describe(job(input="a.mp4", discard=True)) == "a.mp4 to null"


def test_the_summary_counts_every_drop_and_shows_latency_of_live_runs_only():
    frames = {"delivered": 9, "dropped_stale": 1, "dropped_overrun": 2, "failed": 3}
    stats = {"frames": frames, "fps": 29.97, "latency_ms": {"p50": 9.0, "p99": 21.5}}
    report = Report("end", stats)
    assert summary(report, live=False) == "9 frames, 30.0 fps, 3 dropped, 3 failed"
    assert "latency 9.0 ms (p99 21.5 ms)" in summary(report, live=True)


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
