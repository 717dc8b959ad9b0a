"""Whole runs with a swapping network: the slow path degrades, it does not break."""

import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from engines.fake import FakeGpuSession, FakeMemory, FakeSession
from engines.hosted import open_hosted
from engines.models.library import ModelLibrary
from engines.onnxruntime import OnnxRuntimeSession
from engines.opener import open_exactly
from engines.switching import SwitchingSession
from realtime.app import build_plan
from realtime.config import load_config
from realtime.job import synthetic_job
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
    job = replace(synthetic_job(seconds), unpaced=unpaced)
    pipeline = Pipeline(build_plan(job, config, library))
    for_ns = round(seconds * 1e9)
    return pipeline.run(stop=threading.Event(), for_ns=for_ns)


def test_every_picture_of_a_film_is_swapped_and_none_fails(library):
    report = run(library, "quick", unpaced=True, seconds=0.5)
    frames = report.stats["frames"]
    assert frames["captured"] == frames["delivered"] == round(0.5 * Fraction(30))
    assert frames["failed"] == 0
    assert report.stats["stages"]["swap"]["worked_ms"]["p50"] > 0


class GoesOver:
    """Opens what may be inexact so that it goes over to a GPU made of main memory in the run.

    Attributes:
        sessions: those opened.
    """

    def __init__(self, after_calls):
        self.sessions = []
        self._after_calls = after_calls

    def __call__(self, model, *, threads, name, exact, pixels):
        first = open_exactly(model, threads=threads, name=name)
        if exact:
            return first
        enough, memory = threading.Event(), FakeMemory()
        counted = FakeSession(first.inputs, first.outputs, self._computing(first, enough))

        def prepare(_is_wanted):
            assert enough.wait(20.0)
            inner = OnnxRuntimeSession(model, name=name)
            compute = self._computing(inner, threading.Event())
            fake = FakeSession(inner.inputs, inner.outputs, compute)
            return open_hosted(lambda _: FakeGpuSession(fake, memory), take_memory=lambda: memory)

        self.sessions.append(SwitchingSession(counted, prepare, name=name))
        return self.sessions[-1]

    def _computing(self, session, enough):
        calls = []

        def compute(arrays):
            calls.append(1)
            if len(calls) == self._after_calls:
                enough.set()
            out = {
                spec.name: np.empty([max(n, 1) for n in spec.shape], spec.dtype)
                for spec in session.outputs
            }
            session.enqueue(arrays, out=out, stream=0)
            return out

        return compute


def test_a_network_goes_over_to_the_gpu_in_a_run_and_no_picture_is_lost(library):
    opener = GoesOver(after_calls=3)
    cache = library.path("portrait_astronaut").parent
    own = ModelLibrary(cache, offline=True, open_network=opener)
    report = run(own, "quick", unpaced=True, seconds=2.0, size="320x240")
    frames = report.stats["frames"]
    assert frames["captured"] == frames["delivered"] == 60
    assert frames["failed"] == frames["dropped_stale"] == frames["dropped_overrun"] == 0
    assert [session.provider for session in opener.sessions] == ["fake:CUDA"]


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
