"""From the word that was asked for to networks that work."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.errors import ConfigError
from realtime.frame import Face, Frame, Layer, PictureSpec, Pose
from realtime.memory import Memory
from realtime.restorers import needed_restorers, open_picture_enlarger, open_restorers
from realtime.stages.restore import Restore


@pytest.fixture
def library(tmp_path):
    """What comes with the program, and nothing else."""
    return ModelLibrary(tmp_path, offline=True)


@pytest.fixture
def with_restorer(tmp_path, twins):
    """A restoring network beside that."""
    path = tmp_path / "polish.onnx"
    path.write_bytes(twins.restorer(256))
    library = ModelLibrary(tmp_path / "cache", offline=True)
    library.import_file(path, family="gpen_256")
    return library


def restoring(model, *settings):
    return load_config(settings=[f"restore.model={model}", *settings])


def test_nothing_is_needed_where_nothing_is_restored(library):
    assert needed_restorers(load_config(), library) == ()
    with open_restorers(load_config(), library) as found:
        assert not found.enlargers
        assert found.restorer is None


def test_the_own_networks_go_by_their_kind_and_look(library):
    names = needed_restorers(restoring("lite"), library)
    assert names[0] == "srsn_lite_x2_fidelity"
    assert all(name.startswith("srsn_lite_x") and name.endswith("_fidelity") for name in names)
    with open_restorers(restoring("lite"), library) as found:
        assert [f"srsn_lite_x{scale}_fidelity" for scale in found.enlargers] == list(names)
        assert {enlarger.scale for enlarger in found.enlargers.values()} == set(found.enlargers)


def test_a_restoring_network_is_taken_by_its_name(with_restorer):
    assert needed_restorers(restoring("polish"), with_restorer) == ("polish",)
    with open_restorers(restoring("polish"), with_restorer) as found:
        assert found.restorer is not None
        assert found.restorer.crop_px == 256
        assert not found.enlargers


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("lit", r"restore.model: must be off, lite, full or .* got 'lit'. Did you mean lite\?"),
        ("xseg_3", r"restore.model: .* got 'xseg_3', a mask"),
        ("face_landmark", r"restore.model: .* got 'face_landmark'"),
    ],
)
def test_what_restores_nothing_is_refused(library, model, message):
    with pytest.raises(ConfigError, match=message):
        needed_restorers(restoring(model), library)


def test_a_look_that_does_not_come_with_the_program_is_told(library, monkeypatch):
    every = library.list()
    there = tuple(one for one in every if not one.name.endswith("perceptual"))
    monkeypatch.setattr(type(library), "list", lambda _: there)
    message = r"restore\.model: .* got 'lite' with the look 'perceptual'\. There is: srsn_"
    with pytest.raises(ConfigError, match=message):
        needed_restorers(restoring("lite", "restore.look=perceptual"), library)


def test_whole_pictures_are_enlarged_twice_by_what_comes_with_the_program(library, with_restorer):
    with open_picture_enlarger(restoring("lite"), library) as enlarger:
        assert enlarger.scale == 2
    for config in (load_config(), restoring("polish")):
        with (
            pytest.raises(ConfigError, match=r"restore\.area: must be face where no network"),
            open_picture_enlarger(config, with_restorer),
        ):
            pass


def test_the_stage_works_with_what_comes_with_the_program(library):
    config = restoring("lite")
    stage = Restore(config.restore, partial(open_restorers, config, library))
    stage.open(PictureSpec(160, 120, Fraction(30), live=False), Memory())
    rows, columns = np.indices((64, 64))
    waves = 127 + 50 * np.sin(columns / 5) + 50 * np.cos(rows / 7)
    face = np.repeat(waves[..., None], 3, axis=2).astype(np.uint8)
    place = np.array([[0.5, 0, -5], [0, 0.5, -5]])
    layer = Layer(face, np.full((64, 64), 255, np.uint8), place)
    seen = Face(1, np.zeros(4, np.float32), np.zeros((468, 3), np.float32), 0.9, Pose(0, 0, 0))
    seen.layer = layer
    stage.process(Frame(np.zeros((120, 160, 3), np.uint8), faces=[seen]))
    stage.close()
    assert seen.layer.face.shape == (128, 128, 3)
    cells = seen.layer.face.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(cells[2:-2, 2:-2] - face[2:-2, 2:-2]).mean() < 2
