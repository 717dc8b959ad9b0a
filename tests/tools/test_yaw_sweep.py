import json
import math
from dataclasses import replace

import cv2
import pytest

from tools.sweep_run import SweepFrame
from tools.yaw_sweep import as_json, bands, describe, main, sweep_bars

FRAME = SweepFrame(10.0, 4.0, 4.4, 0.02, 0.03, True)


def passed(*frames):
    return {bar.name: bar.passed for bar in sweep_bars([FRAME, *frames])}


def test_what_holds_passes_every_bar():
    assert all(passed().values())


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"output_change": 6.1}, "change of the output over the input's, worst picture"),
        ({"seen": False}, "pictures without the face"),
        ({"landmark_error": math.nan}, "landmarks lost up to 60°"),
        ({"landmark_error": 0.061}, "landmark error up to 60°, worst picture"),
    ],
)
def test_one_picture_misses_the_bar_it_breaks(change, missed):
    assert [name for name, good in passed(replace(FRAME, **change)).items() if not good] == [missed]


def test_beyond_sixty_degrees_landmarks_are_not_held_to_anything():
    assert all(passed(replace(FRAME, yaw=-61.0, landmark_error=0.3)).values())
    assert all(passed(replace(FRAME, yaw=70.0, landmark_error=math.nan)).values())


def test_the_table_has_one_line_for_each_band_with_pictures():
    lines = describe(bands([FRAME, replace(FRAME, yaw=-50.0)])).splitlines()
    assert [line.split()[0] for line in lines] == ["yaw", "0-15", "45-60"]


def test_figures_for_programs_have_no_numbers_that_json_has_not():
    report = as_json([FRAME, replace(FRAME, landmark_error=math.nan)])
    assert json.loads(json.dumps(report, allow_nan=False))["frames"][1]["landmark_error"] is None
    assert report["passed"] is False


@pytest.mark.parametrize("options", [["--most", "90"], ["--most", "0"], ["--speed", "0"]])
def test_a_sweep_that_cannot_be_is_refused(options, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(options)
    assert exit_info.value.code == 2
    assert "--most" in capsys.readouterr().err


@pytest.mark.models
def test_a_short_sweep_is_measured_and_shown(tmp_path, capsys):
    sheet, report = tmp_path / "sheet.png", tmp_path / "report.json"
    options = ["--most", "12", "--speed", "48", "--set", "camera.size=320x180"]
    code = main([*options, "--sheet", str(sheet), "--json", str(report)])
    figures = json.loads(report.read_text())
    assert len(figures["frames"]) == 30
    assert code == (0 if figures["passed"] else 1)
    assert all(frame["seen"] for frame in figures["frames"])
    # Whatever is drawn moves with the head, and stays where its features are.
    assert max(frame["change_ratio"] for frame in figures["frames"]) < 1.5
    assert max(frame["landmark_error"] for frame in figures["frames"]) < 0.1
    assert cv2.imread(str(sheet)).std() > 20
    assert "change of the output" in capsys.readouterr().out
