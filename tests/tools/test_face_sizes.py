from fractions import Fraction

import cv2
import numpy as np
import pytest

from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.head_motion import Talk
from tools.face_sizes import SIZE, SizeFigures, describe, main, measure, placed, size_bars
from tools.judge import Detection, Judge
from tools.synthetic_film import scripted_film


def figures(face_px, total_ms, source=0.6, target=0.1):
    stages = {"track": total_ms / 2, "swap": total_ms / 2}
    return SizeFigures(face_px, stages, total_ms, 64, source, target)


def test_costs_must_fall_with_the_size_and_margins_be_above_nothing():
    good = [figures(40, 5.0), figures(80, 6.0), figures(160, 9.0)]
    assert all(bar.passed for bar in size_bars(good))
    dear, alike = figures(40, 6.5), figures(80, 6.0, source=0.2, target=0.3)
    missed = [bar.name for bar in size_bars([dear, alike, good[2]]) if not bar.passed]
    assert missed == ["cost at 40 px over that at 80 px", "margin at 80 px"]


def test_the_table_has_one_line_for_each_size():
    lines = describe([figures(40, 5.0), figures(80, 6.0)]).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == [
        *("face", "px", "worked", "track", "swap", "all"),
        *("source", "target", "margin"),
    ]
    assert lines[1].split()[-4:] == ["5.00", "0.600", "0.100", "0.500"]


@pytest.mark.parametrize("scale", [0.15, 0.4, 1.0, 1.6])
def test_a_picture_is_scaled_about_its_middle(scale):
    width, height = SIZE
    picture = np.zeros((height, width, 3), np.uint8)
    at = np.array([width / 2 + 120, height / 2 - 80])
    cv2.circle(picture, tuple(int(v) for v in at), 30, (255, 255, 255), -1)
    shown = placed(picture, scale)
    assert shown.shape == picture.shape
    rows, columns = np.nonzero(shown[..., 0] > 128)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    expected = middle + scale * (at - middle)
    assert columns.mean() == pytest.approx(expected[0], abs=0.7)
    assert rows.mean() == pytest.approx(expected[1], abs=0.7)


def test_without_the_judges_networks_the_error_is_one_line(tmp_path, capsys):
    assert main(["--models", str(tmp_path / "none")]) != 0
    assert len(capsys.readouterr().err.splitlines()) == 1


class Anybody:
    """A judge's two networks that say the same of every face."""

    def detect(self, image):
        points = np.array([(24, 26), (40, 26), (32, 34), (26, 42), (38, 42)], np.float32)
        return [Detection(np.array([20, 18, 44, 48], np.float32), points, 0.9)]

    def embed(self, image, points):
        return np.array([1.0, 0.0], np.float32)


@pytest.mark.models
def test_the_stages_are_measured_on_faces_of_the_size_that_is_asked_for():
    library, anybody = ModelLibrary(), Anybody()
    talk = scripted_film("talk", Talk(), num_frames=22, size=SIZE, library=library)
    assert talk.film.rate_hz == Fraction(30)
    found = measure(60, talk, load_config(), library, Judge(anybody, anybody))
    assert found.stages_ms.keys() >= {"track", "align", "swap", "composite", "guard"}
    assert found.total_ms == pytest.approx(sum(found.stages_ms.values()))
    assert min(found.stages_ms.values()) > 0
    # The crop is the face with a little room around it.
    assert 60 <= found.worked_px <= 120
    assert (found.source, found.target, found.margin) == pytest.approx((1.0, 1.0, 0.0))
