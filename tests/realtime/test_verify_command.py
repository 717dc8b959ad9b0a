import json
from types import SimpleNamespace

import pytest

from realtime import marking
from realtime.cli import main


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["verify", "--json", "none.mp4"], 7),
        (["verify", "none.mp4", "--json"], 7),
        (["verify", "--json", "999"], 4),
        (["verify", "--json"], 2),
        (["verify", "--json", "--bogus", "a.mp4"], 2),
    ],
)
def test_a_program_that_asks_for_json_gets_it_when_nothing_can_be_found_out(
    arguments, code, capsys
):
    assert main(arguments) == code
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert (answer["verdict"], answer["exit_code"]) == (None, code)
    assert shown.err == f"rt-swap: {answer['error']}\n"


def test_a_file_that_is_no_video_is_an_error_and_no_finding(tmp_path, capsys):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not a film")
    assert main(["verify", "--json", str(path)]) == 7
    assert "must be a video file" in json.loads(capsys.readouterr().out)["error"]
    assert main(["verify", str(path)]) == 7
    assert capsys.readouterr().out == ""


def test_an_internal_error_is_told_too(monkeypatch, capsys):
    def fail(target):
        raise ArithmeticError("upside down")

    monkeypatch.setattr(marking, "verify_target", fail)
    assert main(["verify", "--json", "a.mp4"]) == 8
    assert "upside down" in json.loads(capsys.readouterr().out)["error"]


def test_findings_end_with_the_code_of_their_verdict(monkeypatch, capsys):
    found = SimpleNamespace(as_json=lambda: '{"verdict": "tampered"}', exit_code=2)
    monkeypatch.setattr(marking, "verify_target", lambda target: found)
    assert main(["verify", "--json", "a.mp4"]) == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "tampered"


def test_other_commands_print_no_json_for_their_errors(capsys):
    assert main(["doctor", "--bogus", "--json"]) == 2
    assert capsys.readouterr().out == ""
