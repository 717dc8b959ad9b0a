from fractions import Fraction

from realtime.doctor.cameras import CameraFacts, check_cameras, describe_mode
from realtime.doctor.finding import Level
from realtime.v4l2 import Mode

FREE = CameraFacts(0, "Webcam", "/dev/video0", modes=("MJPG 1280x720@30",))
LOCKED = CameraFacts(1, "Other", "/dev/video1", readable=False)
BUSY = CameraFacts(2, "Third", "/dev/video2", users=("zoom (77)",))


def levels(*cameras):
    return [finding.level for finding in check_cameras(lambda: cameras)]


def test_a_camera_is_told_with_its_name_and_modes():
    (finding,) = check_cameras(lambda: [FREE])
    assert finding.level is Level.OK
    assert finding.lines() == ["ok       camera 0: Webcam /dev/video0: MJPG 1280x720@30"]


def test_one_camera_that_can_be_used_is_enough():
    assert levels(LOCKED, BUSY, FREE) == [Level.WARNING, Level.WARNING, Level.OK]


def test_cameras_that_cannot_be_used_are_a_problem_with_their_cures():
    locked, busy, verdict = check_cameras(lambda: [LOCKED, BUSY])
    assert "usermod -aG video" in locked.cure
    assert "Close zoom (77)" in busy.cure
    assert verdict.level is Level.PROBLEM


def test_no_camera_is_a_problem():
    assert levels() == [Level.PROBLEM]


def test_a_mode_is_told_in_a_few_letters():
    assert describe_mode(Mode("YUYV", 640, 480, Fraction(30))) == "YUYV 640x480@30"
    assert describe_mode(Mode("MJPG", 640, 480, Fraction(30000, 1001))) == "MJPG 640x480@29.97"
    assert describe_mode(Mode("YU12", 640, 480, None)) == "YU12 640x480"
