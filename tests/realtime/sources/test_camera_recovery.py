"""A camera that is unplugged and plugged in again, in every way a driver may show it."""

import threading
import time
from importlib import util
from itertools import count
from pathlib import Path

import pytest

from realtime.sources import camera as camera_module
from realtime.sources import watchdog
from realtime.sources.camera import Camera
from realtime.stage import SourceHealth

_SPEC = util.spec_from_file_location("sockets", Path(__file__).parents[1] / "sockets.py")
sockets = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sockets)

KNOWN, Socket, opened = sockets.KNOWN, sockets.Socket, sockets.opened
picture, seconds_until = sockets.picture, sockets.seconds_until


class Filling:
    """What a pipeline does: one thread that fills until there is no more."""

    def __init__(self, source: Camera) -> None:
        self.source = source
        self.media_ns: list[int] = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        image = picture(0)
        while (media_ns := self.source.fill(image)) is not None:
            self.media_ns.append(media_ns)


@pytest.mark.parametrize("unplugged", ["fails", "blocks", "repeats"])
def test_an_unplugged_camera_is_lost_within_a_second_and_back_within_two(
    unplugged, caplog, monkeypatch
) -> None:
    # How long a picture must stay the same is tested elsewhere; here it would only take time.
    monkeypatch.setattr(watchdog, "FROZEN_NS", 300_000_000)
    monkeypatch.setattr(camera_module, "LOOK_NS", 100_000_000)
    socket = Socket(unplugged)
    source = opened(socket)
    filling = Filling(source)
    seconds_until(lambda: len(filling.media_ns) > 3)
    socket.unplug()
    assert seconds_until(lambda: source.health is SourceHealth.LOST) < 1.0
    num_before = len(filling.media_ns)
    socket.plug()
    assert seconds_until(lambda: len(filling.media_ns) > num_before) < 2.0
    seconds_until(lambda: source.health is SourceHealth.GOOD)
    source.close()
    socket.unblocked.set()
    filling.thread.join(5)
    assert not filling.thread.is_alive()
    assert socket.num_opened >= 2
    assert filling.media_ns == sorted(filling.media_ns)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2, said
    assert ": lost; " in said[0]
    assert ": back after " in said[1]
    assert "64×48 at 30 Hz" in said[1]


def test_a_camera_that_is_silent_for_a_moment_is_not_opened_again(caplog, monkeypatch) -> None:
    monkeypatch.setattr(camera_module, "LOST_S", 0.15)
    silent = threading.Event()

    class Hiccup(Socket):
        def read(self):
            while silent.is_set():
                time.sleep(0.005)
            return super().read()

    socket = Hiccup()
    source = opened(socket)
    filling = Filling(source)
    seconds_until(lambda: len(filling.media_ns) > 3)
    silent.set()
    seconds_until(lambda: source.health is SourceHealth.LOST)
    silent.clear()
    seconds_until(lambda: source.health is SourceHealth.GOOD)
    source.close()
    filling.thread.join(5)
    assert socket.num_opened == 1
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [": lost; " in said[0], ": back after 0." in said[1], len(said)] == [True, True, 2]


def test_the_search_for_a_lost_camera_ends_when_it_is_closed() -> None:
    socket = Socket()
    source = opened(socket)
    filling = Filling(source)
    socket.unplug()
    seconds_until(lambda: source.health is SourceHealth.LOST)
    began = time.monotonic()
    source.close()
    filling.thread.join(5)
    assert not filling.thread.is_alive()
    assert time.monotonic() - began < 1.0


def test_a_hundred_cameras_leave_no_thread_behind() -> None:
    before = set(threading.enumerate())
    for _ in range(100):
        opened(Socket()).close()
    seconds_until(lambda: set(threading.enumerate()) <= before)


def test_a_camera_that_shows_the_same_picture_for_two_seconds_is_frozen() -> None:
    times = count(0, 500_000_000)
    values = iter([7, 7, 7, 7, 7, 8])
    step = threading.Semaphore(0)

    class Still(Socket):
        def read(self):
            step.acquire(timeout=5)
            value = next(values, None)
            return value is not None, picture(value or 0)

    socket = Still()
    source = Camera(
        0,
        capture=socket,
        cameras=lambda: [KNOWN],
        where=socket.where,
        clock=lambda: next(times),
    )
    step.release()
    source.open()
    image, seen = picture(0), []
    for _ in range(6):
        source.fill(image)
        seen.append(source.health)
        step.release()
    assert seen == [SourceHealth.GOOD] * 4 + [SourceHealth.FROZEN, SourceHealth.GOOD]
    source.close()
    step.release()
