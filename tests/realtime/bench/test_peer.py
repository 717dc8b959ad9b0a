import sys
import threading
import time
from fractions import Fraction

import psutil
import pytest

from realtime.bench import peer
from realtime.bench.peer import feeding, run_program
from realtime.errors import SinkError, UsageError
from realtime.frame import PictureSpec
from realtime.worker import Fault

SPEC = PictureSpec(32, 24, Fraction(30), live=True)
SLEEPER = f'{sys.executable} -c "import time; time.sleep(30)"'


def never():
    return False


def python(code):
    return f"{sys.executable} -c '{code}'"


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_program_is_run_from_its_first_picture_and_told_what_it_took():
    spin = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    began = time.monotonic()
    usage, ended_ns = run_program(
        f'{sys.executable} -c "{spin}"', 0.6, lambda: time.monotonic() > began + 1.0, Fault()
    )
    assert 1.6 <= ended_ns / 1e9 - began <= time.monotonic() - began < 20
    assert 5 < usage["cpu_percent"] < 150
    assert usage["memory_mb"] > 1


@pytest.mark.parametrize("command", ["/no/such/program", '"', "", python("exit(3)")])
def test_another_program_that_does_not_run_is_said(command):
    with pytest.raises(UsageError, match="--command"):
        run_program(command, 5.0, never, Fault())


def test_another_program_that_breaks_off_is_said():
    with pytest.raises(UsageError, match=r"must run 5 s, got exit 3\."):
        run_program(python("import time; time.sleep(0.5); exit(3)"), 5.0, lambda: True, Fault())


def test_another_program_that_shows_nothing_is_said(monkeypatch):
    monkeypatch.setattr(peer, "SHOW_S", 0.2)
    with pytest.raises(UsageError, match=r"must show a picture within 0\.2 s, got none"):
        run_program(SLEEPER, 5.0, never, Fault())


def test_another_program_that_ends_well_without_a_picture_is_said():
    with pytest.raises(UsageError, match="must show a picture, got exit 0 before"):
        run_program(python("pass"), 5.0, never, Fault())


def test_nothing_is_waited_for_once_the_stamped_camera_is_gone():
    fault = Fault()
    fault.record(SinkError("gone"))
    began = time.monotonic()
    run_program(SLEEPER, 0.1, never, fault)
    assert time.monotonic() - began < 10


def test_what_a_program_has_started_ends_with_it(tmp_path):
    number = tmp_path / "number"
    run_program(
        f"sh -c '{SLEEPER} & echo $! > {number}; wait'",
        0.1,
        lambda: number.exists() and number.read_text().endswith("\n"),
        Fault(),
    )

    def is_gone():
        try:
            return psutil.Process(int(number.read_text())).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(is_gone)


def test_what_a_program_prints_does_not_mix_with_our_output(capfd):
    run_program(python("print(77)"), 5.0, lambda: True, Fault())
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "77\n")


class Pictures:
    """A source that never ends, and a sink that may break."""

    def __init__(self, *, breaks=False):
        self.breaks, self.sent = breaks, threading.Event()

    def fill(self, image):
        return 0

    def send(self, image, media_ns):
        if self.breaks:
            raise SinkError("virtual camera: must stay connected.")
        self.sent.set()


def test_pictures_are_handed_on_for_as_long_as_the_block_lasts():
    pictures = Pictures()
    with feeding(pictures, pictures, SPEC, Fault()):
        assert pictures.sent.wait(20)
    pictures.sent.clear()
    assert not pictures.sent.wait(0.1)


def test_a_stamped_camera_that_breaks_is_the_reason_whatever_came_of_it():
    pictures, fault = Pictures(breaks=True), Fault()

    def measure():
        with feeding(pictures, pictures, SPEC, fault):
            wait_until(lambda: fault.error is not None)
            raise UsageError("a consequence")

    with pytest.raises(SinkError, match="must stay connected"):
        measure()
