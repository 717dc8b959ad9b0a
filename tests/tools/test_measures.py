import math

import numpy as np
import pytest

from realtime.errors import MediaError
from realtime.job import FaceChoice
from realtime.pictures import Pillow
from tools.judge import Detection
from tools.measures import (
    MAX_PSNR_DB,
    ClipFaces,
    cheek_discs,
    cheek_distance,
    face_region,
    judge_frame,
    lab,
    open_source,
    outside_mse,
    psnr_db,
)

POINTS = np.array([(40, 50), (80, 50), (60, 70), (45, 90), (75, 90)], np.float32)
SOURCE = np.array([1, 0], np.float32)


# Published CIELAB values of sRGB colours under D65 (B. Lindbloom's tables).
LAB = {
    (255, 255, 255): (100, 0, 0),
    (0, 0, 0): (0, 0, 0),
    (128, 128, 128): (53.585, 0, 0),
    (0, 0, 255): (53.241, 80.092, 67.203),
    (0, 255, 0): (87.735, -86.183, 83.179),
    (255, 0, 0): (32.297, 79.188, -107.860),
}
"""By BGR."""


def plain(colour, size=(128, 128)):
    return np.full((*size, 3), colour, np.uint8)


def test_colours_have_their_published_lab_values():
    assert lab(np.array(list(LAB), np.uint8)) == pytest.approx(
        np.array(list(LAB.values())), abs=0.02
    )


@pytest.mark.parametrize("after", LAB)
def test_cheek_distance_is_the_colours_distance_in_lab(after):
    expected = math.dist(LAB[0, 0, 255], LAB[after])
    distance = cheek_distance(plain((0, 0, 255)), plain(after), POINTS)
    assert distance == pytest.approx(expected, abs=0.05)


def test_cheek_distance_is_the_mean_of_both_cheeks():
    before, after = plain((90, 110, 150)), plain((90, 110, 150))
    after[:, :60] = (70, 95, 160)
    whole = cheek_distance(before, plain((70, 95, 160)), POINTS)
    assert cheek_distance(before, after, POINTS) == pytest.approx(whole / 2)


def test_cheek_patches_lie_below_the_eyes_and_outside_of_the_mouth():
    discs = cheek_discs(POINTS, 128, 128)
    assert discs == [
        pytest.approx((38.5, 70, 3.2)),
        pytest.approx((81.5, 70, 3.2)),
    ]


def test_cheek_patches_turn_with_the_head():
    turned = np.stack([-POINTS[:, 1], POINTS[:, 0]], axis=1) + np.float32([128, 0])
    (x, y, radius), _ = cheek_discs(turned, 128, 128)
    assert (x, y, radius) == pytest.approx((128 - 70, 38.5, 3.2))


def test_nothing_but_the_cheek_patches_counts_for_the_tone():
    before = plain((90, 110, 150))
    after = plain((0, 255, 0))
    for x, y, radius in cheek_discs(POINTS, 128, 128):
        reach = math.ceil(radius + 0.5)
        rows = slice(int(y) - reach, int(y) + reach + 2)
        after[rows, int(x) - reach : int(x) + reach + 2] = (90, 110, 150)
    assert cheek_distance(before, after, POINTS) == 0


@pytest.mark.parametrize("nose_x", [45, 75])
def test_a_head_turned_away_has_no_tone_of_its_cheeks(nose_x):
    turned = POINTS.copy()
    turned[2, 0] = nose_x
    assert math.isnan(cheek_distance(plain(1), plain(1), turned))


@pytest.mark.parametrize("shift", [(-36, 0), (44, 0), (0, -68), (0, 56)])
def test_a_cheek_that_leaves_the_picture_is_not_measured(shift):
    assert math.isnan(cheek_distance(plain(1), plain(1), POINTS + np.float32(shift)))


def test_points_that_all_coincide_have_no_cheeks():
    assert math.isnan(cheek_distance(plain(1), plain(1), np.full((5, 2), 60, np.float32)))


BOX = np.array([40, 30, 80, 90], np.float32)


def test_the_faces_region_is_its_box_grown_by_a_quarter_on_each_side():
    assert face_region(BOX, 128, 128) == (30, 15, 90, 105)
    assert face_region(BOX, 85, 100) == (30, 15, 85, 100)


