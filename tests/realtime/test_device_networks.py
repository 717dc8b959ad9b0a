from types import SimpleNamespace

import numpy as np
import pytest

from realtime.device_networks import (
    DeviceNetworks,
    EnlargeNetwork,
    SwapNetwork,
    is_capturable,
    scale_in,
    scale_out,
)

MEAN, STD = (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)


def test_levels_become_a_networks_values_and_come_back():
    gain, offset = scale_in(MEAN, STD)
    levels = np.array([0.0, 100.0, 255.0])
    for channel in range(3):
        values = levels * gain[channel] + offset[channel]
        np.testing.assert_allclose(values, (levels / 255 - MEAN[channel]) / STD[channel], atol=1e-6)
        back = values * scale_out(MEAN, STD)[0, channel] + scale_out(MEAN, STD)[1, channel]
        np.testing.assert_allclose(back, levels, atol=1e-3)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("tensorrt_rtx:CUDA", True),
        ("tensorrt:CUDA", True),
        ("onnxruntime:CUDA", False),
        ("torch:CUDA graph", False),
    ],
)
def test_only_what_queues_all_its_work_may_be_captured(provider, expected):
    assert is_capturable(SimpleNamespace(provider=provider)) is expected


def test_the_drawn_face_is_as_large_as_the_last_network_makes_it():
    swap = SwapNetwork(None, None, None, None, 128, None, None)
    edge = np.zeros((128, 128), np.uint8)
    assert DeviceNetworks(swap, edge).drawn_px == 128
    enlarge = EnlargeNetwork(None, None, None, 256, 2, None, None)
    assert DeviceNetworks(swap, edge, enlarge=enlarge).drawn_px == 512
