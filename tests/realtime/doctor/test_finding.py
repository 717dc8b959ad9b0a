import json

import pytest

from realtime.doctor.finding import Diagnosis, Finding, Level

OK = Finding("python", Level.OK, "3.11.7")
WARNING = Finding("cv2", Level.WARNING, "owned twice", "Run: pip uninstall x")
PROBLEM = Finding("cameras", Level.PROBLEM, "none", "Plug one in")


@pytest.mark.parametrize(
    ("findings", "verdict", "exit_code"),
    [
        ([OK], Level.OK, 0),
        ([OK, WARNING], Level.WARNING, 0),
        ([PROBLEM, WARNING, OK], Level.PROBLEM, 1),
    ],
)
def test_only_a_problem_means_that_the_main_job_cannot_run(findings, verdict, exit_code):
    diagnosis = Diagnosis(findings, {})
    assert (diagnosis.verdict, diagnosis.exit_code) == (verdict, exit_code)
    assert ("cannot run" in diagnosis.lines()[-1]) == (exit_code == 1)


def test_the_cure_stands_below_what_it_mends():
    first, second = PROBLEM.lines()
    assert first == "problem  cameras: none"
    assert second.strip() == "-> Plug one in"


def test_a_long_list_is_cut_for_people_and_not_for_programs():
    modes = tuple(f"MJPG {width}x720" for width in range(20))
    finding = Finding("camera 0", Level.OK, "Cam", details=modes)
    (line,) = finding.lines()
    assert line.endswith("and 14 more")
    found = json.loads(Diagnosis([finding], {"cores": 2}).as_json())
    assert found["findings"][0]["details"] == list(modes)
    assert (found["verdict"], found["machine"]) == ("ok", {"cores": 2})
