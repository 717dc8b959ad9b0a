from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from realtime.face_mesh import load_face_mesh
from realtime.geometry import fit_head, head_pose
from realtime.pictures import load_picture
from tools.make_synthetic_face import (
    CANVAS_PX,
    MAX_BYTES,
    blend,
    find_face,
    main,
    mean_shape,
)

PORTRAITS = Path(__file__).parents[2].parent / "shared" / "assets" / "faces" / "synthetic"


def noise(seed, sigma_px=0.0):
    image = np.random.default_rng(seed).uniform(60, 190, (257, 243, 3)).astype(np.float32)
    return cv2.GaussianBlur(image, (0, 0), sigma_px) if sigma_px else image


@pytest.fixture
def everywhere():
    return np.ones((257, 243), np.bool_)


def test_a_picture_blended_with_itself_stays_as_it_is(everywhere):
    image = noise(0)
    # The way to Lab and back costs a tenth of a grey level.
    assert np.abs(blend([image, image, image], everywhere) - image).max() < 0.2


def test_fine_detail_is_the_first_pictures_and_coarse_colours_are_shared(everywhere):
    first, second = noise(1, 8.0), noise(2)
    mixed = blend([first, second], everywhere)
    fine = mixed - cv2.GaussianBlur(mixed, (0, 0), 1.0)
    assert fine.std() < 0.1 * (second - cv2.GaussianBlur(second, (0, 0), 1.0)).std()
    left, right = first.copy(), first.copy()
    left[:, :120] += 30
    right[:, 120:] += 30
    step = blend([left, right], everywhere) - first
    assert 0 < step[:, :60].mean() - step[:, -60:].mean() < 25


@pytest.mark.models
def test_the_mean_of_a_face_in_different_places_is_its_own_shape():
    path = ModelLibrary().path("face_mesh_connections")
    mesh = load_face_mesh(path.read_text(encoding="utf-8"))
    angle = np.radians(20)
    turned = 37 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = mesh.neutral.copy()
    moved[:, :2] = mesh.neutral[:, :2] @ turned.T + (100, 50)
    shape = mean_shape(mesh, [moved, mesh.neutral])
    assert shape == pytest.approx(mesh.neutral[:, :2], abs=1e-4)


@pytest.mark.models
def test_the_shipped_picture_is_small_and_shows_one_face_from_the_front():
    packaged = resources.files("realtime").joinpath("synthetic_face.jpg")
    with resources.as_file(packaged) as path, open_face_finder(ModelLibrary().session) as finder:
        assert path.stat().st_size <= MAX_BYTES
        picture = load_picture(path)
        assert picture.shape == (CANVAS_PX, CANVAS_PX, 3)
        landmarks = find_face(finder, picture, "shipped")
    pose = head_pose(fit_head(landmarks))
    assert abs(pose.yaw) < 8
    assert abs(pose.roll) < 8
    assert np.ptp(landmarks[:, 0]) > 250


@pytest.mark.models
@pytest.mark.shared
def test_the_tool_makes_the_shipped_picture_again(tmp_path):
    if not PORTRAITS.is_dir():
        pytest.skip(f"{PORTRAITS} is not here")
    assert main(["--portraits", str(PORTRAITS), "--out", str(tmp_path / "face.jpg")]) == 0
    with resources.as_file(resources.files("realtime").joinpath("synthetic_face.jpg")) as path:
        shipped = load_picture(path).astype(int)
    made = load_picture(tmp_path / "face.jpg").astype(int)
    # Decoders and the networks' arithmetic differ a little between machines.
    assert np.abs(made - shipped).mean() < 1.0


@pytest.mark.models
def test_a_folder_without_the_portraits_is_an_error_of_one_line(tmp_path, capsys):
    assert main(["--portraits", str(tmp_path), "--out", str(tmp_path / "face.jpg")]) == 7
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "face.jpg").exists()
