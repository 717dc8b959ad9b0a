import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tools import mark_bench
from tools.mark_bench import main, measure_cost
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


def test_clean_films_and_stills_are_counted_and_a_mark_among_them_is_found(tmp_path, capsys):
    clean = scene(32)
    films, stills = tmp_path / "films", tmp_path / "stills"
    films.mkdir()
    stills.mkdir()
    write(films / "clean.mp4", clean)
    write(films / "marked.mp4", marked(clean, no_faces(clean), 5, show_label=False))
    cv2.imwrite(str(stills / "a.png"), clean[0])
    (stills / "notes.txt").write_text("no picture")
    out = tmp_path / "out.json"
    asked = ["--clean", "--stills", str(stills), "--moves", "1", "--json", str(out)]
    assert main([str(films), *asked]) == 0
    counts = json.loads(out.read_text())["clean"]
    # Two films in four positions, and one move over the picture; the mark is read upright only.
    assert (counts["films"], counts["stills"]) == (2, 1)
    assert (counts["windows"], counts["distinct"], counts["found"]) == (9, 9, 1)
    assert counts["nearest"] > 9.3
    assert "found in 1 of 9 windows without the mark" in capsys.readouterr().out


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
