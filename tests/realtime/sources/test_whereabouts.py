import cv2
import pytest

from realtime.sources.devices import CameraDevice
from realtime.sources.whereabouts import Identity, Place, identify, locate

V4L2 = cv2.CAP_V4L2
WEBCAM = CameraDevice(2, "Webcam", "/dev/video2", V4L2)
MOVED = CameraDevice(5, "Webcam", "/dev/video5", V4L2)
TWIN = CameraDevice(6, "Webcam", "/dev/video6", V4L2)
OTHER = CameraDevice(2, "Other", "/dev/video2", V4L2)


@pytest.fixture
def dev(tmp_path):
    for number in (2, 5, 6):
        (tmp_path / f"video{number}").touch()
    return tmp_path


def found(identity, cameras, dev):
    place = locate(identity, lambda: cameras, platform="linux", dev=dev)
    return None if place is None else place.index


def test_a_camera_is_known_by_its_name_and_path_where_there_are_no_links(tmp_path) -> None:
    identity = identify((2, V4L2), [OTHER, WEBCAM][1:], links=tmp_path)
    assert identity == Identity(2, V4L2, "Webcam", "/dev/video2")


@pytest.mark.parametrize(
    ("cameras", "index"),
    [([WEBCAM], 2), ([MOVED], 5), ([OTHER, MOVED], 5), ([OTHER], None), ([], None)],
)
def test_a_camera_is_found_under_another_number(cameras, index, dev, tmp_path) -> None:
    identity = identify((2, V4L2), [WEBCAM], links=tmp_path)
    assert found(identity, cameras, dev) == index


def test_of_two_alike_only_the_one_in_the_same_place_is_taken(dev, tmp_path) -> None:
    identity = identify((2, V4L2), [WEBCAM], links=tmp_path)
    assert found(identity, [WEBCAM, TWIN], dev) == 2
    assert found(identity, [MOVED, TWIN], dev) is None


def test_the_systems_link_is_followed_wherever_it_leads(dev) -> None:
    folder = dev / "by-id"
    folder.mkdir()
    link = folder / "usb-Webcam_SN1-video-index0"
    link.symlink_to(dev / "video2")
    identity = identify((2, V4L2), [WEBCAM], links=dev)
    assert identity.link == link
    link.unlink()
    assert found(identity, [WEBCAM], dev) is None
    link.symlink_to(dev / "video5")
    assert found(identity, [], dev) == 5


def test_a_device_that_comes_back_under_its_old_name_is_told_from_the_one_before(dev) -> None:
    identity = Identity(2, V4L2)
    before = locate(identity, list, platform="linux", dev=dev)
    (dev / "video2").unlink()
    assert locate(identity, list, platform="linux", dev=dev) is None
    (dev / "unrelated").touch()
    (dev / "video2").touch()
    after = locate(identity, list, platform="linux", dev=dev)
    assert before is not None
    assert after is not None
    assert after != before
    assert (before.index, before.backend) == (after.index, after.backend)


def test_elsewhere_the_list_of_cameras_decides() -> None:
    identity = Identity(0, cv2.CAP_DSHOW, "Webcam", r"\\?\usb#vid_046d")
    listed = CameraDevice(1, "Webcam", r"\\?\usb#vid_046d", cv2.CAP_DSHOW)
    twin = CameraDevice(0, "Webcam", r"\\?\usb#vid_9999", cv2.CAP_DSHOW)
    place = locate(identity, lambda: [twin, listed], platform="win32")
    assert place == Place(1, cv2.CAP_DSHOW)
    assert locate(identity, list, platform="win32") is None


def test_a_camera_nobody_lists_is_tried_where_it_was(dev) -> None:
    assert found(Identity(6, V4L2), [], dev) == 6
