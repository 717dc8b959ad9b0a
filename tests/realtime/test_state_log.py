from realtime.metrics import SECOND_NS, RunState
from realtime.state_log import StateLog


def test_every_change_is_said_once_and_times_add_up(caplog):
    caplog.set_level("INFO")
    now = [0]
    log = StateLog(lambda: now[0] * SECOND_NS)
    for state, seconds in [
        (RunState.STARTING, 1),
        (RunState.RUNNING, 5),
        (RunState.RUNNING, 5),
        (RunState.SOURCE_LOST, 2),
        (RunState.RUNNING, 3),
        (RunState.STOPPING, 1),
    ]:
        log.note(state)
        now[0] += seconds
    assert [record.getMessage() for record in caplog.records] == [
        "state: STARTING",
        "state: RUNNING",
        "state: SOURCE_LOST",
        "state: RUNNING",
        "state: STOPPING",
    ]
    assert log.as_dict() == {
        "starting": {"times": 1, "seconds": 1.0},
        "running": {"times": 2, "seconds": 13.0},
        "source_lost": {"times": 1, "seconds": 2.0},
        "stopping": {"times": 1, "seconds": 1.0},
    }


def test_hiding_and_showing_are_said_once_each(caplog):
    log = StateLog(lambda: 0)
    for hidden in (False, True, True, False, False):
        log.note_hidden(hidden)
    assert [record.getMessage() for record in caplog.records] == [
        "the picture is hidden.",
        "the picture is shown again.",
    ]


def test_a_run_that_never_began_has_no_states():
    assert StateLog(lambda: 0).as_dict() == {}
