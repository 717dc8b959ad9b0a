"""The whole program from its command line, on input made here; needs the default models."""

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import realtime.app
from engines.models.library import ModelLibrary
from realtime.cli import main
from realtime.frame import Image
from realtime.pipeline import Pipeline, Plan

pytestmark = pytest.mark.models

CHECKOUT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "import sys; from realtime.cli import main; sys.exit(main())"]

Fails = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def portrait() -> Image:
    """512 x 512 px, one face."""
    picture = cv2.imread(str(ModelLibrary().path("portrait_astronaut")))
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a record of consents of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def face(folder: Path, portrait: Image) -> str:
    return write_picture(folder / "me.png", portrait)


@pytest.fixture
def clip(folder: Path, portrait: Image) -> str:
    return write_clip(folder / "clip.mp4", [np.roll(portrait, n, axis=1) for n in range(12)])


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str]) -> Fails:
    """Runs the program and returns its exit code and the last line; an error has only one."""

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        lines = capfd.readouterr().err.splitlines()
        assert all(line.startswith("rt-swap: ") for line in lines), lines
        assert len(lines) == 1 or code == 0
        return code, lines[-1]

    return run


def write_picture(path: Path, picture: Image) -> str:
    assert cv2.imwrite(str(path), picture)
    return str(path)


def write_clip(path: Path, pictures: list[Image]) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return str(path)


def read_clip(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [
            np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
            for picture in container.decode(video=0)
        ]


def read_stats(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_file_keeps_its_pictures_and_every_one_is_accounted_for(
    folder: Path, face: str, clip: str
):
    arguments = ["--input", clip, "--face", face, "--consent", "licensed"]
    assert main([*arguments, "--output", "out.mp4", "--stats", "stats.json"]) == 0
    assert len(read_clip(folder / "out.mp4")) == 12
    stats = read_stats(folder / "stats.json")
    assert stats["frames"] == {
        "captured": 12,
        "delivered": 12,
        "dropped_stale": 0,
        "dropped_overrun": 0,
        "failed": 0,
        "repeated": 0,
    }
    assert (stats["reason"], stats["error"]) == ("end", None)
    assert {"fps", "latency_ms", "stages", "memory_mb", "machine"} <= set(stats)


def test_a_picture_becomes_a_picture_of_its_size(folder: Path, face: str, portrait: Image):
    target = write_picture(folder / "target.png", portrait[::-1, ::-1][::-1].copy())
    code = main(["--input", target, "--face", face, "--output", "o.png", "--consent", "licensed"])
    assert code == 0
    result = cv2.imread(str(folder / "o.png"))
    assert result is not None
    assert result.shape == portrait.shape


def test_a_camera_run_ends_after_its_time(folder: Path):
    arguments = ["--camera", "synthetic", "--face", "synthetic", "--output", "null"]
    assert main([*arguments, "--seconds", "0.5", "--stats", "stats.json"]) == 0
    stats = read_stats(folder / "stats.json")
    frames = stats["frames"]
    ends = ("delivered", "dropped_stale", "dropped_overrun", "failed")
    assert frames["captured"] == sum(frames[end] for end in ends) > 0
    assert frames["failed"] == 0
    assert stats["reason"] == "duration"


def test_the_face_in_a_file_is_swapped(folder: Path, clip: str, portrait: Image):
    arguments = ["--input", clip, "--face", "synthetic", "--output", "out.mp4"]
    assert main([*arguments, "--set", "output.crf=10"]) == 0
    pictures = read_clip(folder / "out.mp4")
    face, elsewhere = (slice(90, 190), slice(185, 260)), (slice(400, 512), slice(0, 120))
    assert np.abs(pictures[0][face].astype(int) - portrait[face]).mean() > 8
    assert np.abs(pictures[0][elsewhere].astype(int) - portrait[elsewhere]).mean() < 6


def test_consent_is_asked_for_once_and_needed(folder: Path, face: str, clip: str, fails: Fails):
    run = ("--input", clip, "--face", face, "--output", "null")
    code, line = fails(*run)
    assert code == 3
    assert "--consent self|written|synthetic|licensed" in line
    assert fails(*run, "--consent", "licensed")[0] == 0
    assert fails(*run)[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "none.png"),
        (".", None, "."),
        ("text.png", b"not a picture", "text.png"),
        ("empty.png", b"", "empty.png"),
    ],
)
def test_a_face_file_that_is_no_picture_is_exit_code_7(
    folder: Path, clip: str, fails: Fails, name: str, content: bytes | None, message: str
):
    if content is not None:
        (folder / name).write_bytes(content)
    code, line = fails("--input", clip, "--face", name, "--output", "null", "--consent", "self")
    assert code == 7
    assert message in line


