import cv2
import numpy as np
import pytest

from tools.imresize import resized_u8
from tools.srsn_pictures import (
    Folder,
    Mixture,
    PatchSource,
    as_picture,
    as_planes,
    load_folder,
    load_picture,
    picture_names,
    split,
)


def noise(side, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


@pytest.fixture
def pictures(tmp_path):
    """Twenty pictures, each of one grey, the last ones in a subfolder."""
    (tmp_path / "more").mkdir()
    for index in range(20):
        folder = tmp_path / "more" if index > 15 else tmp_path
        cv2.imwrite(str(folder / f"p{index:02d}.png"), np.full((60, 40, 3), index, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_every_ninth_picture_is_kept_out(pictures):
    train, kept_out = split(picture_names(pictures))
    assert [path.stem for path in kept_out] == ["p04", "p13"]
    assert len(train) == 18
    assert not set(train) & set(kept_out)


def test_a_picture_of_the_test_sets_is_in_neither_part(pictures):
    folder = load_folder(pictures, ["p00", "p04", "p19"], [])
    greys = {int(image[0, 0, 0]) for image in (*folder.train, *folder.kept_out)}
    assert greys == set(range(20)) - {0, 4, 19}


def test_pictures_may_be_taken_at_several_sizes(pictures):
    folder = load_folder(pictures, [], [30, 15])
    assert {image.shape[:2] for image in folder.train} == {(30, 20), (15, 10)}
    assert len(folder.train) == 36
    assert {image.shape[:2] for image in folder.kept_out} == {(30, 20)}


def test_a_folder_without_pictures_and_a_broken_one_are_told(tmp_path):
    with pytest.raises(ValueError, match="must hold pictures, got none"):
        picture_names(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png: must be a picture"):
        load_picture(tmp_path / "a.png")


def source(degraded=(0.0, 0.0), seed=3, weights=(1.0, 1.0)):
    folders = [Folder((noise(80, 1),), ()), Folder((noise(90, 2),), ())]
    return PatchSource(folders, Mixture(weights, degraded), scale=2, patch_px=16, seed=seed)


def test_a_step_has_its_patches_whatever_came_before():
    one, other = source(), source()
    other.batch(1, 4)
    for found, again in zip(one.batch(7, 4), other.batch(7, 4), strict=True):
        np.testing.assert_array_equal(found, again)
    assert (one.batch(7, 4)[1] != one.batch(8, 4)[1]).any()
    assert (one.batch(7, 4)[1] != source(seed=4).batch(7, 4)[1]).any()


@pytest.mark.parametrize("workers", [1, 3, 9])
def test_patches_made_beforehand_are_the_same_in_the_same_order(workers):
    wanted = [source().batch(step, 2) for step in range(4, 9)]
    found = list(source().batches(range(4, 9), 2, workers))
    assert len(found) == 5
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    assert not list(source().batches(range(4, 4), 2, workers))


def test_a_plain_patch_is_shrunk_as_the_test_sets_are():
    small, large = source().batch(0, 3)
    assert (small.shape, large.shape) == ((3, 3, 16, 16), (3, 3, 32, 32))
    for one, wanted in zip(small, large, strict=True):
        np.testing.assert_array_equal(as_picture(one), resized_u8(as_picture(wanted), 16, 16))


def test_as_many_patches_go_through_a_webcam_as_the_mixture_says():
    def share(degraded, weights=(1.0, 1.0)):
        pairs = zip(*source(degraded, weights=weights).batch(0, 200), strict=True)
        plain = [resized_u8(as_picture(large), 16, 16) for _, large in pairs]
        small = source(degraded, weights=weights).batch(0, 200)[0]
        same = [np.array_equal(as_picture(a), b) for a, b in zip(small, plain, strict=True)]
        return 1 - np.mean(same)

    assert share((0.0, 0.0)) == 0.0
    assert share((0.3, 0.3)) == pytest.approx(0.3, abs=0.1)
    assert share((0.0, 1.0), (3.0, 1.0)) == pytest.approx(0.25, abs=0.1)


def test_patches_come_in_all_eight_positions():
    marked = np.zeros((32, 32, 3), np.uint8)
    marked[:8, :16] = 255
    only = PatchSource([Folder((marked,), ())], Mixture((1.0,), (0.0,)), 2, 16, 1)
    seen = {large.tobytes() for step in range(8) for large in only.batch(step, 8)[1]}
    assert len(seen) == 8


def test_pictures_too_small_for_a_patch_are_passed_over():
    folder = Folder((noise(31), noise(40)), ())
    large = PatchSource([folder], Mixture((1.0,), (0.0,)), 2, 16, 1).batch(0, 4)[1]
    assert large.shape == (4, 3, 32, 32)
    with pytest.raises(ValueError, match="pictures of 64 px or more"):
        PatchSource([folder], Mixture((1.0,), (0.0,)), 4, 16, 1)


def test_planes_and_pictures_are_the_same_thing():
    image = noise(12)
    planes = as_planes([image])
    assert planes[0, 0, 3, 4] == pytest.approx(image[3, 4, 2] / 255)
    np.testing.assert_array_equal(as_picture(planes[0]), image)
