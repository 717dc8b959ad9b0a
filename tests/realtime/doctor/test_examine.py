import json
import subprocess
import sys

import pytest

from engines.errors import ModelError
from realtime import doctor_command
from realtime.cli import main
from realtime.doctor import examine as module
from realtime.doctor.examine import all_checks, examine
from realtime.doctor.finding import Finding, Level


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no cv2"),
        AttributeError("module 'cv2' has no attribute 'CAP_ANY'"),
        OSError("busy"),
        ModelError("damaged."),
        ValueError("odd"),
    ],
)
def test_a_check_that_breaks_is_a_problem_and_the_others_go_on(error):
    def breaks():
        yield Finding("first", Level.OK, "seen before")
        raise error

    fine = Finding("display", Level.OK, "none")
    diagnosis = examine([("cameras", breaks), ("display", lambda: [fine])])
    before, broken, after = diagnosis.findings
    assert (before.text, after) == ("seen before", fine)
    assert (broken.subject, broken.level) == ("cameras", Level.PROBLEM)
    assert str(error).rstrip(".") in broken.text
    assert diagnosis.exit_code == 1


def test_everything_named_in_the_manual_is_looked_at():
    names = {name for name, _ in all_checks()}
    assert names >= {"python", "packages", "gpu", "inference", "models", "cameras", "display"}
    assert "consent" in names


@pytest.mark.parametrize(("level", "code"), [(Level.OK, 0), (Level.WARNING, 0), (Level.PROBLEM, 1)])
def test_the_command_prints_and_ends_with_the_verdict(level, code, monkeypatch, capsys):
    finding = Finding("cameras", level, "seen", "Plug it in" if code else "")
    monkeypatch.setattr(module, "all_checks", lambda: (("cameras", lambda: [finding]),))
    assert main(["doctor"]) == code
    assert f"{level.value:8} cameras: seen" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["findings"][0]["subject"]) == (level.value, "cameras")
    assert {"cpu", "cores"} <= set(found["machine"])


def test_the_command_is_light_until_it_runs():
    assert not hasattr(doctor_command, "examine")


@pytest.mark.parametrize("module", ["cv2", "onnxruntime"])
def test_a_package_that_has_lost_its_files_is_found_by_the_whole_examination(module, tmp_path):
    (tmp_path / module).mkdir()
    (tmp_path / module / "__init__.py").touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + (
        "from realtime.cli import main; sys.exit(main(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    found = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "problem"]
    first = next(one for one in found if one["subject"] == module)
    assert "--force-reinstall" in first["cure"]
    broken = [one for one in found if "could not be looked at" in one["text"]]
    assert broken
    assert all("first" in one["cure"] for one in broken)


def test_the_whole_examination_ends_on_this_machine():
    diagnosis = examine()
    subjects = {finding.subject for finding in diagnosis.findings}
    assert {"python", "processor", "gpu", "inference", "display"} <= subjects
    assert not [one for one in diagnosis.findings if "could not be looked at" in one.text]
