import cv2
import pytest

from realtime.sources import refusal as module
from realtime.sources.devices import CameraDevice
from realtime.sources.refusal import why_not
from realtime.v4l2 import LOOPBACK_DRIVER, Capability

KNOWN = CameraDevice(0, "Fake Camera", "/dev/video0", cv2.CAP_V4L2)


@pytest.fixture(autouse=True)
def on_linux(monkeypatch):
    """A machine on which every device may be used and nobody uses one."""
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.os, "access", lambda *_: True)
    monkeypatch.setattr(module, "holders", lambda path: [])


def said(index=0, *, opened=False, **options):
    message = why_not(index, [KNOWN], opened=opened, waited_s=4.5, **options)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_a_camera_that_does_not_exist_is_told_with_those_that_do():
    message = said(97)
    assert message.startswith("must exist, got no such camera.")
    assert "0 (Fake Camera)" in message


def test_a_camera_without_permission_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    assert "usermod -aG video" in said()


def test_a_busy_camera_names_the_program_that_holds_it(monkeypatch):
    monkeypatch.setattr(module, "holders", lambda path: ["zoom (4242)"])
    assert "in use by zoom (4242)" in said()


def test_this_very_program_is_not_blamed(monkeypatch):
    monkeypatch.setattr(module, "holders", lambda path: [f"python ({module.os.getpid()})"])
    assert "must deliver pictures" in said()


@pytest.mark.parametrize(("opened", "what"), [(True, "no picture"), (False, "no answer")])
def test_a_camera_that_shows_nothing_says_how_long_was_waited(opened, what):
    assert f"got {what} within 4.5 s" in said(opened=opened)


@pytest.mark.parametrize(
    ("captures", "part"),
    [(False, "got a virtual one (OBS) that no program writes to"), (True, "must deliver pictures")],
)
def test_a_virtual_camera_that_nobody_writes_to_is_told_apart(tmp_path, captures, part):
    (tmp_path / "video0").mkdir()
    device = Capability(LOOPBACK_DRIVER, "OBS", captures=captures, outputs=not captures)
    assert part in said(virtual=tmp_path, query=lambda path: device)


def test_a_device_with_hardware_behind_it_is_not_asked(tmp_path):
    def query(path):
        raise AssertionError

    assert "must deliver pictures" in said(virtual=tmp_path, query=query)
