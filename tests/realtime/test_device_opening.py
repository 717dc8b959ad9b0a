"""When the swap is done on a GPU as a whole, and whole runs of it with the processor as the GPU."""

import threading
from fractions import Fraction
from types import SimpleNamespace

import pytest

from engines.models.catalogue import bundled_catalogue
from realtime import device_opening
from realtime.app import build_plan
from realtime.config import load_config
from realtime.device_opening import _times_for, device_fault
from realtime.frame import PictureSpec
from realtime.job import synthetic_job
from realtime.pipeline import Pipeline
from realtime.stages.device_swap import DeviceSwap

FAMILIES = bundled_catalogue().families


@pytest.fixture
def card(monkeypatch):
    """A machine with a GPU and CuPy, and a library of one swapper of some family."""
    monkeypatch.setattr(device_opening, "compute_capability", lambda: (8, 9))
    monkeypatch.setattr(device_opening, "find_spec", lambda name: object())
    chosen = SimpleNamespace(family="inswapper")
    monkeypatch.setattr(
        device_opening, "neural_family", lambda name, library: FAMILIES[chosen.family]
    )
    return chosen


def fault(*settings, **flags):
    return device_fault(load_config(settings=list(settings), flags={"swapper": "x"} | flags), None)


def test_a_plain_swapper_is_done_on_the_gpu_as_a_whole(card):
    assert fault() == ""
    assert fault("composite.blend=feather", "fuse.enabled=false") == ""
    assert fault("composite.blend=poisson", "composite.keep=[mouth]", "restore.model=lite") == ""


def test_so_is_one_of_which_less_than_all_its_restored_detail_is_seen(card):
    assert fault("restore.model=full", "restore.strength=0.5") == ""


def test_so_is_one_with_several_templates(card):
    card.family = "ghost"
    assert fault() == ""


@pytest.mark.parametrize(
    ("size", "times"), [((640, 360), 2), ((1280, 720), 4), ((3840, 2160), 4), ((480, 640), 2)]
)
def test_faces_get_as_many_pixels_as_the_picture_shows(size, times):
    spec = PictureSpec(*size, Fraction(30), live=True)
    assert _times_for(spec, 128, (4, 2)) == times
    assert _times_for(spec, 512, (2,)) == 2


def test_without_a_gpu_or_a_network_or_the_wish_nothing_is_said(card, monkeypatch):
    assert fault("device.kind=cpu") is None
    assert fault(swapper="mesh") is None
    monkeypatch.setattr(device_opening, "compute_capability", lambda: None)
    assert fault() is None


def test_without_cupy_it_is_said_how_to_get_it(card, monkeypatch):
    monkeypatch.setattr(device_opening, "find_spec", lambda name: None)
    assert fault() == 'CuPy must be installed, got none. Run: pip install "rt-swap[gpu]"'


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("neural.boost=2", "neural.boost"),
        ("neural.mask=parser", "neural.mask"),
        ("restore.model=gfpgan", "restore.model of this kind"),
    ],
)
def test_what_the_pipeline_has_not_is_named(card, setting, named):
    assert fault(setting) == f"the GPU pipeline has no {named}. Leave it out."


def test_other_kinds_of_swappers_are_named(card):
    card.family = "dfm"
    assert "a swapper of the kind deepface" in fault()


@pytest.fixture(scope="module")
def library(twins, library_with):
    """The face networks, and a swapper of the published architecture with few channels."""
    return library_with(
        {
            "quick": ("inswapper", twins.published_swapper((8, 8, 16, 16), blocks=1)),
            "arc_twin": ("arcface", twins.recogniser()),
        }
    )


def run(library, stand_in, *more):
    """A short film through the program's own plan; the run's figures, and what was said."""
    settings = ["neural.recogniser=arc_twin", "camera.size=320x240", "camera.rate_hz=30"]
    config = load_config(settings=[*settings, *more], flags={"swapper": "quick"})
    job = synthetic_job(0.7)
    said = []
    plan = build_plan(job, config, library, say=said.append)
    assert isinstance(plan.lanes[-1][-1], DeviceSwap)
    report = Pipeline(plan).run(stop=threading.Event(), for_ns=700_000_000)
    assert stand_in.opened == list(dict.fromkeys(stand_in.opened))
    return report.stats, said


@pytest.mark.models
def test_a_film_is_swapped_on_the_device_and_no_picture_fails(library, stand_in):
    stats, said = run(library, stand_in)
    assert stats["frames"]["captured"] == stats["frames"]["delivered"] == 21
    assert stats["stages"]["swap"]["counts"] == {"device": "cuda", "rebuilt": 0}
    assert stats["memory_mb"]["device_peak"] > 0
    assert stats["worked_px"] == {"128": 21}
    assert said == ["quick: runs in onnxruntime:CPU, and so does all of the swap"]


@pytest.mark.models
@pytest.mark.parametrize("rim", ["poisson", "feather"])
def test_faces_are_restored_on_the_device_whatever_joins_their_rim(library, stand_in, rim):
    more = ("restore.model=lite", f"composite.blend={rim}", "composite.keep=[eyes]")
    stats, said = run(library, stand_in, *more)
    assert stats["frames"]["captured"] == stats["frames"]["delivered"] == 21
    assert stats["stages"]["swap"]["counts"] == {"device": "cuda", "rebuilt": 0}
    assert "restore" not in stats["stages"]
    names = [line.partition(":")[0] for line in said]
    assert names == ["quick", "srsn_lite_x2_fidelity"]


@pytest.mark.models
def test_where_the_device_cannot_be_opened_the_film_is_swapped_all_the_same(library, stand_in):
    stand_in.is_there = False
    stats, said = run(library, stand_in)
    assert stats["frames"]["captured"] == stats["frames"]["delivered"] == 21
    assert stats["stages"]["swap"]["counts"] == {"device": "cpu", "rebuilt": 0}
    assert "device_peak" not in stats["memory_mb"]
    assert said == [
        "Warning: swaps on the processor from now on, which is slow: quick: a runtime for the GPU "
        "must be there, got none."
    ]