def test_a_face_picture_without_a_face_is_exit_code_7(folder: Path, clip: str, fails: Fails):
    grey = write_picture(folder / "grey.png", np.full((256, 256, 3), 128, np.uint8))
    code, line = fails("--input", clip, "--face", grey, "--output", "null", "--consent", "self")
    assert code == 7
    assert "no face was found" in line


def test_of_several_faces_one_must_be_chosen(
    folder: Path, clip: str, portrait: Image, fails: Fails
):
    two = write_picture(folder / "two.png", np.hstack([portrait, portrait]))
    run = ("--input", clip, "--output", "null", "--consent", "self", "--face")
    code, line = fails(*run, two)
    assert code == 7
    assert "#2" in line
    assert fails(*run, f"{two}#2")[0] == 0
    assert fails(*run, f"{two}#3")[0] == 7


@pytest.mark.parametrize("content", [None, b"", b"not a video"])
def test_an_input_that_is_no_video_is_exit_code_7(
    folder: Path, face: str, fails: Fails, content: bytes | None
):
    if content is not None:
        (folder / "in.mp4").write_bytes(content)
    code, line = fails(
        "--input", "in.mp4", "--face", face, "--output", "out.mp4", "--consent", "self"
    )
    assert code == 7
    assert "in.mp4" in line
    assert not (folder / "out.mp4").exists()


def test_an_existing_output_is_kept_unless_forced(folder: Path, face: str, clip: str, fails: Fails):
    (folder / "out.mp4").write_bytes(b"mine")
    run = ("--input", clip, "--face", face, "--output", "out.mp4", "--consent", "self")
    code, line = fails(*run)
    assert code == 6
    assert "--force" in line
    assert (folder / "out.mp4").read_bytes() == b"mine"
    assert fails(*run, "--force")[0] == 0
    assert len(read_clip(folder / "out.mp4")) == 12


def test_an_output_that_cannot_be_written_is_exit_code_6(face: str, clip: str, fails: Fails):
    run = ("--input", clip, "--face", face, "--consent", "self", "--output")
    code, line = fails(*run, "none/out.mp4")
    assert code == 6
    assert "none" in line


def test_statistics_that_cannot_be_written_are_refused_first(face: str, clip: str, fails: Fails):
    run = ("--input", clip, "--face", face, "--consent", "self", "--output", "null")
    code, line = fails(*run, "--stats", "none/stats.json")
    assert code == 6
    assert "none/stats.json" in line


def test_a_missing_camera_is_exit_code_4_within_five_seconds(folder: Path, face: str, fails: Fails):
    started = time.monotonic()
    code, line = fails(
        "--camera", "97", "--face", face, "--output", "null", "--consent", "self",
        "--stats", "stats.json",
    )  # fmt: skip
    assert time.monotonic() - started < 7.0
    assert code == 4
    assert "97" in line
    stats = read_stats(folder / "stats.json")
    assert stats["reason"] == "error"
    assert line == f"rt-swap: {stats['error']}"


def test_a_missing_virtual_camera_is_exit_code_6(face: str, clip: str, fails: Fails):
    code, line = fails(
        "--input", clip, "--face", face, "--consent", "self",
        "--virtual-camera", "/dev/video-none",
    )  # fmt: skip
    assert code == 6
    assert len(line) > 40


