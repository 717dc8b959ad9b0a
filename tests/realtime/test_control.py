"""Other faces and other networks while pictures go through; needs the face networks."""

import json
import os
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from realtime.app import build_plan
from realtime.config import load_config
from realtime.consent import ConsentKind, hash_file
from realtime.errors import ConfigError, ConsentError, ContentError, MediaError, UsageError
from realtime.job import FaceChoice, synthetic_job
from realtime.pipeline import Pipeline
from realtime.provenance.keys import KeyFolder
from realtime.provenance.run_record import RunRecord
from realtime.provenance.seal import Seal
from realtime.provenance.sidecar import sidecar_path

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def library(twins, library_with):
    return library_with(
        {
            "one": ("inswapper", twins.swapper(128, emap=True, strength=100)),
            "two": ("hyperswap", twins.swapper(256, seed=7)),
            "arc_twin": ("arcface", twins.recogniser()),
            "fuse_twin": ("fusenet", twins.fuser(64, added=(0.2, 0.2, 0.2))),
        }
    )


@pytest.fixture
def other_face(library, tmp_path):
    path = tmp_path / "other.png"
    image = cv2.imread(str(library.path("portrait_astronaut")))
    cv2.imwrite(str(path), np.clip(image * 0.6 + (60, 0, 0), 0, 255).astype(np.uint8))
    return path


class Watch:
    """A sink's eye on the swap: the kind of each frame's layer, and a call at one of them."""

    name = "watch"

    def __init__(self):
        self.layers = []
        self.refined = []
        self.at = {}

    def open(self, spec, memory):
        pass

    def process(self, frame):
        action = self.at.get(len(self.layers))
        layers = [face.layer for face in frame.faces if face.layer is not None]
        self.refined.append(any(layer.joined for layer in layers))
        self.layers.append((layers[0].face.shape[0], layers[0].face.copy()) if layers else None)
        for face in frame.faces:
            face.swapped = True
        if action is not None:
            action()

    def close(self):
        pass


class Run:
    """A film of the synthetic camera, every picture of which goes through."""

    def __init__(self, library, seconds=0.6, swapper="one", network="fuse_twin"):
        config = load_config(
            settings=[
                "neural.recogniser=arc_twin",
                f"refine.network={network}",
                "camera.size=320x240",
                "pipeline.lanes=1",
            ],
            flags={"swapper": swapper},
        )
        self.watch = Watch()
        self.control = None

        def keep(control):
            self.control = control

        plan = build_plan(synthetic_job(seconds), config, library, on_control=keep)
        lanes = (*plan.lanes[:-1], (*plan.lanes[-1], self.watch))
        self.changing = plan.changing
        self.pipeline = Pipeline(replace(plan, lanes=lanes))

    def go(self, change):
        """Runs, with the change made on another thread while the pictures wait for it."""
        ready, done = threading.Event(), threading.Event()
        errors = []

        def work():
            ready.wait()
            try:
                change(self.control)
            except Exception as error:
                errors.append(error)
            done.set()

        worker = threading.Thread(target=work)
        worker.start()
        # From the tenth picture on each waits a moment, until the change has been made.
        self.watch.at = {10: ready.set} | {n: lambda: done.wait(120) for n in range(11, 400)}
        report = self.pipeline.run(stop=threading.Event())
        worker.join()
        if errors:
            raise errors[0]
        return report.stats["frames"]


def test_another_face_goes_in_without_a_lost_picture(library, other_face):
    run = Run(library)
    faces = [[FaceChoice(other_face)]]
    frames = run.go(lambda c: c.change_faces(faces, consent=ConsentKind.LICENSED))
    assert frames["captured"] == frames["delivered"] == 18
    assert all(layer is not None for layer in run.watch.layers)
    # The twin tints the crop by the identity, so the mean colours tell the faces apart.
    tints = np.array([face.mean(axis=(0, 1)) for _, face in run.watch.layers])
    steps = np.abs(np.diff(tints, axis=0)).max(axis=1)
    # The head moves, too: its own changes are a few levels.
    (change,) = np.flatnonzero(steps > 15)
    assert change >= 10
    assert np.delete(steps, change).max() < steps[change] / 4


@pytest.mark.parametrize("swapper", ["mesh", "one"])
def test_faces_are_read_where_no_picture_waits_for_it(library, other_face, swapper):
    """What a change takes of this process, and so of the pictures, is next to nothing."""
    run = Run(library, seconds=0.5, swapper=swapper)
    taken_s = {}

    def change(control):
        children = os.times()
        began_s = time.thread_time()
        control.change_faces([[FaceChoice(other_face)]], consent=ConsentKind.LICENSED)
        taken_s["here"] = time.thread_time() - began_s
        after = os.times()
        taken_s["aside"] = after.children_user - children.children_user

    run.go(change)
    assert taken_s["here"] < 0.1 * taken_s["aside"]


def test_another_network_goes_in_without_a_lost_picture(library):
    run = Run(library)
    frames = run.go(lambda control: control.change_swapper("two"))
    assert frames["captured"] == frames["delivered"] == 18
    sizes = [size for size, _ in run.watch.layers]
    assert sizes == sorted(sizes)
    assert set(sizes) == {128, 256}
    assert run.control.swapper == "two"


