"""The program as a process of its own: how it is called, and how an impatient person ends it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

CHECKOUT = Path(__file__).parents[2]
ENDLESS = ["--camera", "synthetic", "--face", "synthetic", "--output", "out.mp4"]


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program running in a folder; ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "realtime", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_film(folder: Path, *, min_bytes: int) -> None:
    """Waits until a film has been begun and has grown to some size."""
    deadline_s = time.monotonic() + 30
    while not any(path.stat().st_size >= min_bytes for path in folder.glob("out*")):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.parametrize("module", ["realtime", "realtime.cli"])
def test_the_program_runs_as_a_module(module: str):
    done = subprocess.run(
        [sys.executable, "-m", module, "--camera", "0"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("rt-swap: --face: a picture of the face must be given")


@pytest.mark.models
@pytest.mark.skipif(os.name == "nt", reason="signals are sent the POSIX way")
@pytest.mark.parametrize("pause_s", [0.01, 0.1, 0.4])
def test_pressing_ctrl_c_again_costs_neither_the_file_nor_the_exit_code(
    tmp_path: Path, pause_s: float
):
    with started(tmp_path, *ENDLESS, "--set", "output.crf=1") as process:
        wait_for_film(tmp_path, min_bytes=1)
        pressed_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        while process.poll() is None and time.monotonic() - pressed_s < 3.0:
            time.sleep(pause_s)
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert time.monotonic() - pressed_s < 3.0
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "out.mp4.rtswap.json"}
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 0


@pytest.mark.models
@pytest.mark.skipif(os.name == "nt", reason="signals are sent the POSIX way")
def test_ctrl_c_as_the_film_begins_leaves_a_whole_one_or_none(tmp_path: Path):
    with started(tmp_path, *ENDLESS) as process:
        wait_for_film(tmp_path, min_bytes=0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} <= {"out.mp4", "out.mp4.rtswap.json"}
