import cv2
import numpy as np
import pytest

from cuda_kernels.flow import (
    flow_scratch_size,
    grey_pyramid,
    grey_pyramid_size,
    measure_flow,
    places_from_flow,
)


def texture(size, seed=1, shift=(0.0, 0.0)):
    """A smooth picture, read at places moved by a shift."""
    noise = np.random.default_rng(seed).uniform(0, 255, (size[0] + 40, size[1] + 40, 3))
    soft = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 2.5)
    soft = (soft - soft.mean()) / soft.std() * 45 + 128
    move = np.array([[1.0, 0.0, 20.0 + shift[0]], [0.0, 1.0, 20.0 + shift[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.clip(cv2.warpAffine(soft, move, size[::-1], flags=flags), 0, 255).astype(np.uint8)


def sizes(height, width):
    found = [(height, width)]
    while len(found) < 4 and min(found[-1]) >= 24:
        found.append((found[-1][0] // 2, found[-1][1] // 2))
    return found


def defined_pyramid(image):
    grey = image.astype(np.int64) @ [29, 150, 77]
    levels = [(grey + 128) // 256]
    for rows, columns in sizes(*image.shape[:2])[1:]:
        larger = levels[-1][: 2 * rows, : 2 * columns]
        levels.append((larger.reshape(rows, 2, columns, 2).sum(axis=(1, 3)) + 2) // 4)
    return levels


def at(picture, x, y):
    """A value between pixels, the edge going on beyond."""
    height, width = picture.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    upper = picture[top, left] * (1 - (x - left)) + picture[top, right] * (x - left)
    lower = picture[bottom, left] * (1 - (x - left)) + picture[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def defined_step(before, now, flow):
    """One step for every pixel, in float64."""
    height, width = now.shape
    padded = np.pad(now.astype(np.float64), 1, mode="edge")
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    change = np.array(
        [
            [at(before, x + flow[y, x, 0], y + flow[y, x, 1]) - now[y, x] for x in range(width)]
            for y in range(height)
        ]
    )
    out = np.empty_like(flow)
    for y, x in np.ndindex(now.shape):
        rows = np.clip(np.arange(y - 3, y + 4), 0, height - 1)
        columns = np.clip(np.arange(x - 3, x + 4), 0, width - 1)
        window = np.ix_(rows, columns)
        slopes = np.stack([across[window].ravel(), down[window].ravel()])
        step = np.linalg.solve(
            slopes @ slopes.T + 200 * np.eye(2), -slopes @ change[window].ravel()
        )
        out[y, x] = flow[y, x] + np.clip(step, -2, 2)
    return out


def defined_flow(before, now):
    flow = None
    for old, new in reversed(list(zip(defined_pyramid(before), defined_pyramid(now), strict=True))):
        height, width = new.shape
        if flow is None:
            flow = np.zeros((height, width, 2))
        else:
            rows, columns = flow.shape[:2]
            grown = np.array([width / columns, height / rows])
            flow = np.array(
                [
                    [
                        at(flow, (x + 0.5) * columns / width - 0.5, (y + 0.5) * rows / height - 0.5)
                        for x in range(width)
                    ]
                    for y in range(height)
                ]
            )
            flow *= grown
        for _ in range(2):
            stepped = np.pad(
                defined_step(old.astype(np.float64), new, flow),
                ((2, 2), (2, 2), (0, 0)),
                mode="edge",
            )
            flow = (
                sum(stepped[j : j + height, i : i + width] for j in range(5) for i in range(5)) / 25
            )
    return flow


def pyramid(device, image):
    out = device.poisoned((grey_pyramid_size(*image.shape[:2]),))
    grey_pyramid(device.put(image), out=out, stream=device.stream)
    return out


def measured(device, before, now):
    out = device.poisoned((*now.shape[:2], 2), np.float32)
    scratch = device.poisoned((flow_scratch_size(*now.shape[:2]),), np.float32)
    greys = pyramid(device, before), pyramid(device, now)
    measure_flow(*greys, scratch=scratch, out=out, stream=device.stream)
    return device.take(out)


@pytest.mark.parametrize("size", [(1, 1), (25, 51), (97, 49)])
def test_a_pyramid_is_made_of_means(device, size):
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    wanted = np.concatenate([level.ravel() for level in defined_pyramid(image)])
    np.testing.assert_array_equal(device.take(pyramid(device, image)), wanted)


@pytest.mark.parametrize("size", [(9, 11), (29, 51)])
def test_a_flow_is_that_of_its_definition(device, size):
    before, now = texture(size), texture(size, shift=(1.3, -0.7))
    np.testing.assert_allclose(measured(device, before, now), defined_flow(before, now), atol=2e-3)


@pytest.mark.parametrize(
    ("shift", "error_px"), [((0.4, -0.3), 0.1), ((3.0, 1.0), 0.05), ((-6.5, 4.5), 0.2)]
)
def test_what_moved_is_found_where_it_was(device, shift, error_px):
    before, now = texture((99, 103)), texture((99, 103), shift=shift)
    inside = measured(device, before, now)[24:-24, 24:-24]
    assert np.abs(inside - shift).mean() < error_px


def test_a_still_picture_does_not_move(device):
    image = texture((33, 37))
    assert np.abs(measured(device, image, image)).max() == 0.0


def test_camera_noise_on_nothing_hardly_moves(device):
    noise = np.random.default_rng(5)
    before, now = (
        np.clip(128 + noise.normal(0, 1.5, (41, 41, 3)), 0, 255).astype(np.uint8) for _ in range(2)
    )
    assert np.abs(measured(device, before, now)).mean() < 0.4


def test_places_are_pixels_moved_by_the_flow(device):
    flow = np.random.default_rng(1).normal(0, 3, (13, 17, 2)).astype(np.float32)
    out = device.poisoned(flow.shape, np.float32)
    places_from_flow(device.put(flow), out=out, stream=device.stream)
    rows, columns = np.mgrid[:13, :17]
    np.testing.assert_allclose(
        device.take(out), flow + np.stack([columns, rows], axis=-1), atol=1e-6
    )


def test_pyramids_of_another_size_are_refused(device):
    grey = device.poisoned((100,))
    out, scratch = device.poisoned((9, 9, 2), np.float32), device.poisoned((162,), np.float32)
    with pytest.raises(ValueError, match=r"before: must have shape \(81,\), got \(100,\)"):
        measure_flow(grey, grey, scratch=scratch, out=out, stream=device.stream)
