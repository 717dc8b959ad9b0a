"""Networks that come with the program, by the library's rules and by what they do."""

import hashlib

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.enlarger import Enlarger
from engines.models.catalogue import bundled_catalogue
from engines.models.library import ModelLibrary
from engines.onnxruntime import OnnxRuntimeSession
from tools.degrade import add_sensor_noise, through_jpeg
from tools.eval_sr import luma_psnr
from tools.imresize import resized_u8

MODELS = bundled_catalogue().models
NAMES = [name for name, entry in MODELS.items() if entry.packaged]
ENLARGERS = [name for name in NAMES if name.startswith("srsn")]
FIDELITY = [name for name in ENLARGERS if name.endswith("fidelity")]
SKIN_BGR = (120, 150, 205)


def scene(side):
    """Shaded skin with hairs and spots, as faces have them: ``(side, side, 3) u8``."""
    random = np.random.default_rng(5)
    rows = np.linspace(0.7, 1.1, side)[:, None, None]
    image = np.asarray(np.rint(rows * np.tile(np.float64(SKIN_BGR), (side, side, 1))), np.uint8)
    for _ in range(40):
        ends = random.integers(0, side, (2, 2))
        colour = (random.uniform(0.3, 1.1) * np.float64(SKIN_BGR)).tolist()
        thickness = int(random.integers(1, 4))
        cv2.line(image, ends[0].tolist(), ends[1].tolist(), colour, thickness, cv2.LINE_AA)
        centre = random.integers(0, side, 2).tolist()
        cv2.circle(image, centre, int(random.integers(3, 12)), colour, -1, cv2.LINE_AA)
    return image


def enlarged(name, small):
    library = ModelLibrary(offline=True)
    family = library.family(name)
    height, width = small.shape[:2]
    out = np.zeros((height * family.scale, width * family.scale, 3), np.uint8)
    session = OnnxRuntimeSession(library.load(name))
    Enlarger(session, family).enlarge([small], out=[out])
    session.close()
    return out


def scale_of(name):
    return ModelLibrary(offline=True).family(name).scale


@pytest.mark.parametrize("name", NAMES)
def test_it_is_here_without_a_download_and_is_the_file_the_catalogue_means(name, tmp_path):
    library = ModelLibrary(tmp_path, offline=True)
    assert library.describe(name).is_cached
    assert not library.describe(name).is_imported
    path = library.path(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in MODELS[name].hashes
    assert library.pull([name]) == {name: library.sha256(name)}
    assert path.stat().st_size == MODELS[name].bytes <= 3_500_000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ENLARGERS)
def test_it_takes_pictures_of_any_number_and_size(name):
    session = OnnxRuntimeSession(ModelLibrary(offline=True).load(name))
    assert session.inputs[0].shape == (-1, 3, -1, -1)
    assert session.outputs[0].shape[:2] == (-1, 3)
    session.close()


@pytest.mark.parametrize("name", FIDELITY)
def test_it_beats_bicubic_enlargement(name):
    scale, large = scale_of(name), scene(256)
    side = 256 // scale
    small = resized_u8(large, side, side)
    plain = resized_u8(small, 256, 256)
    assert luma_psnr(enlarged(name, small), large, scale) > luma_psnr(plain, large, scale) + 0.8


@pytest.mark.parametrize("name", FIDELITY)
def test_it_beats_bicubic_enlargement_after_a_webcam_too(name):
    scale, large = scale_of(name), scene(256)
    side = 256 // scale
    shrunk = resized_u8(large, side, side)
    noisy = add_sensor_noise(shrunk, 3.0, 0.05, np.random.default_rng(2))
    small = through_jpeg(noisy, 70)
    plain = resized_u8(small, 256, 256)
    assert luma_psnr(enlarged(name, small), large, scale) > luma_psnr(plain, large, scale) + 0.1


@pytest.mark.parametrize("name", [name for name in ENLARGERS if name.endswith("perceptual")])
def test_the_perceptual_look_draws_more_fine_detail_than_what_is_true_to_the_input(name):
    scale = scale_of(name)
    small = through_jpeg(resized_u8(scene(256), 256 // scale, 256 // scale), 80)
    faithful = name.replace("perceptual", "fidelity")
    drawn, true = (
        np.square(cv2.Laplacian(enlarged(one, small), cv2.CV_32F)).mean()
        for one in (name, faithful)
    )
    assert drawn > 1.1 * true


@pytest.mark.parametrize("name", ENLARGERS)
def test_the_colour_of_skin_stays_where_it_is(name):
    for tone in (SKIN_BGR, (60, 85, 130), (170, 190, 230)):
        small = np.full((48, 48, 3), tone, np.uint8)
        small = add_sensor_noise(small, 2.0, 0.02, np.random.default_rng(3))
        moved = enlarged(name, small).mean(axis=(0, 1)) - small.mean(axis=(0, 1))
        assert np.abs(moved).max() < 0.5


def test_it_can_neither_be_removed_nor_is_it_written_over(tmp_path):
    library = ModelLibrary(tmp_path / "cache", offline=True)
    name = NAMES[0]
    with pytest.raises(ModelError, match="must not come with the program"):
        library.remove(name)
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(library.path(name).read_bytes())
    before = library.path(name).stat().st_mtime_ns
    assert library.import_file(copy).name == name
    assert library.path(name).stat().st_mtime_ns == before


def test_an_installation_that_lacks_one_says_so(tmp_path, monkeypatch):
    packaged = MODELS[NAMES[0]].packaged
    monkeypatch.setattr(type(packaged), "path", tmp_path / "none.onnx")
    library = ModelLibrary(tmp_path)
    assert not library.describe(NAMES[0]).is_cached
    with pytest.raises(ModelError, match="must have come with the program"):
        library.load(NAMES[0])
