"""Whole runs with a swapping network: the slow path degrades, it does not break."""

import threading
from fractions import Fraction

import pytest

from realtime.app import build_plan
from realtime.config import load_config
from realtime.job import Job
from realtime.machine import resident_bytes
from realtime.pipeline import Pipeline

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def library(twins, library_with):
    """The face networks, and swappers of the published architecture with fewer channels."""
    return library_with(
        {
            "quick": ("inswapper", twins.published_swapper((8, 8, 16, 16), blocks=1)),
            "slow": ("inswapper", twins.published_swapper((32, 64, 128, 128), blocks=2)),
            "arc_twin": ("arcface", twins.recogniser()),
        }
    )


def run(library, swapper, *, unpaced, seconds, size="640x480", rate_hz=30):
    """Runs the synthetic camera through a swapper; returns the report."""
    camera = [f"camera.size={size}", f"camera.rate_hz={rate_hz}"]
    config = load_config(
        settings=["neural.recogniser=arc_twin", *camera],
        flags={"swapper": swapper},
    )
    job = Job(
        camera="synthetic",
        input=None,
        faces=(),
        output=None,
        discard=True,
        virtual_camera=None,
        seconds=seconds,
        unpaced=unpaced,
    )
    pipeline = Pipeline(build_plan(job, config, library))
    for_ns = round(seconds * 1e9)
    return pipeline.run(stop=threading.Event(), for_ns=for_ns)


def test_every_picture_of_a_film_is_swapped_and_none_fails(library):
    report = run(library, "quick", unpaced=True, seconds=0.5)
    frames = report.stats["frames"]
    assert frames["captured"] == frames["delivered"] == round(0.5 * Fraction(30))
    assert frames["failed"] == 0
    assert report.stats["stages"]["swap"]["worked_ms"]["p50"] > 0


def test_a_network_too_slow_for_the_camera_drops_pictures_and_stays_current(library):
    report = run(library, "slow", unpaced=False, seconds=2.5, rate_hz=60)
    frames, latency = report.stats["frames"], report.stats["latency_ms"]
    ends = ("delivered", "dropped_stale", "dropped_overrun", "failed")
    assert frames["captured"] == sum(frames[end] for end in ends)
    assert frames["delivered"] > 3
    assert frames["failed"] == 0
    dropped = frames["dropped_stale"] + frames["dropped_overrun"]
    assert dropped > frames["delivered"]
    swap_ms = report.stats["stages"]["swap"]["worked_ms"]["p50"]
    assert swap_ms > 2 * 1000 / 60
    # One picture in the network, one that waits for it; the rest is margin for a loaded machine.
    assert latency["p50"] < 4 * swap_ms


def test_memory_does_not_grow_with_the_length_of_a_run(library):
    run(library, "quick", unpaced=True, seconds=1.0, size="320x240")
    before = resident_bytes()
    run(library, "quick", unpaced=True, seconds=4.0, size="320x240")
    assert resident_bytes() - before < 30e6
