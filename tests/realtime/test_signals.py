import signal
import threading

import pytest

from realtime.signals import GRACE_NS, HIDES, catch_stop_signals


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_others_are_passed_over_while_the_run_ends(
    number: signal.Signals, code: int
):
    stop, clock = threading.Event(), Clock()
    with catch_stop_signals(clock) as signals:
        with signals.asking(stop):
            signal.raise_signal(number)
            assert stop.is_set()
            signal.raise_signal(signal.SIGINT)
        clock.now_ns += GRACE_NS - 1
        signal.raise_signal(signal.SIGTERM)
        assert signals.exit_code == code


def test_a_signal_ends_the_program_when_the_run_should_have_ended_long_ago():
    stop, clock = threading.Event(), Clock()
    with catch_stop_signals(clock) as signals, signals.asking(stop):
        signal.raise_signal(signal.SIGTERM)
        clock.now_ns += GRACE_NS
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signals.exit_code == 143


def test_a_signal_ends_the_program_at_once_where_nobody_can_be_asked():
    with catch_stop_signals() as signals:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert signals.exit_code == 143


def test_nobody_is_asked_any_more_after_the_block():
    stop = threading.Event()
    with catch_stop_signals() as signals:
        with signals.asking(stop):
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert not stop.is_set()


@pytest.mark.skipif(HIDES is None, reason="no such signal on this system")
def test_a_user_signal_hides_the_picture_and_the_next_one_shows_it_again():
    former = signal.getsignal(HIDES)
    with catch_stop_signals() as signals:
        seen = [signals.hidden.is_set()]
        for _ in range(2):
            signal.raise_signal(HIDES)
            seen.append(signals.hidden.is_set())
        assert signals.exit_code == 0
    assert seen == [False, True, False]
    assert signal.getsignal(HIDES) == former


def test_without_a_signal_the_exit_code_is_zero_and_the_former_handlers_come_back():
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with catch_stop_signals() as signals:
        assert signals.exit_code == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former
