import math

import numpy as np
import pytest

from tools.measures import MAX_PSNR_DB, ClipFaces, psnr_db
from tools.tally import PairTally

SOURCE = np.array([1, 0], np.float32)


def cos(degrees):
    return math.cos(math.radians(degrees))


@pytest.fixture
def tally(judge):
    return PairTally(judge, SOURCE, ClipFaces(judge))


def test_figures_of_a_clip_are_those_of_its_frames(tally, picture):
    angles = (0, 20, 40, 60)
    for time_ns, angle in enumerate(angles):
        tally.add(time_ns, picture(1, angle=90), picture(1, angle=angle))
    figures = tally.figures("me.png", "clip.mp4")
    source = [cos(angle) for angle in angles]
    target = [cos(90 - angle) for angle in angles]
    assert (figures.face, figures.clip) == ("me.png", "clip.mp4")
    assert (figures.frames, figures.judged, figures.with_face, figures.found) == (4, 4, 4, 4)
    assert (figures.missing, figures.extra) == (0, 0)
    assert figures.source_mean == pytest.approx(np.mean(source), abs=1e-6)
    assert figures.source_p10 == pytest.approx(np.quantile(source, 0.1), abs=1e-6)
    assert figures.source_min == pytest.approx(0.5, abs=1e-6)
    assert figures.source_std == pytest.approx(np.std(source), abs=1e-6)
    assert figures.target_mean == pytest.approx(np.mean(target), abs=1e-6)
    assert figures.target_max == pytest.approx(cos(30), abs=1e-6)
    assert figures.margin == pytest.approx(np.mean(source) - np.mean(target), abs=1e-6)
    # 90 - 40 and 90 - 60 degrees are cosines of 0.64 and 0.87.
    assert figures.leaks == 2
    assert (figures.cheek, figures.cheek_frames) == (0, 4)


def test_an_output_that_is_the_input_leaks_on_every_frame(tally, picture):
    for time_ns in range(3):
        tally.add(time_ns, picture(1, angle=90), picture(1, angle=90))
    figures = tally.figures("", "")
    assert figures.leaks == 3
    assert figures.target_mean == pytest.approx(1)
    assert figures.outside_db == figures.outside_min_db == MAX_PSNR_DB


def test_a_missing_output_is_a_face_that_is_not_found(tally, picture):
    tally.add(0, picture(1), picture(1))
    tally.add(1, picture(1), None)
    tally.add_extra()
    figures = tally.figures("", "")
    assert (figures.missing, figures.extra) == (1, 1)
    assert (figures.with_face, figures.found) == (2, 1)


def test_frames_without_a_face_in_the_input_are_counted_and_nothing_more(tally, picture):
    assert tally.add(0, picture(0), picture(0, value=0)) is None
    figures = tally.figures("", "")
    assert (figures.judged, figures.with_face) == (1, 0)
    assert math.isnan(figures.outside_db)
    assert math.isnan(figures.margin)


def test_a_face_hidden_in_the_output_still_counts_for_leaks(tally, picture):
    tally.add(0, picture(1, angle=90), picture(0, angle=90))
    figures = tally.figures("", "")
    assert (figures.found, figures.leaks) == (0, 1)
    assert figures.target_max == pytest.approx(1)
    assert math.isnan(figures.target_mean)


def test_psnr_is_that_of_the_frames_squared_errors_together(tally, picture):
    tally.add(0, picture(1), picture(1))
    after = picture(1)
    after[60:] += 10
    tally.add(1, picture(1), after)
    figures = tally.figures("", "")
    # The region is the box (20, 18) to (44, 48) grown by 6 and 7.5: 36 × 46 pixels.
    mse = 4 * 64 * 100 / (64 * 64 - 36 * 46)
    assert figures.outside_min_db == pytest.approx(psnr_db(mse))
    assert figures.outside_db == pytest.approx(psnr_db(mse / 2))


def test_of_every_third_frame_all_are_counted_and_one_is_judged(judge, picture):
    tally = PairTally(judge, SOURCE, ClipFaces(judge), every=3)
    assert [tally.is_due(index) for index in range(4)] == [True, False, False, True]
    for time_ns in range(7):
        tally.add(time_ns, picture(1) if tally.is_due(time_ns) else None, picture(1))
    figures = tally.figures("", "")
    assert (figures.frames, figures.judged) == (7, 3)


def test_inputs_are_looked_at_once_for_several_faces(judge, picture):
    faces = ClipFaces(judge)
    for _ in range(2):
        PairTally(judge, SOURCE, faces).add(0, picture(1), picture(1))
    assert judge.detector.num_calls == 3
