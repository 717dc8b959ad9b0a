import numpy as np
import pytest

from engines.families.templates import _TEMPLATES, fit_template, template_points


def least_squares(points, wanted):
    """The same similarity as a linear problem in its four numbers: ``(2, 3)``."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, wanted, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, tx], [b, a, ty]])


@pytest.mark.parametrize("name", _TEMPLATES)
def test_the_fit_is_the_least_squares_similarity(name):
    rng = np.random.default_rng(1)
    for boost in (1, 3):
        points = rng.normal(scale=60, size=(5, 2)) + np.array([300, 200])
        wanted = template_points(name, 128, boost=boost)
        fitted = fit_template(points, name, 128, boost=boost)
        np.testing.assert_allclose(fitted, least_squares(points, wanted), atol=1e-9)


def test_points_that_are_the_template_turned_come_back_exactly():
    wanted = template_points("arcface_112_v2", 112)
    angle, scale, shift = 0.7, 2.5, np.array([311.0, -42.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = wanted @ turn.T + shift
    fitted = fit_template(points, "arcface_112_v2", 112)
    np.testing.assert_allclose(points @ fitted[:, :2].T + fitted[:, 2], wanted, atol=1e-9)


def test_two_templates_are_the_published_pixels():
    """InsightFace's ``arcface_dst``, and the same moved by 8 px for crops of 128 px."""
    published = np.array(
        [
            (38.2946, 51.6963),
            (73.5318, 51.5014),
            (56.0252, 71.7366),
            (41.5493, 92.3655),
            (70.7299, 92.2041),
        ]
    )
    np.testing.assert_allclose(template_points("arcface_112_v2", 112), published, atol=1e-5)
    np.testing.assert_allclose(
        template_points("arcface_128", 128), published + np.array([8, 0]), atol=1e-5
    )


@pytest.mark.parametrize("name", _TEMPLATES)
def test_eyes_lie_left_and_right_above_the_mouth(name):
    left_eye, right_eye, nose, left_corner, right_corner = template_points(name, 100)
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_corner[0] < nose[0] < right_corner[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_corner[1], right_corner[1])


def test_a_boosted_crop_has_the_network_s_pixel_in_the_middle_of_its_block():
    small, large = (template_points("ffhq_512", 256, boost=boost) for boost in (1, 4))
    np.testing.assert_allclose((large - 1.5) / 4, small, atol=1e-12)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.zeros((4, 2))])
def test_points_without_a_shape_are_refused(points):
    with pytest.raises(ValueError, match="points must"):
        fit_template(points, "arcface_128", 128)