def test_the_mesh_and_a_network_take_turns(library):
    run = Run(library)

    def there_and_back(control):
        control.change_swapper("mesh")
        control.change_swapper("one")

    frames = run.go(there_and_back)
    assert frames["captured"] == frames["delivered"] == 18
    assert run.control.swapper == "one"


def test_fusenet_comes_and_goes_without_a_lost_picture(library):
    run = Run(library, swapper="mesh")

    def there_and_back(control):
        control.change_swapper("fusenet")
        control.change_swapper("mesh")

    frames = run.go(there_and_back)
    assert frames["captured"] == frames["delivered"] == 18
    assert run.control.swapper == "mesh"


def test_fusenet_works_from_the_frame_on_in_which_it_was_asked_for(library):
    run = Run(library, swapper="mesh")
    frames = run.go(lambda control: control.change_swapper("fusenet"))
    assert frames["captured"] == frames["delivered"] == 18
    assert run.watch.refined == sorted(run.watch.refined)
    assert set(run.watch.refined) == {False, True}


def test_a_missing_fusenet_leaves_all_as_it_was(library):
    run = Run(library, swapper="mesh", network="fuse_twim")
    with pytest.raises(ConfigError, match=r"refine\.network"):
        run.go(lambda control: control.change_swapper("fusenet"))
    assert run.control.swapper == "mesh"
    assert not any(run.watch.refined)


def test_the_sealed_record_names_every_face_and_network_that_was_used(
    library, other_face, tmp_path
):
    config = load_config(settings=["neural.recogniser=arc_twin"], flags={"swapper": "one"})
    record = RunRecord(session=1, label="eu", strength="standard", models={"one": "1" * 64})
    seal = Seal(record, None, KeyFolder(tmp_path / "keys"))
    controls = []
    build_plan(
        synthetic_job(1.0), config, library, on_control=controls.append, record=record, seal=seal
    )
    (control,) = controls
    control.change_faces([[FaceChoice(other_face)]], consent=ConsentKind.LICENSED)
    control.change_swapper("two")
    with pytest.raises(ConfigError):
        control.change_swapper("nothing")
    with pytest.raises(MediaError):
        control.change_faces([[FaceChoice(other_face, number=7)]], consent=ConsentKind.SELF)
    path = tmp_path / "a.bmp"
    path.write_bytes(b"BM")
    seal.finish(path, path)
    run = json.loads(sidecar_path(path).read_text())["run"]
    face = {"sha256": hash_file(other_face), "consent": "licensed"}
    assert run["faces"] == [{"built_in": True}, face]
    names = ("two", "arc_twin")
    assert run["models"] == {"one": "1" * 64, **{name: library.sha256(name) for name in names}}


def test_the_operators_filter_sees_a_new_face_before_it_goes_in(
    library, other_face, tmp_path, monkeypatch
):
    (tmp_path / "no_faces.py").write_text("def refuse(picture):\n    return 'no faces'\n")
    monkeypatch.syspath_prepend(tmp_path)
    job = replace(synthetic_job(1.0), content_check="no_faces:refuse")
    controls = []
    build_plan(job, load_config(), library, on_control=controls.append)
    with pytest.raises(ContentError, match="no faces"):
        controls[0].change_faces([[FaceChoice(other_face)]], consent=ConsentKind.LICENSED)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c, p: c.change_swapper("nothing"), ConfigError),
        (lambda c, p: c.change_swapper("arc_twin"), ConfigError),
        (lambda c, p: c.change_faces([[FaceChoice(p)]]), ConsentError),
        (lambda c, p: c.change_faces([]), UsageError),
        (
            lambda c, p: c.change_faces(
                [[FaceChoice(p.with_name("none.png"))]], consent=ConsentKind.SELF
            ),
            (MediaError, ConsentError),
        ),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(library, other_face, change, error):
    run = Run(library, seconds=0.5)
    with pytest.raises(error):
        run.go(lambda control: change(control, other_face))
    assert run.control.swapper == "one"
    assert len(run.watch.layers) == 15
    assert {size for size, _ in run.watch.layers} == {128}


def test_the_way_out_knows_for_how_long_something_is_being_changed(library, monkeypatch):
    run = Run(library, seconds=0.5)
    seen = []

    def fail(*_):
        seen.append(run.changing.is_set())
        raise MediaError("no such picture")

    monkeypatch.setattr("realtime.control.call_aside", fail)
    with pytest.raises(MediaError):
        run.go(lambda control: control.change_faces([()]))
    assert seen == [True]
    assert not run.changing.is_set()


def test_a_network_that_went_away_changes_nothing(library, twins, tmp_path):
    path = tmp_path / "gone.onnx"
    path.write_bytes(twins.swapper(256, seed=3))
    library.import_file(path, family="hyperswap", name="gone")
    stored = next(library._cache_dir.rglob("gone.onnx"))
    stored.write_bytes(stored.read_bytes()[:-10])
    run = Run(library, seconds=0.5)
    with pytest.raises(ModelError, match="must be the file that was imported as gone"):
        run.go(lambda control: control.change_swapper("gone"))
    assert {size for size, _ in run.watch.layers} == {128}
    library.remove("gone")
