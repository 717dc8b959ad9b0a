"""A head of known shape, seen turned, is turned to the camera and back."""

import cv2
import numpy as np
import pytest

from engines.families.crops import cut_crop
from engines.families.templates import fit_points, template_points
from realtime.five_points import five_points
from realtime.frontal_mesh import turn_to_camera
from realtime.frontal_view import FrontalView
from realtime.geometry import fit_head, head_pose
from realtime.head_motion import HeadState
from realtime.memory import Memory
from realtime.puppet_rig import rotation

pytestmark = pytest.mark.models

CROP_PX = 128
LIMIT = {"limit_deg": 25.0, "strength": 0.6}


@pytest.fixture(scope="module")
def view(mesh):
    return FrontalView(mesh, CROP_PX, Memory())


def head(mesh, *, size_px=60.0, centre=(161.3, 118.8), **state):
    """The neutral head in a pose: ``(468, 3)`` image pixels."""
    points = mesh.neutral @ rotation(HeadState(**state)).T * size_px
    points[:, :2] += centre
    return points.astype(np.float32)


def picture(seed=1):
    """Smooth and coloured, ``(240, 320, 3)``."""
    noise = np.random.default_rng(seed).normal(0, 1, (240, 320, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(128 + 40 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def turn_of(landmarks, **settings):
    return turn_to_camera(landmarks, fit_head(landmarks), **(LIMIT | settings))


def crop_of(landmarks):
    return fit_points(five_points(landmarks), template_points("ffhq_512", CROP_PX))


def there_and_back(view, image, landmarks, turn):
    """What the network is shown, the crop of the picture, and the first put back into it."""
    shown, back, own = (np.zeros((CROP_PX, CROP_PX, 3), np.uint8) for _ in range(3))
    crop_from_image = view.cut(image, landmarks, turn, crop_of(turn.landmarks), out=shown)
    view.put_back(shown, turn, border=cv2.BORDER_REPLICATE, out=back)
    cut_crop(image, crop_from_image, out=own)
    return shown, own, back


@pytest.mark.parametrize("roll", [0.0, 90.0, 180.0, -35.0])
@pytest.mark.parametrize(("yaw", "pitch"), [(60.0, 0.0), (-50.0, 10.0), (0.0, -45.0)])
def test_a_head_is_turned_towards_the_camera_however_it_leans(mesh, yaw, pitch, roll):
    landmarks = head(mesh, yaw=yaw, pitch=pitch, roll=roll)
    turn = turn_of(landmarks)

    def away(points):
        return np.degrees(np.arccos(fit_head(points).rotation[2, 2]))

    assert away(turn.landmarks) == pytest.approx(away(landmarks) - turn.degrees, abs=0.1)
    assert away(turn.landmarks) >= LIMIT["limit_deg"]
    before, after = (head_pose(fit_head(points)) for points in (landmarks, turn.landmarks))
    assert abs(after.yaw) <= abs(before.yaw) + 0.1
    assert abs(after.pitch) <= abs(before.pitch) + 0.1


def test_a_head_within_the_limit_is_left_alone(mesh):
    for yaw in (0.0, 15.0, -22.0):
        assert turn_of(head(mesh, yaw=yaw)) is None
    assert turn_of(head(mesh, yaw=60.0), strength=0.0) is None


def test_turning_sets_in_without_a_jerk(mesh):
    turns = [turn_of(head(mesh, yaw=yaw)) for yaw in np.arange(20.0, 80.0, 0.5)]
    degrees = np.array([0.0 if turn is None else turn.degrees for turn in turns])
    steps = np.diff(degrees)
    assert (steps >= 0).all()
    assert steps.max() < 0.6 * 0.5
    assert np.abs(np.diff(steps)).max() < 0.06


@pytest.mark.parametrize("yaw", [35.0, -50.0, 65.0])
def test_what_is_seen_comes_back_as_it_was(mesh, view, yaw):
    landmarks, image = head(mesh, yaw=yaw, roll=12.0), picture()
    _, own, back = there_and_back(view, image, landmarks, turn_of(landmarks))
    apart = np.abs(own.astype(int) - back).mean(axis=2)
    seen = mesh.facing(landmarks) > 0.3
    places = landmarks[seen, :2]
    crop_from_image = view.cut(
        image, landmarks, turn_of(landmarks), crop_of(turn_of(landmarks).landmarks), out=back
    )
    columns, rows = np.rint(places @ crop_from_image[:, :2].T + crop_from_image[:, 2]).T.astype(int)
    inside = (np.clip(columns, 2, CROP_PX - 3) == columns) & (np.clip(rows, 2, CROP_PX - 3) == rows)
    at_skin = apart[rows[inside], columns[inside]]
    # Two bilinear look-ups of a smooth picture.
    assert np.median(at_skin) < 2.0
    assert np.percentile(at_skin, 95) < 8.0
    assert np.median(apart) < 2.5


def test_the_features_lie_where_the_template_has_them(mesh, view):
    landmarks = head(mesh, yaw=55.0)
    image = np.full((240, 320, 3), 90, np.uint8)
    for x, y in five_points(landmarks)[[0, 3]]:
        cv2.circle(image, (round(float(x)), round(float(y))), 3, (255, 255, 255), -1)
    turn = turn_of(landmarks)
    shown, _, _ = there_and_back(view, image, landmarks, turn)
    fitted = crop_of(turn.landmarks)
    wanted = five_points(turn.landmarks) @ fitted[:, :2].T + fitted[:, 2]
    for x, y in wanted[[0, 3]]:
        part = shown[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
        assert part.mean() > 200


def test_the_hidden_cheek_is_filled_from_the_other_side(mesh, view):
    """The side that looks away is green in the picture, as whatever lies there would be."""
    landmarks = head(mesh, yaw=70.0)
    hull = cv2.convexHull(np.rint(landmarks[:, :2]).astype(np.int32))
    image = np.zeros((240, 320, 3), np.uint8)
    image[:] = (0, 255, 0)
    cv2.fillConvexPoly(image, hull, (90, 120, 200))
    turn = turn_of(landmarks, strength=1.0, limit_deg=5.0)
    shown, _, _ = there_and_back(view, image, landmarks, turn)
    fitted = crop_of(turn.landmarks)
    cheeks = turn.landmarks[[50, 280], :2] @ fitted[:, :2].T + fitted[:, 2]
    for x, y in cheeks:
        assert np.abs(shown[round(y), round(x)].astype(int) - (90, 120, 200)).max() < 25


def test_the_view_sets_in_where_the_plain_crop_ends(mesh, view):
    """Just beyond the limit both ways show the same picture, before the network and after it."""
    image = picture()
    landmarks = head(mesh, yaw=27.0)
    turn = turn_of(landmarks)
    assert turn is not None
    assert turn.degrees < 0.6
    plain = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
    cut_crop(image, crop_of(landmarks), out=plain)
    shown, own, back = there_and_back(view, image, landmarks, turn)
    assert np.abs(shown.astype(int) - plain).max() <= 6
    assert np.abs(own.astype(int) - back).max() <= 6


def test_coverage_comes_back_too(mesh, view):
    landmarks = head(mesh, yaw=60.0)
    turn = turn_of(landmarks)
    shown = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
    view.cut(picture(), landmarks, turn, crop_of(turn.landmarks), out=shown)
    alpha = np.zeros((CROP_PX, CROP_PX), np.uint8)
    alpha[30:100, 30:100] = 255
    back = np.full_like(alpha, 7)
    view.put_back(alpha, turn, border=cv2.BORDER_CONSTANT, out=back)
    assert back[64, 64] == 255
    assert back[0].max() == 0
    assert 0.5 < (back > 127).mean() / (alpha > 127).mean() < 1.5
