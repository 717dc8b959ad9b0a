import signal
import threading

import pytest

from realtime.signals import catch_stop_signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_the_second_ends_at_once(number: signal.Signals, code: int):
    stop = threading.Event()
    with catch_stop_signals() as signals, signals.asking(stop):
        signal.raise_signal(number)
        assert stop.is_set()
        assert signals.exit_code == code
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signals.exit_code == code


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


def test_without_a_signal_the_exit_code_is_zero_and_the_former_handlers_come_back():
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with catch_stop_signals() as signals:
        assert signals.exit_code == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former
