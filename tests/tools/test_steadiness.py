import json

import cv2
import numpy as np
import pytest

from realtime.head_motion import Swing
from tools import steadiness
from tools.script_run import Script
from tools.steadiness import main


def test_the_reference_must_be_named(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([])
    assert exit_info.value.code == 2
    assert "--against" in capsys.readouterr().err


def test_too_short_a_film_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--against", "swap.light_ms=0", "--seconds", "1"])
    assert "--seconds: must be more than 1, got 1" in capsys.readouterr().err


def test_an_unknown_setting_is_told_in_one_line(capsys):
    assert main(["--against", "swap.nothing=1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.models
def test_a_picture_without_a_face_is_told_in_one_line(tmp_path, capsys):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((200, 300, 3), 90, np.uint8))
    options = ["--still", str(path), "--only", "still", "--against", "swap.shape=0"]
    assert main(options) == 7
    assert "must show a face" in capsys.readouterr().err


@pytest.mark.models
def test_still_and_scripts_are_measured_under_both_settings(tmp_path, monkeypatch, capsys):
    script = Script("sine 3 Hz", Swing(3.0, yaw=8.0), 1.5)
    monkeypatch.setattr(steadiness, "SCRIPTS", (script,))
    report = tmp_path / "report.json"
    options = ["--set", "camera.size=320x180", "--against", "swap.shape=0", "--seconds", "1.2"]
    # The same swapper with another shape is no steadier, so a bar is missed.
    assert main([*options, "--json", str(report)]) == 1
    figures = json.loads(report.read_text())
    own, reference = figures["still"]
    assert 0.3 < own["std"] < 4
    assert own["jitter"] == reference["jitter"] > 0
    own, reference = figures["scripts"]
    assert abs(own["lag"]) < 0.2
    assert own["gain"] == pytest.approx(1, abs=0.15)
    assert own["change"] > reference["change"] == 0
    assert "still picture" in capsys.readouterr().out
