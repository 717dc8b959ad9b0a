import ctypes

import pytest

from engines.gpu import compute_capability

NO_DEVICE = 100


class Driver:
    """The four calls of the CUDA driver, for a machine with GPUs of one kind."""

    def __init__(self, count=1, init=0):
        self.count, self.init = count, init

    def cuInit(self, flags):  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device, ordinal):  # noqa: N802
        device._obj.value = 7
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        assert device.value == 7
        value._obj.value = {75: 8, 76: 9}[attribute]
        return 0


@pytest.mark.parametrize(
    ("driver", "capability"),
    [(Driver(), (8, 9)), (Driver(count=0), None), (Driver(init=NO_DEVICE), None)],
    ids=["gpu", "no gpu", "no device"],
)
def test_the_driver_is_asked_what_there_is(monkeypatch, driver, capability):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert compute_capability() == capability


def test_without_a_driver_there_is_no_gpu():
    assert compute_capability("libno-such-driver.so.1") is None
