"""Whole runs with FuseNet behind a swapper, to the pixel where its output is known."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from realtime.app import build_plan
from realtime.cli import main
from realtime.config import load_config
from realtime.job import synthetic_job
from realtime.job_models import has_picture_networks, network_names
from realtime.pipeline import Pipeline

pytestmark = pytest.mark.models

PLAIN = ("composite.blend=feather", "fuse.memory.enabled=false")
"""What leaves a drawn face as it is laid on the picture."""

SMALL = ("camera.size=480x360", "camera.rate_hz=30", "occlude.hands=false", "pipeline.lanes=1")


@pytest.fixture(scope="module")
def library(twins, library_with):
    return library_with(
        {
            "same": ("fusenet", twins.fuser(64)),
            "brighter": ("fusenet", twins.fuser(64, added=np.array([20, 20, 20]) / 255)),
            "echo": ("fusenet", twins.fuser(64, echo=0.5)),
            "quick": ("inswapper", twins.published_swapper((8, 8, 16, 16), blocks=1)),
            "arc_twin": ("arcface", twins.recogniser()),
        }
    )


class Eye:
    """A stage that keeps the pictures."""

    name = "eye"

    def __init__(self):
        self.pictures = []

    def open(self, spec, memory):
        pass

    def process(self, frame):
        self.pictures.append(frame.image.copy())

    def close(self):
        pass


def run(library, swapper, *settings, network="same"):
    """Pictures and statistics of a short film."""
    given = ["neural.recogniser=arc_twin", f"refine.network={network}", *SMALL, *settings]
    config = load_config(settings=given, flags={"swapper": swapper})
    plan, eye = build_plan(synthetic_job(0.3), config, library), Eye()
    plan = replace(plan, lanes=(*plan.lanes[:-1], (*plan.lanes[-1], eye)))
    stats = Pipeline(plan).run(stop=threading.Event()).stats
    assert stats["frames"]["delivered"] == stats["frames"]["captured"] == 9
    assert stats["frames"]["failed"] == 0
    return np.array(eye.pictures), stats


def test_a_network_that_changes_nothing_gives_the_mesh_to_the_pixel(library):
    mesh, plain = run(library, "mesh", *PLAIN)
    fused, stats = run(library, "fusenet", *PLAIN)
    np.testing.assert_array_equal(fused, mesh)
    assert "refine" not in plain["stages"]
    counts = stats["stages"]["refine"]["counts"]
    assert counts == {"faces": {"refined": 9, "remembered": 8}}


def test_what_the_network_adds_is_what_is_seen(library):
    mesh, _ = run(library, "mesh", *PLAIN)
    fused, _ = run(library, "fusenet", *PLAIN, network="brighter")
    apart = fused.astype(int) - mesh
    assert apart.min() >= 0
    assert apart.max() == 20
    # All of the face and nothing beside it.
    assert 0.02 < (apart == 20).mean() < 0.2
    assert not apart[:, :, :60].any()


def test_the_memory_lights_up_from_the_second_picture_on(library):
    mesh, _ = run(library, "mesh", *PLAIN)
    fused, _ = run(library, "fusenet", *PLAIN, network="echo")
    apart = (fused.astype(int) - mesh).mean(axis=(1, 2, 3))
    assert apart[0] == 0
    assert apart[1:].min() > 1


def test_without_motion_there_is_no_memory_and_it_works_all_the_same(library):
    mesh, _ = run(library, "mesh", "composite.blend=feather", "fuse.enabled=false")
    fused, stats = run(
        library, "fusenet", "composite.blend=feather", "fuse.enabled=false", network="echo"
    )
    np.testing.assert_array_equal(fused, mesh)
    assert stats["stages"]["refine"]["counts"]["faces"] == {"refined": 9}


def test_it_follows_a_swapping_network_where_that_is_asked_for(library):
    _, plain = run(library, "quick")
    _, stats = run(library, "quick", "refine.enabled=true")
    assert "refine" not in plain["stages"]
    assert stats["stages"]["refine"]["counts"]["faces"]["refined"] == 9


def test_it_goes_with_everything_that_comes_after_it(library):
    settings = ("composite.keep=[glasses,mouth,eyes]", "restore.model=lite", "fuse.enabled=true")
    _, stats = run(library, "fusenet", *settings, network="brighter")
    assert {"refine", "blend", "fuse", "restore"} <= set(stats["stages"])


def test_its_network_stands_in_the_record_of_the_run(library):
    config = load_config(settings=["refine.network=same"], flags={"swapper": "fusenet"})
    assert "same" in network_names(synthetic_job(1.0), config, library)
    assert has_picture_networks(config)
    config = load_config(settings=["refine.network=same"])
    assert "same" not in network_names(synthetic_job(1.0), config, library)
    assert not has_picture_networks(config)


def test_from_the_command_line_the_record_of_the_file_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--camera", "synthetic", "--face", "synthetic", "--output", "out.mp4"]
    arguments += ["--seconds", "1", "--swapper", "fusenet", "--set", "camera.size=320x240"]
    assert main(arguments) == 0
    (sidecar,) = [path for path in tmp_path.iterdir() if path.suffix == ".json"]
    assert "fusenet_lite" in json.loads(sidecar.read_text())["run"]["models"]


def test_a_swapper_that_is_spelt_wrong_is_told_with_the_nearest(capfd):
    arguments = ["--camera", "synthetic", "--face", "synthetic", "--output", "null"]
    assert main([*arguments, "--swapper", "fusnet"]) == 2
    assert "Did you mean fusenet?" in capfd.readouterr().err
    assert main([*arguments, "--refine", "--set", "refine.network=fusenet_ful"]) == 2
    assert "Did you mean fusenet_full?" in capfd.readouterr().err
