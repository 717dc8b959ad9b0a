import cv2
import pytest

from realtime.errors import CameraError
from realtime.sources.devices import CameraDevice, backends, candidates, list_cameras, listing

V4L2 = cv2.CAP_V4L2
BUILT_IN = CameraDevice(0, "Integrated Camera", "/dev/video0", V4L2)
LOGI = CameraDevice(2, "Logitech BRIO", "/dev/video2", V4L2)
LOGI_2 = CameraDevice(4, "Logitech BRIO", "/dev/video4", V4L2)


@pytest.mark.parametrize("device", [2, "2", " 2 ", "/dev/video2"])
def test_numbers_and_paths_need_no_list(device) -> None:
    assert candidates(device, [], "linux") == [(2, V4L2)]


def test_a_link_to_a_device_is_followed(tmp_path) -> None:
    link = tmp_path / "my-camera"
    link.symlink_to("/dev/video7")
    assert candidates(str(link), [], "linux") == [(7, V4L2)]


@pytest.mark.parametrize("name", ["Logitech BRIO", "logitech", "brio"])
def test_a_part_of_the_name_in_any_case_will_do(name) -> None:
    assert candidates(name, [BUILT_IN, LOGI], "linux") == [(2, V4L2)]


def test_the_whole_name_wins_over_a_part_of_another() -> None:
    longer = CameraDevice(6, "Logitech BRIO Pro", "/dev/video6", V4L2)
    assert candidates("logitech brio", [longer, LOGI], "linux") == [(2, V4L2)]


@pytest.mark.parametrize("cameras", [[LOGI, LOGI_2], [BUILT_IN, LOGI]])
def test_a_name_that_several_have_is_refused_with_their_numbers(cameras) -> None:
    with pytest.raises(CameraError) as error:
        candidates("o" if BUILT_IN not in cameras else "i", cameras, "linux")
    assert "must mean one camera, got 2" in str(error.value)
    for camera in cameras:
        assert f"{camera.index} ({camera.name})" in str(error.value)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(CameraError, match=r"There are: 0 \(Integrated Camera\)"):
        candidates("obs", [BUILT_IN], "linux")
    with pytest.raises(CameraError, match="No camera is known"):
        candidates("obs", [], "linux")
    with pytest.raises(CameraError):
        candidates("", [BUILT_IN], "linux")


def test_windows_tries_directshow_before_media_foundation() -> None:
    assert backends("win32") == (cv2.CAP_DSHOW, cv2.CAP_MSMF)
    assert candidates(1, [], "win32") == [(1, cv2.CAP_DSHOW), (1, cv2.CAP_MSMF)]
    both = [
        CameraDevice(0, "USB Camera", "a", cv2.CAP_DSHOW),
        CameraDevice(1, "USB Camera", "b", cv2.CAP_MSMF),
    ]
    assert candidates("usb", both, "win32") == [(0, cv2.CAP_DSHOW), (1, cv2.CAP_MSMF)]


def test_macos_uses_avfoundation() -> None:
    assert candidates(0, [], "darwin") == [(0, cv2.CAP_AVFOUNDATION)]


def test_the_cameras_of_this_machine_can_be_listed() -> None:
    cameras = list_cameras()
    assert cameras == sorted(cameras, key=lambda camera: (camera.backend, camera.index))
    assert listing(cameras).endswith(".")
