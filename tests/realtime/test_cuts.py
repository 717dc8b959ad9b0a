import numpy as np
import pytest

from realtime.cuts import CutDetector


def scene(seed, height=360, width=640, shift=(0, 0)):
    """A smooth random picture, seen through a window that may be moved by whole pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] + np.array(shift)[:, None, None]
    waves = sum(
        np.sin(2 * np.pi * (fx * x / width + fy * y / height) + phase)
        for fx, fy, phase in rng.uniform((-2, -2, 0), (2, 2, 6.28), (6, 3))
    )
    return np.repeat((128 + 20 * waves).astype(np.uint8)[..., None], 3, axis=2)


def test_the_first_picture_is_no_cut():
    assert not CutDetector().is_cut(scene(0))


def test_another_scene_is_a_cut_once():
    cuts = CutDetector()
    shown = [scene(1), scene(1), scene(2), scene(2), scene(1)]
    assert [cuts.is_cut(image) for image in shown] == [False, False, True, False, True]


@pytest.mark.parametrize("gain", [0.3, 1.6])
def test_a_change_of_light_is_no_cut(gain):
    cuts = CutDetector()
    cuts.is_cut(scene(1))
    assert not cuts.is_cut(np.clip(scene(1) * gain, 0, 255).astype(np.uint8))


def test_noise_in_the_dark_is_no_cut():
    rng = np.random.default_rng(0)
    cuts = CutDetector()
    for _ in range(10):
        noisy = scene(1) * 0.12 + rng.normal(0, 6, (360, 640, 3))
        assert not cuts.is_cut(np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("shift", [(0, 70), (40, 0), (-40, 70)])
def test_a_shaken_camera_is_no_cut(shift):
    cuts = CutDetector()
    cuts.is_cut(scene(1))
    assert not cuts.is_cut(scene(1, shift=shift))


def test_pictures_without_structure_tell_nothing():
    cuts = CutDetector()
    black = np.zeros((360, 640, 3), np.uint8)
    assert [cuts.is_cut(image) for image in (black, black + 255, scene(1), black)] == [False] * 4


def test_a_reset_forgets_the_last_picture():
    cuts = CutDetector()
    cuts.is_cut(scene(1))
    cuts.reset()
    assert not cuts.is_cut(scene(2))


@pytest.mark.parametrize("size", [(7, 5), (1, 1), (2160, 3841)])
def test_any_size_of_picture_will_do(size):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    cuts = CutDetector()
    assert not cuts.is_cut(image)
    assert not cuts.is_cut(image)
