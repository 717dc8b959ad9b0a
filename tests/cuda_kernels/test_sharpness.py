import cv2
import numpy as np
import pytest

from cuda_kernels.sharpness import ALL_DETAIL, NUM_SUMS, finest_sigma_px, follow_detail, soften

SIGMA_PX = 1.5
COVERED = np.full((80, 90), 255, np.uint8)
SIZES = [(17, 23), (1, 300), (80, 91), (128, 128)]
SIGMAS_PX = [0.6, 1.0, 2.3, 8.0]


def textured(strength, *, size=(80, 90), seed=1, light=0.0):
    """Grey with a fine pattern of a strength, on light that rises to the right."""
    pattern = np.random.default_rng(seed).normal(0, 1, size)
    grey = 120 + strength * pattern + light * np.linspace(-1, 1, size[1])
    return np.repeat(np.clip(np.round(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def coloured(size, seed):
    """Noise of its own in each channel, smooth in places."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 255, (*size, 3))
    noise[: size[0] // 2] = cv2.blur(noise, (5, 5))[: size[0] // 2].reshape(-1, size[1], 3)
    return np.rint(noise).astype(np.uint8)


def gain_of(device, face, picture, alpha=COVERED, sigma_px=SIGMA_PX, *, rate=1.0, before=None):
    """The kernels take levels that are not rounded yet."""
    gain = device.poisoned((1,), np.float32) if before is None else device.put(np.float32([before]))
    follow_detail(
        device.put(face.astype(np.float32)),
        device.put(picture),
        device.put(alpha),
        sigma_px,
        rate=rate,
        sums=device.poisoned((NUM_SUMS,), np.uint64),
        gain=gain,
        stream=device.stream,
    )
    return float(device.take(gain)[0])


def softened(device, face, gain, sigma_px=SIGMA_PX):
    out = device.poisoned(face.shape, face.dtype)
    gain = device.put(np.float32([gain]))
    soften(device.put(face), gain, sigma_px, out=out, stream=device.stream)
    return device.take(out)


def blurred(values, sigma_px):
    """The definition in float64: a Gaussian to two deviations, mirrored at the edge pixel."""
    reach = round(2 * sigma_px)
    shares = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    shares /= shares.sum()
    values = np.asarray(values, np.float64)
    for axis in (0, 1):
        num = values.shape[axis]
        period = max(2 * (num - 1), 1)
        total = np.zeros_like(values)
        for step, share in zip(range(-reach, reach + 1), shares, strict=True):
            at = (np.arange(num) + step) % period if num > 1 else np.zeros(num, int)
            at = np.where(at >= num, period - at, at)
            total += share * np.take(values, at, axis=axis)
        values = total
    return values


def defined_gain(face, picture, alpha, sigma_px):
    covered = alpha > 127
    if covered.sum() < 256:
        return 1.0
    own, wanted = (
        max(np.abs(grey - blurred(grey, sigma_px))[covered].mean(), 1e-3)
        for grey in (image @ np.array([0.114, 0.587, 0.299]) for image in (face, picture))
    )
    return min(max(1.15 * wanted / own, 0.25), 1.0)


def test_the_finest_detail_is_so_many_parts_of_the_faces_width():
    assert finest_sigma_px(600.0) == 3.0
    assert finest_sigma_px(1200.0) == 6.0


def test_no_blur_is_smaller_than_a_pixel():
    assert finest_sigma_px(40.0) == finest_sigma_px(200.0) == 1.0


@pytest.mark.parametrize("sigma_px", SIGMAS_PX)
@pytest.mark.parametrize("size", SIZES)
def test_the_gain_is_the_ratio_of_the_mean_details(device, size, sigma_px):
    face, picture = coloured(size, 1), coloured(size, 2) // 2 + 60
    alpha = np.random.default_rng(3).integers(0, 256, size).astype(np.uint8)
    alpha[:, : size[1] // 3] = 255
    wanted = defined_gain(face, picture, alpha, sigma_px)
    assert gain_of(device, face, picture, alpha, sigma_px) == pytest.approx(wanted, rel=5e-3)


@pytest.mark.parametrize("sigma_px", SIGMAS_PX)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gain", [0.25, 0.6, 0.97])
def test_a_softened_face_has_so_much_of_its_finest_detail(device, size, sigma_px, gain):
    face = coloured(size, 1).astype(np.float32)
    mean = blurred(face, sigma_px)
    wanted = mean + gain * (face - mean)
    np.testing.assert_allclose(softened(device, face, gain, sigma_px), wanted, atol=2e-3)


def test_a_face_that_is_to_keep_its_detail_is_not_changed_at_all(device):
    face = coloured((31, 47), 1).astype(np.float32) + np.float32(0.3)
    np.testing.assert_array_equal(softened(device, face, ALL_DETAIL + 0.01), face)


def test_whole_levels_are_softened_as_well():
    face = coloured((80, 90), 1)
    out = np.full_like(face, 77)
    soften(face, np.float32([0.4]), SIGMA_PX, out=out)
    mean = blurred(face, SIGMA_PX)
    np.testing.assert_allclose(out, mean + 0.4 * (face - mean), atol=1.5)


def test_of_whole_levels_the_gain_is_the_same():
    face, picture = textured(20), textured(10, seed=2)
    gains = np.ones(2, np.float32)
    for given, gain in zip((face, face.astype(np.float32)), np.split(gains, 2), strict=True):
        sums = np.zeros(NUM_SUMS, np.uint64)
        follow_detail(given, picture, COVERED, SIGMA_PX, sums=sums, gain=gain)
    assert gains[0] == pytest.approx(gains[1], rel=1e-3)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_the_gain_follows_slowly(device, rate):
    face, picture = textured(20), textured(10, seed=2)
    now = defined_gain(face, picture, COVERED, SIGMA_PX)
    found = gain_of(device, face, picture, rate=rate, before=0.9)
    assert found == pytest.approx(0.9 + rate * (now - 0.9), rel=5e-3)


def test_a_face_that_is_no_sharper_than_the_picture_is_left_alone(device):
    assert gain_of(device, textured(8), textured(8, seed=2)) == 1.0
    assert gain_of(device, textured(4), textured(12, seed=2)) == 1.0


def test_a_flat_face_on_a_flat_picture_is_no_sharper(device):
    assert gain_of(device, textured(0), textured(0)) == 1.0


def test_a_face_never_loses_all_its_detail(device):
    assert gain_of(device, textured(20), textured(0)) == 0.25


def test_light_is_no_detail(device):
    flat = gain_of(device, textured(10), textured(5, seed=2))
    lit = gain_of(device, textured(10, light=60), textured(5, seed=2))
    assert lit == pytest.approx(flat, rel=0.05)


def test_detail_is_measured_only_where_the_face_covers(device):
    face, picture = textured(20), textured(10, seed=2)
    face[:, 45:] = textured(0)[:, 45:]
    picture[:, 45:] = textured(60, seed=3)[:, 45:]
    alpha = COVERED.copy()
    alpha[:, 42:] = 127
    assert gain_of(device, face, picture, alpha) == pytest.approx(1.15 / 2, rel=0.08)


def test_too_little_of_a_face_tells_nothing(device):
    alpha = np.zeros_like(COVERED)
    alpha[:15, :15] = 255
    assert gain_of(device, textured(20), textured(0), alpha) == 1.0
    alpha[:20, :20] = 255
    assert gain_of(device, textured(20), textured(0), alpha) < 1.0


def test_softening_keeps_the_light(device):
    face = textured(10, light=60).astype(np.float32)
    soft = softened(device, face, 0.3)
    for part in (face, soft):
        assert part[:, :20].mean() == pytest.approx(face[:, :20].mean(), abs=1)
    assert soft.std(axis=0).mean() < 0.6 * face.std(axis=0).mean()


def test_a_face_softened_by_its_gain_is_about_as_sharp_as_the_picture(device):
    face, picture = textured(24), textured(8, seed=2)
    gain = gain_of(device, face, picture)
    again = gain_of(device, softened(device, face.astype(np.float32), gain), picture)
    assert gain < 0.45
    assert 0.7 < again <= 1.0


@pytest.mark.parametrize("sigma_px", [0.1, 8.3])
def test_a_blur_that_reaches_nowhere_or_too_far_is_refused_by_kernels(launcher, sigma_px):
    with pytest.raises(ValueError, match=r"must reach 1 to 16 pixels, got (0|17)"):
        gain_of(launcher, textured(8), textured(8), sigma_px=sigma_px)
    with pytest.raises(ValueError, match="Shrink the face"):
        softened(launcher, textured(8).astype(np.float32), 0.5, sigma_px)
