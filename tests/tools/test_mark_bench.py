import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tools import mark_bench
from tools.mark_bench import count_false_finds, main, measure_cost, windows_of
from tools.mark_frames import marked


def scene(num_pictures, size=(320, 180)):
    rng = np.random.default_rng(0)
    coarse = rng.normal(120, 45, (8, 16, 3)).astype(np.float32)
    wide = cv2.resize(coarse, (size[0] + num_pictures, size[1]), interpolation=cv2.INTER_CUBIC)
    return [
        np.clip(wide[:, n : n + size[0]] + rng.normal(0, 2, (*size[::-1], 3)), 0, 255).astype(
            np.uint8
        )
        for n in range(num_pictures)
    ]


def write(path: Path, pictures):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def no_faces(pictures):
    return [[] for _ in pictures]


def test_the_table_has_a_line_for_every_attack(tmp_path, monkeypatch, capsys):
    attacks = {name: mark_bench.ATTACKS[name] for name in ("untouched", "mirrored")}
    attacks["blank"] = lambda pictures: [np.zeros_like(picture) for picture in pictures]
    monkeypatch.setattr(mark_bench, "ATTACKS", attacks)
    monkeypatch.setattr(mark_bench, "track_faces", lambda pictures, library: no_faces(pictures))
    clips = tmp_path / "clips"
    clips.mkdir()
    write(clips / "a.mp4", scene(40))
    assert main([str(clips), "--json", str(tmp_path / "out.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2:] for line in lines[1:4]] == [
        ["100.0%", "100.0%"],
        ["100.0%", "100.0%"],
        ["0.0%", "0.0%"],
    ]
    clip = json.loads((tmp_path / "out.json").read_text())["clips"]["a.mp4"]
    assert clip["rates"]["untouched"] == [1, 1]
    assert 49 < clip["psnr_db"] < 51
    assert clip["label_match"] > 0.8
    assert 1 < clip["shimmer"]["whole"] < 1.5
    assert clip["shimmer"]["face"] is None


def test_a_mark_that_is_there_counts_as_found_and_clean_pictures_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(mark_bench, "NUM_TURNS", 2)
    monkeypatch.setattr(mark_bench, "other_views", lambda pictures: ())
    clean = scene(32)
    write(tmp_path / "clean.mp4", clean)
    write(tmp_path / "marked.mp4", marked(clean, no_faces(clean), 5, show_label=False))
    assert count_false_finds(tmp_path / "clean.mp4", 32) == (0, 6)
    # Found as it is and not when it lies on its side.
    assert count_false_finds(tmp_path / "marked.mp4", 32) == (3, 6)


def test_windows_do_not_overlap_and_a_short_clip_is_one():
    assert [len(window) for window in windows_of(scene(65))] == [30, 30]
    assert [len(window) for window in windows_of(scene(7))] == [7]


def test_the_cost_is_measured_in_milliseconds():
    cost = measure_cost((320, 180), 20)
    assert set(cost) == {"warm_ms", "cold_ms"}
    assert all(0 < cost_ms < 50 for cost_ms in cost.values())


def test_a_folder_of_clips_must_be_named(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "must be a folder of videos" in capsys.readouterr().err


def test_some_of_the_attacks_can_be_chosen_by_how_their_names_begin(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mark_bench, "track_faces", lambda pictures, library: no_faces(pictures))
    write(tmp_path / "a.mp4", scene(12))
    assert main([str(tmp_path), "--only", "mirr,resized"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["resized", "mirrored", "windows"]
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--only", "burnt"])
    assert "--only: must name one of untouched, " in capsys.readouterr().err
