"""The same film swapped the device's way and the processor's: what is seen must be about alike.

The processor stands for the device here, whose kernels are held to their twins elsewhere.
"""

import threading
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from onnx import numpy_helper

from realtime.app import build_plan
from realtime.config import load_config
from realtime.contact_sheet import Moments
from realtime.job import synthetic_job
from realtime.pipeline import Pipeline
from realtime.stages.device_swap import DeviceSwap

pytestmark = pytest.mark.models

SECONDS, RATE_HZ = 0.8, 30
SETTLED = 10
"""Frames after which what is followed slowly is there."""


def mirrored(twins):
    """A swapper that turns a face around, tints it, and draws grain that no camera has shown."""
    g = twins.Graph()
    grain = np.random.default_rng(3).normal(0, 0.06, (1, 3, 128, 128)).astype(np.float32)
    ends = (g.constant(np.array([n])) for n in (-1, -(1 << 30), 3, -1))
    turned = g.node("Slice", "target", *ends)
    tint = g.constant(np.array([0.9, 0.95, 1.0], np.float32).reshape(1, 3, 1, 1))
    drawn = g.node("Add", g.node("Mul", turned, tint), g.constant(grain))
    mean = g.node("ReduceMean", "source", axes=[1], keepdims=1)
    none = g.node("Mul", mean, g.constant(np.array(0.0, np.float32)))
    nothing = g.node("Reshape", none, g.constant(np.array([1, 1, 1, 1])))
    g.node("Add", drawn, nothing, name="output")
    g.constants.append(numpy_helper.from_array(twins.emap_matrix(), "buff2fs"))
    inputs = [("target", [1, 3, 128, 128]), ("source", [1, 512])]
    return g.model(inputs, [("output", [1, 3, 128, 128])])


@pytest.fixture(scope="module")
def library(twins, library_with):
    return library_with(
        {"turned": ("inswapper", mirrored(twins)), "arc_twin": ("arcface", twins.recogniser())}
    )


def film(library, stand_in, *more, on_device):
    """Pictures before and after, from when all is settled on."""
    stand_in.is_wanted = on_device
    settings = ["neural.recogniser=arc_twin", "camera.size=320x240", f"camera.rate_hz={RATE_HZ}"]
    config = load_config(settings=[*settings, *more], flags={"swapper": "turned"})
    job = replace(synthetic_job(SECONDS), show_label=False)
    number = round(SECONDS * RATE_HZ)
    moments = Moments([frame * 1_000_000_000 // RATE_HZ for frame in range(number)])
    plan = build_plan(job, config, library, moments, say=lambda line: None)
    assert any(isinstance(stage, DeviceSwap) for lane in plan.lanes for stage in lane) == on_device
    Pipeline(plan).run(stop=threading.Event(), for_ns=round(SECONDS * 1e9))
    assert len(moments.pairs) == number
    return moments.pairs[SETTLED:]


def grey(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)


def detail(image, inside):
    fine = grey(image) - cv2.GaussianBlur(grey(image), (5, 5), 1.0)
    return float(np.abs(fine)[inside].mean())


def trembling(pairs, inside):
    """How much the change from picture to picture differs from that of the camera's."""
    added = [grey(after) - grey(before) for before, after in pairs]
    return float(np.mean([np.abs(b - a)[inside].mean() for a, b in pairwise(added)]))


@pytest.mark.parametrize("more", [(), ("restore.model=lite", "restore.strength=0.7")])
def test_a_film_looks_alike_whichever_way_it_is_swapped(library, stand_in, more):
    here, there = (
        film(library, stand_in, *more, on_device=on_device) for on_device in (False, True)
    )
    changed = np.mean(
        [np.abs(after.astype(int) - before).max(axis=2) for before, after in here], axis=0
    )
    inside = cv2.erode((changed > 4).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert inside.sum() > 1500
    swapped, apart = (
        np.mean([np.abs(a.astype(int) - b)[inside].mean() for a, b in both])
        for both in (
            here,
            [(one[1], other[1]) for one, other in zip(here, there, strict=True)],
        )
    )
    details = [np.mean([detail(after, inside) for _, after in pairs]) for pairs in (here, there)]
    tremblings = [trembling(pairs, inside) for pairs in (here, there)]
    assert apart < 0.4 * swapped
    assert details[1] == pytest.approx(details[0], rel=0.2)
    assert tremblings[1] == pytest.approx(tremblings[0], rel=0.15)
