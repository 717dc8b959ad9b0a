"""Counting what a change costs."""

import threading

import pytest

from engines.errors import ModelError
from tools.change_live import SETTLE_S, Outcome, Span, describe, joined, main, span, watch


def counts(captured, stale, overrun=0, failed=0):
    return {
        "captured": captured,
        "dropped_stale": stale,
        "dropped_overrun": overrun,
        "failed": failed,
    }


class FakePipeline:
    """Counts that move on with each look, and with each change."""

    def __init__(self):
        self.now = counts(100, 7)

    def stats(self):
        frames = dict(self.now)
        self.now["captured"] += 30
        return {"frames": frames}


class InstantStop(threading.Event):
    """Notes how long it was waited for, and does not wait."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return False


def test_every_end_but_delivery_is_a_loss():
    assert span(counts(10, 1, 2, 3), counts(40, 2, 4, 6), 1.0) == Span(1.0, 30, 6)


def test_losses_are_told_apart_by_whether_there_was_a_change():
    pipeline, stop = FakePipeline(), InstantStop()

    def change():
        pipeline.now["dropped_stale"] += 4

    seen = watch(pipeline, change, 0.0, stop)
    assert [(one.captured, one.lost) for one in seen.quiet] == [(30, 0)]
    assert [(one.captured, one.lost) for one in seen.changed] == [(30, 4)]
    assert stop.waits[0] == SETTLE_S
    assert stop.is_set()


def test_spans_with_and_without_a_change_take_turns():
    pipeline, stop, looks = FakePipeline(), InstantStop(), []

    def change():
        looks.append(pipeline.now["captured"])
        pipeline.now["failed"] += len(looks)

    seen = watch(pipeline, change, 0.0, stop, 3)
    assert looks == [160, 220, 280]
    assert [one.lost for one in seen.quiet] == [0, 0, 0]
    assert [one.lost for one in seen.changed] == [1, 2, 3]


def test_spans_are_added_up_and_the_losses_shown_change_by_change():
    quiet, changed = (Span(1.0, 30, 0),) * 2, (Span(1.25, 30, 1), Span(1.5, 40, 2))
    assert joined(changed) == Span(2.75, 70, 3)
    lines = describe(Outcome(quiet, changed)).splitlines()
    assert lines[0].endswith("60 captured    0 lost    0.0%  in turn: 0 0")
    assert lines[1].endswith("70 captured    3 lost    4.3%  in turn: 1 2")


def test_no_change_at_all_is_no_measurement(capsys):
    assert main(["--changes", "0"]) == 2
    assert capsys.readouterr().err == "--changes: must be at least 1, got 0.\n"


def test_a_change_that_fails_ends_the_run_all_the_same():
    stop = InstantStop()

    def change():
        raise ModelError("gone")

    with pytest.raises(ModelError, match="gone"):
        watch(FakePipeline(), change, 0.0, stop)
    assert stop.is_set()


def test_a_swapper_that_is_none_is_one_line(capsys):
    assert main(["--to", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("swapper: must be 'mesh'")


def test_a_setting_of_the_configuration_can_be_given(capsys):
    assert main(["--set", "neural.threads=none"]) == 2
    assert capsys.readouterr().err.startswith("neural.threads: ")
