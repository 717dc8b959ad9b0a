import json
from dataclasses import replace
from pathlib import Path

import pytest

from realtime import marking
from realtime.config import load_config
from realtime.consent import ConsentKind
from realtime.errors import ContentError, MediaError
from realtime.job import FaceChoice, synthetic_job
from realtime.marking import content_checks, describe_marks, open_record, open_seal, verify_target

JOB = synthetic_job(1.0)
FACE = Path(__file__).parents[2] / "realtime" / "synthetic_face.jpg"


@pytest.fixture
def record():
    consents = {"a" * 64: ConsentKind.WRITTEN}
    config = load_config(settings=["mark.producer=CODE1", "mark.strength=robust"])
    job = replace(JOB, faces=(FaceChoice(FACE),))
    return open_record(job, config, {"face_landmark": "b" * 64}, consents)


def test_the_record_says_what_the_run_is_made_of(record):
    content = json.loads(json.dumps(record.as_json()))
    assert content["faces"] == [{"sha256": "a" * 64, "consent": "written"}]
    assert content["models"] == {"face_landmark": "b" * 64}
    assert content["settings"]["mark"] == {
        "label": "eu",
        "strength": "robust",
        "producer": "CODE1",
    }
    assert record.producer == "CODE1"


def test_two_runs_have_two_sessions():
    config = load_config()
    sessions = {open_record(JOB, config, {}, {}).session for _ in range(3)}
    assert len(sessions) == 3


def test_a_camera_run_says_what_travels_with_its_pictures(record):
    line = describe_marks(record, open_seal(record, JOB))
    assert line.startswith(f"session {record.session_id}: label, invisible mark")
    assert "no C2PA" in line
    hidden = replace(record, label="off")
    assert "label" not in describe_marks(hidden, open_seal(hidden, JOB))


def test_a_file_says_whether_it_is_signed(record, tmp_path):
    path = tmp_path / "a.bmp"
    path.write_bytes(b"BM")
    seal = open_seal(record, JOB)
    seal.finish(path, path)
    assert "C2PA: not signed: C2PA knows no .bmp files" in describe_marks(record, seal)


@pytest.mark.parametrize(("target", "device"), [("3", 3), ("/dev/null", "/dev/null")])
def test_a_number_or_a_device_is_a_camera(monkeypatch, target, device):
    opened = []
    monkeypatch.setattr(marking, "Camera", lambda name, *rest, **options: opened.append(name))
    monkeypatch.setattr(marking, "verify_camera", lambda name, camera: name)
    assert verify_target(target) == target
    assert opened == [device]


def test_anything_else_is_a_file(tmp_path):
    with pytest.raises(MediaError, match=r"none\.mp4"):
        verify_target(str(tmp_path / "none.mp4"))


def test_a_name_that_no_file_can_have_is_an_error_of_the_input():
    with pytest.raises(MediaError, match="must be readable, got: File name too long"):
        verify_target("x" * 5000 + ".mp4")


def test_the_operators_filter_sees_every_picture_of_the_face_first(tmp_path, monkeypatch):
    (tmp_path / "size_filter.py").write_text("def small(p):\n    return f'{p.shape[0]} rows'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert content_checks(JOB) == ()
    job = replace(JOB, content_check="size_filter:small")
    assert [stage.name for stage in content_checks(job)] == ["content check"]
    with pytest.raises(ContentError, match=r"synthetic_face\.jpg: .* rows"):
        content_checks(replace(job, faces=(FaceChoice(FACE),)))


def test_an_operators_filter_that_raises_is_no_error_of_the_program(tmp_path, monkeypatch):
    (tmp_path / "raising_look.py").write_text("def look(picture):\n    raise OSError('offline')\n")
    monkeypatch.syspath_prepend(tmp_path)
    job = replace(JOB, content_check="raising_look:look", faces=(FaceChoice(FACE),))
    with pytest.raises(ContentError, match=r"\.jpg: the content check must answer, got OSError"):
        content_checks(job)
