"""Whole runs with every way of blending, with parts that are kept and with a mask network."""

import threading

import pytest

from realtime.app import build_plan
from realtime.config import load_config
from realtime.errors import ConfigError
from realtime.job import synthetic_job
from realtime.job_models import network_names
from realtime.pipeline import Pipeline
from realtime.swap_networks import open_mask

pytestmark = pytest.mark.models

SMALL = ("camera.size=480x360", "camera.rate_hz=30")


@pytest.fixture(scope="module")
def library(twins, library_with):
    """The face networks, a mask, and a quick swapper."""
    return library_with(
        {
            "mask_twin": ("xseg", twins.occlusion()),
            "quick": ("inswapper", twins.published_swapper((8, 8, 16, 16), blocks=1)),
            "arc_twin": ("arcface", twins.recogniser()),
        }
    )


def run(library, *settings, swapper="mesh"):
    given = ["neural.recogniser=arc_twin", "occlude.hands=false", *SMALL, *settings]
    config = load_config(settings=given, flags={"swapper": swapper})
    pipeline = Pipeline(build_plan(synthetic_job(0.3), config, library))
    return pipeline.run(stop=threading.Event()).stats


@pytest.mark.parametrize("swapper", ["mesh", "quick"])
@pytest.mark.parametrize("blend", ["multiband", "poisson", "feather"])
def test_every_picture_is_delivered_however_it_is_blended(library, swapper, blend):
    frames = run(library, f"composite.blend={blend}", swapper=swapper)["frames"]
    assert frames["delivered"] == frames["captured"] == 9
    assert frames["failed"] == 0


def test_every_picture_is_delivered_with_all_that_can_be_kept(library):
    stats = run(library, "composite.keep=[glasses,mouth,eyes]", "occlude.network=mask_twin")
    assert stats["frames"]["delivered"] == 9
    assert {"blend", "glasses", "mask"} <= set(stats["stages"])


def test_stages_that_are_not_asked_for_are_left_out(library):
    stages = set(run(library, "composite.color=mean_std")["stages"])
    assert "blend" in stages
    assert not {"glasses", "mask"} & stages


def test_the_mask_network_is_fetched_beforehand(library):
    config = load_config(settings=["occlude.network=mask_twin"])
    assert "mask_twin" in network_names(synthetic_job(1.0), config, library)
    off = load_config(settings=["occlude.network=mask_twin", "occlude.enabled=false"])
    assert "mask_twin" not in network_names(synthetic_job(1.0), off, library)


def test_a_network_that_is_no_mask_is_named_with_its_key(library):
    config = load_config()
    with (
        pytest.raises(ConfigError, match=r"occlude\.network: must be the name of a mask"),
        open_mask("arc_twin", config, library, key="occlude.network"),
    ):
        pass
