import numpy as np
import pytest

from cuda_kernels.paste import PASTE_PLACE, paste_place
from cuda_kernels.pick import FOUND_SIZE
from cuda_kernels.place import place_face
from cuda_kernels.warp import CROP_PLACE, crop_place

TEMPLATE = np.float32([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
PICTURE = (643, 361)


def seen(matrix, per_px, score=0.9, noise=0.0, seed=1):
    """What a detector says of a face that lies in the crop as the template does."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    points = np.column_stack([TEMPLATE, np.ones(5)]) @ inverse.T
    points += np.random.default_rng(seed).normal(0, noise, points.shape)
    found = np.zeros(FOUND_SIZE, np.float32)
    found[0], found[5:] = score, ((points + 0.5) / per_px).ravel()
    return found


def similarity(scale, angle, x, y):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


def placed(device, found, per_px, *, times=2, picture=PICTURE):
    out = [device.poisoned((n,), np.float32) for n in (CROP_PLACE, CROP_PLACE, PASTE_PLACE)]
    given = device.put(found), per_px, device.put(TEMPLATE), 112, 112 * times, picture
    place_face(
        *given,
        crop=out[0],
        under=out[1],
        paste=out[2],
        stream=device.stream,
    )
    return [device.take(one) for one in out]


FACES = [(0.9, 0.0, -150, -60), (0.31, 0.4, 20, 5), (2.3, -0.7, -700, 30), (0.06, 3.0, 90, 60)]


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("face", FACES)
def test_a_crop_lies_where_its_points_are_those_of_the_template(device, face, times):
    matrix = similarity(*face)
    crop, under, paste = placed(device, seen(matrix, 1.3), 1.3, times=times)
    large = times * matrix
    large[:, 2] += (times - 1) / 2
    side = 112 * times
    for ours, wanted in (
        (crop, crop_place(matrix, *PICTURE)),
        (under, crop_place(large, *PICTURE)),
        (paste, paste_place(large, (side, side), PICTURE)),
    ):
        # A pixel more or less of a region whose edge lies just on one.
        np.testing.assert_allclose(ours[:7], wanted[:7], rtol=2e-4, atol=0.02 * side / 112)
        np.testing.assert_allclose(ours[7:], wanted[7:], atol=1)


def test_points_that_fit_no_template_exactly_are_fitted_with_the_least_error(device):
    matrix = similarity(0.4, 0.2, 10, -20)
    found = seen(matrix, 1.0, noise=6.0)
    points = found[5:].reshape(5, 2).astype(np.float64) - 0.5
    # Least squares for (a, b, x, y) of the maps (a -b x; b a y).
    rows, goals = [], []
    for (x, y), (u, v) in zip(points, TEMPLATE, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        goals += [u, v]
    a, b, x, y = np.linalg.lstsq(np.array(rows), np.array(goals), rcond=None)[0]
    wanted = crop_place(np.array([[a, -b, x], [b, a, y]]), *PICTURE)
    np.testing.assert_allclose(placed(device, found, 1.0)[0], wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "broken",
    [
        np.zeros(FOUND_SIZE, np.float32),
        np.float32([0.9, *[5.0] * 14]),
        np.float32([np.nan] * FOUND_SIZE),
        np.float32([0.9, 0, 0, 0, 0, *[np.nan] * 10]),
    ],
    ids=["nothing", "one place", "no numbers", "no points"],
)
def test_without_a_face_nothing_is_laid_over_the_picture(device, broken):
    crop, under, paste = placed(device, broken, 1.3)
    for place in (crop, under, paste):
        assert np.isfinite(place).all()
    assert (paste[9:] == 0).all()


def test_arrays_that_do_not_fit_are_refused(device):
    found, out = device.put(np.zeros(FOUND_SIZE, np.float32)), device.put(np.zeros(7, np.float32))
    with pytest.raises(ValueError, match=r"place_face: paste: must have shape \(11,\)"):
        place_face(
            found,
            1.0,
            device.put(TEMPLATE),
            112,
            112,
            PICTURE,
            crop=out,
            under=out,
            paste=out,
            stream=device.stream,
        )