def test_noise_outside_the_face_gives_its_psnr_and_change_inside_gives_nothing():
    before = np.random.default_rng(0).integers(20, 200, (128, 128, 3), np.uint8)
    after = before + np.uint8(8)
    after[15:105, 30:90] = 255
    mse = outside_mse(before, after, BOX)
    assert mse == pytest.approx(64)
    assert psnr_db(mse) == pytest.approx(10 * math.log10(255**2 / 64))


def test_one_pixel_just_outside_the_region_is_seen():
    before, after = plain(100), plain(100)
    after[14, 60] = 110
    assert outside_mse(before, after, BOX) == pytest.approx(300 / ((128 * 128 - 60 * 90) * 3))


def test_a_face_that_fills_the_picture_has_nothing_outside():
    assert math.isnan(outside_mse(plain(0), plain(9), np.array([0, 0, 127, 127], np.float32)))


def test_a_face_beyond_the_picture_leaves_all_of_it_outside():
    assert outside_mse(plain(0), plain(2), BOX + 500) == pytest.approx(4)


def test_equal_pictures_have_the_highest_psnr():
    assert psnr_db(outside_mse(plain(7), plain(7), BOX)) == MAX_PSNR_DB


def test_a_swapped_frame_is_near_the_source_and_far_from_the_target(judge, picture):
    before = picture(1, angle=90)
    target = ClipFaces(judge).look(before, 0)
    figures = judge_frame(judge, SOURCE, target, before, picture(1, angle=30))
    assert figures.found
    assert figures.source_cosine == pytest.approx(math.cos(math.radians(30)))
    assert figures.target_cosine == pytest.approx(math.cos(math.radians(60)))


@pytest.mark.parametrize("marker", [0, 2])
def test_a_target_is_recognised_also_where_the_detector_finds_no_face_in_place(
    judge, picture, marker
):
    before = picture(1, angle=90)
    target = ClipFaces(judge).look(before, 0)
    figures = judge_frame(judge, SOURCE, target, before, picture(marker, angle=90))
    assert not figures.found
    assert math.isnan(figures.source_cosine)
    assert figures.target_cosine == pytest.approx(1)


def test_of_several_output_faces_the_one_in_place_is_judged(judge, picture):
    before = picture(1)
    target = ClipFaces(judge).look(before, 0)
    assert judge_frame(judge, SOURCE, target, before, picture(3)).found


def test_an_input_picture_is_looked_at_once(judge, picture):
    faces = ClipFaces(judge)
    first, again = faces.look(picture(1), 0), faces.look(picture(1), 0)
    assert first is again
    assert faces.look(picture(0), 1) is None
    assert faces.look(picture(0), 1) is None
    assert judge.detector.num_calls == 2


def test_another_face_of_the_input_can_be_meant(judge, picture, face):
    assert ClipFaces(judge, face_index=1).look(picture(3), 0).detection.box is face.box
    assert ClipFaces(judge, face_index=2).look(picture(3), 0) is None


def save(image, path):
    Pillow.fromarray(image[..., ::-1]).save(path)
    return path


def test_the_source_is_the_largest_face_or_the_one_that_is_named(judge, picture, tmp_path, face):
    small = Detection(face.box[:2].repeat(2), face.points, 0.9)
    judge.detector.faces[4] = [face, small]
    path = save(picture(4, angle=90), tmp_path / "two.png")
    largest = open_source(judge, FaceChoice(path))
    assert largest.detection is face
    assert largest.name == "two.png"
    assert largest.embedding == pytest.approx([0, 1], abs=1e-6)
    leftmost = open_source(judge, FaceChoice(path, 1))
    assert leftmost.name == "two.png#1"


def test_a_source_without_the_face_that_is_meant_is_refused(judge, picture, tmp_path):
    path = save(picture(0), tmp_path / "empty.png")
    with pytest.raises(MediaError, match="must show the face"):
        open_source(judge, FaceChoice(path))
    path = save(picture(1), tmp_path / "one.png")
    with pytest.raises(MediaError, match="must show the face"):
        open_source(judge, FaceChoice(path, 2))
