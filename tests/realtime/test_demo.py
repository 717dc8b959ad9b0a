"""The demo from its command line; needs the default models."""

import json
import re

import av
import cv2
import numpy as np
import pytest

from realtime.cli import main

pytestmark = pytest.mark.models


def test_the_demo_leaves_a_video_a_sheet_and_its_figures(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--seconds", "1", "--stats", "stats.json"]) == 0
    said = capfd.readouterr().err
    assert "demo.mp4" in said
    assert "fps" in said
    times = r"capture [\d.]+, track [\d.]+, align [\d.]+, occlude [\d.]+, swap [\d.]+, "
    assert re.search(rf"ms for each frame: {times}", said)
    frames = json.loads((tmp_path / "stats.json").read_text())["frames"]
    assert (frames["captured"], frames["delivered"], frames["repeated"]) == (30, 30, 0)
    with av.open(str(tmp_path / "demo.mp4")) as video:
        timed = [(frame.time, frame.to_ndarray(format="bgr24")) for frame in video.decode(video=0)]
    times_s, pictures = zip(*timed, strict=True)
    assert times_s == pytest.approx([number / 30 for number in range(30)], abs=1e-3)
    assert pictures[0].shape == (720, 1280, 3)
    sheet = cv2.imread(str(tmp_path / "demo.png"))
    assert sheet is not None
    # Below "camera" and "rt-swap": the same picture but for the face and the label.
    cell = sheet[40:310, 8:488].astype(int)
    swapped = sheet[350:620, 8:488].astype(int)
    difference = np.abs(cell - swapped).max(axis=2)
    assert difference[36:, 380:].max() < 40
    assert difference[:32, 335:475].max() > 150
    assert difference[80:180, 180:250].mean() > 12


def test_the_sheet_says_what_made_it_as_the_video_does(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--seconds", "1"]) == 0
    capfd.readouterr()
    found = {}
    for name in ("demo.mp4", "demo.png"):
        assert main(["verify", "--json", name]) == 0
        found[name] = json.loads(capfd.readouterr().out)
    sheet = found["demo.png"]
    assert sheet["aigc"]["certain"]
    assert sheet["sidecar"]["state"] == "own"
    assert sheet["c2pa"]["state"] == found["demo.mp4"]["c2pa"]["state"]
    assert sheet["sessions"] == found["demo.mp4"]["sessions"]


def test_a_folder_that_is_missing_is_said_before_any_work(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--out", "nowhere"]) == 6
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "nowhere: must be a folder that exists" in lines[0]


def test_a_second_demo_writes_over_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.mp4").write_bytes(b"old")
    (tmp_path / "demo.png").write_bytes(b"old")
    assert main(["demo", "--seconds", "1"]) == 0
    assert (tmp_path / "demo.mp4").stat().st_size > 1000
    assert (tmp_path / "demo.png").stat().st_size > 1000
