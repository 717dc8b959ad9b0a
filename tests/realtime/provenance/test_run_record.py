import json
import platform

from realtime.config import Config
from realtime.provenance.run_record import RunRecord, draw_session


def test_a_record_is_json_with_hashes_and_settings_and_no_name():
    run = RunRecord(
        session=255,
        label="eu",
        strength="standard",
        faces={"b" * 64: "self"},
        models={"landmarks": "c" * 64},
        settings=Config().model_dump(mode="json"),
    )
    record = json.loads(json.dumps(run.as_json()))
    assert record["session"] == "000000ff"
    assert record["libraries"]["python"] == platform.python_version()
    assert {"numpy", "onnxruntime"} <= set(record["libraries"])
    assert record["faces"] == [{"sha256": "b" * 64, "consent": "self"}]
    assert record["models"] == {"landmarks": "c" * 64}
    assert record["settings"]["guard"]["on_loss"] == "hold"
    assert record["label"] == {"preset": "eu", "duties_acknowledged": False}


def test_a_label_that_was_turned_off_is_recorded():
    record = RunRecord(session=1, label="off", strength="standard").as_json()
    assert record["label"] == {"preset": "off", "duties_acknowledged": True}


def test_the_built_in_face_needs_no_consent():
    record = RunRecord(session=1, label="eu", strength="standard").as_json()
    assert record["faces"] == [{"built_in": True}]


def test_sessions_have_32_bits_and_differ():
    sessions = {draw_session() for _ in range(50)}
    assert len(sessions) > 45
    assert all(0 <= session < 2**32 for session in sessions)


def test_a_record_that_grows_keeps_what_was_there_before():
    run = RunRecord(session=1, label="eu", strength="standard", faces={"b" * 64: "self"})
    more = run.extended({"a" * 64: "licensed"}, {"two": "c" * 64}).extended({}, {}, built_in=True)
    assert more.as_json()["faces"] == [
        {"built_in": True},
        {"sha256": "a" * 64, "consent": "licensed"},
        {"sha256": "b" * 64, "consent": "self"},
    ]
    assert more.models == {"two": "c" * 64}
    assert run.as_json()["faces"] == [{"sha256": "b" * 64, "consent": "self"}]


def test_a_label_that_was_turned_off_is_in_the_comment():
    assert RunRecord(session=1, label="off", strength="standard").comment().endswith("turned off.")
