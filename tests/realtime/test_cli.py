import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from realtime.cli import main

CHECKOUT = Path(__file__).parents[2]
HEAVY = {"numpy", "cv2", "av", "onnxruntime", "onnx", "pydantic", "yaml", "psutil"}


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    code = main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("rt-swap: ")
    return code, lines[0]


def test_help_loads_nothing_heavy_and_takes_less_than_half_a_second():
    program = (
        "import sys, time\n"
        "from realtime.cli import main\n"
        "code = main(['--help'])\n"
        "print(code, time.process_time(), *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    code, seconds, *modules = done.stderr.split()
    assert code == "0"
    # Time of the processor: the clock on the wall also counts what else the machine does.
    assert float(seconds) < 0.5
    assert not HEAVY & set(modules)
    assert "--virtual-camera" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_a_signal_ends_says_which_it_was(monkeypatch, capsys, number, code):
    monkeypatch.setattr("realtime.bench.ring.measure_ring", lambda _: signal.raise_signal(number))
    assert main(["bench", "ring"]) == code
    assert capsys.readouterr().err == ""


def test_nothing_given_shows_short_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert "rt-swap demo" in shown
    assert len(shown.splitlines()) < 12


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    try:
        expected = f"rt-swap {version('rt-swap')}\n"
    except PackageNotFoundError:
        expected = "rt-swap, run from a checkout that is not installed\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus"], "No such option: --bogus"),
        (["dance"], "No such command 'dance'"),
        (["models"], "Missing command"),
        (["--camera", "0"], "--face: a picture of the face must be given"),
        (["--camera", "0", "--input", "a", "--face", "b"], "exactly one of them"),
        (["--face", "b"], "exactly one of them"),
        (["--input", "a.mp4", "--face", "b"], "--input: an output must be given"),
        (["--camera", "0", "--face", "b", "--seconds", "0"], "'--seconds'"),
        (["--camera", "0", "--face", "b", "--seconds", "inf"], "'--seconds'"),
        (["demo", "--seconds", "inf"], "'--seconds'"),
        (["bench", "pipeline", "--seconds", "inf"], "'--seconds'"),
        (["--camera", "0", "--face", "b", "--on-loss", "x"], "'x' is not one of 'hold'"),
        (["--camera", "0", "--face", "b", "--consent", "x"], "'x' is not one of 'self'"),
        (["--camera", "0", "--face", "b", "--keep", "nose"], "'nose' is not one of 'glasses'"),
        (["--camera", "0", "--face", "b", "--size", "big"], "must be WIDTHxHEIGHT"),
        (["--camera", "0", "--face", "b", "--set", "trak.max_faces=2"], "Did you mean track.max_"),
        (["--camera", "0", "--face", "b", "--config", "none.yaml"], "none.yaml: must be a YAML"),
        (["--camera", "0", "--face", "b", "--device", "cuda"], "device.kind: without a"),
        (["--input", "a", "--output", "b", "--face", "c", "--fps", "30"], "--fps: a file keeps"),
        (["--camera", "0", "--map", "a.png"], "--map a.png: must be two pictures"),
        (["--camera", "0", "--face", "b", "--faces", "some"], "'some' is not one of 'one'"),
        (["--camera", "0", "--face", "b", "--swapper", "Mesh!"], "swapper: "),
        (["--camera", "0", "models", "list"], "options of the main command cannot be used"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    code, line = error_of(capsys, *arguments)
    assert code == 2
    assert message in line


def test_an_unknown_model_is_exit_code_2(capsys: pytest.CaptureFixture[str]):
    code, line = error_of(capsys, "models", "show", "nobody")
    assert code == 2
    assert "nobody: must be a name of the catalogue" in line


def test_the_list_of_models_says_what_is_not_here_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("RT_SWAP_CACHE", str(tmp_path))
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["face_landmark", "default"] for line in lines)
    assert lines[-1] == f"kept in {tmp_path / 'models'}"


def test_a_model_is_shown_with_its_licence_and_origin(capsys: pytest.CaptureFixture[str]):
    assert main(["models", "show", "face_landmark"]) == 0
    shown = capsys.readouterr().out
    assert "Apache-2.0" in shown
    assert "face_landmark.tflite in the wheel mediapipe-0.10.21" in shown