@pytest.mark.skipif(os.name == "nt", reason="signals are sent the POSIX way")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finalises_the_file_within_three_seconds(
    folder: Path, face: str, number: signal.Signals, code: int
):
    # A still picture for an hour; at this quality its packets reach the disk at once.
    arguments = ["--input", face, "--face", face, "--output", "out.mp4", "--seconds", "3600"]
    options = ["--consent", "licensed", "--stats", "stats.json", "--set", "output.crf=1"]
    with subprocess.Popen(
        [*PROGRAM, *arguments, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: any(path.stat().st_size > 0 for path in folder.glob("*out*")))
            process.send_signal(number)
            signalled = time.monotonic()
            _, said = process.communicate(timeout=10)
            assert time.monotonic() - signalled < 3.0
        finally:
            process.kill()
    assert process.returncode == code, said
    assert len(read_clip(folder / "out.mp4")) > 0
    names = {path.name for path in folder.glob("*out*")}
    assert names == {"out.mp4", "out.mp4.rtswap.json"}
    assert read_stats(folder / "stats.json")["reason"] == "stopped"


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def verified(capfd: pytest.CaptureFixture[str], name: str) -> tuple[int, Any]:
    """Exit code and findings of ``rt-swap verify``."""
    capfd.readouterr()
    code = main(["verify", "--json", name])
    return code, json.loads(capfd.readouterr().out)


def test_what_a_run_writes_is_marked_and_verify_says_so(
    folder: Path, face: str, clip: str, capfd: pytest.CaptureFixture[str]
):
    run = ["--input", clip, "--face", face, "--consent", "licensed", "--output", "out.mp4"]
    assert main(run) == 0
    said = capfd.readouterr().err
    code, found = verified(capfd, "out.mp4")
    assert (code, found["verdict"]) == (0, "marked")
    assert len(found["sessions"]) == 1
    assert f"session {found['sessions'][0]}: label, invisible mark" in said
    assert found["label"]["seen"]
    sidecar = json.loads((folder / "out.mp4.rtswap.json").read_text())["run"]
    assert [entry["consent"] for entry in sidecar["faces"]] == ["licensed"]
    assert sidecar["models"]["face_landmark"]
    assert sidecar["label"] == {"preset": "eu", "duties_acknowledged": False}
    (folder / "out.mp4").write_bytes((folder / "out.mp4").read_bytes() + b"x")
    assert verified(capfd, "out.mp4")[0] == 2


def test_clean_input_is_not_marked(clip: str, capfd: pytest.CaptureFixture[str]):
    code, found = verified(capfd, clip)
    assert (code, found["verdict"]) == (1, "not marked")
    assert not found["label"]["seen"]


def test_turning_the_label_off_is_recorded_and_the_rest_stays(
    folder: Path, clip: str, capfd: pytest.CaptureFixture[str], fails: Fails
):
    run = ("--input", clip, "--face", "synthetic", "--output", "out.mp4", "--no-label")
    code, line = fails(*run)
    assert code == 2
    assert "--i-understand-labelling-duties" in line
    assert not (folder / "out.mp4").exists()
    assert main([*run, "--i-understand-labelling-duties"]) == 0
    code, found = verified(capfd, "out.mp4")
    assert code == 0
    assert not found["label"]["seen"]
    assert found["mark"]["session"] in found["sessions"]
    sidecar = json.loads((folder / "out.mp4.rtswap.json").read_text())["run"]
    assert sidecar["label"] == {"preset": "off", "duties_acknowledged": True}
    assert found["aigc"]["unlabelled"]
    with av.open("out.mp4") as film:
        assert film.metadata["comment"].endswith("The visible label was turned off.")


def test_pictures_of_another_size_and_covered_ones_are_marked_too(
    folder: Path, clip: str, capfd: pytest.CaptureFixture[str]
):
    # A face is hardly ever that certain, so every picture is covered.
    run = ["--input", clip, "--face", "synthetic", "--output", "out.mkv", "--size", "640x360"]
    assert main([*run, "--on-loss", "slate", "--set", "track.min_score=0.9999"]) == 0
    code, found = verified(capfd, "out.mkv")
    assert code == 0
    assert found["mark"]["session"] in found["sessions"]
    assert found["label"]["seen"]


@pytest.mark.parametrize("what", ["face", "input"])
def test_what_an_operator_refuses_is_not_shown(
    folder: Path,
    face: str,
    clip: str,
    what: str,
    fails: Fails,
    monkeypatch: pytest.MonkeyPatch,
):
    filters = "def face(p):\n    return 'no'\n\nseen = []\ndef input(p):\n    seen.append(p)\n"
    (folder / "operators_filter.py").write_text(
        filters + "    return 'no' if len(seen) > 1 else None\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "operators_filter", raising=False)
    code, line = fails(
        "--input", clip, "--face", face, "--consent", "self", "--output", "out.mp4",
        "--content-check", f"operators_filter:{what}",
    )  # fmt: skip
    assert code == 3
    assert "the content check refuses it, got: no." in line
    assert ("me.png" in line) == (what == "face")
    assert not (folder / "out.mp4").exists()


def test_a_missing_file_cannot_be_verified(fails: Fails):
    code, line = fails("verify", "none.mp4")
    assert code == 7
    assert "none.mp4" in line


def test_memory_is_given_back_when_nothing_of_a_run_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    made, left = [], []

    def make(plan: Plan) -> Pipeline:
        pipeline = Pipeline(plan)
        made.append(weakref.ref(pipeline))
        return pipeline

    monkeypatch.setattr(realtime.app, "Pipeline", make)
    monkeypatch.setattr(realtime.app, "give_back_freed", lambda: left.append(made[-1]()))
    line = "--camera synthetic --face synthetic --output null --seconds 0.2 --size 320x180"
    assert main(line.split()) == 0
    assert left == [None]
