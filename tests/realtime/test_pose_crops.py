import cv2
import numpy as np
import pytest

from engines.families.crops import cut_crop
from engines.families.templates import fit_points, template_points, yaw_template_points
from realtime.five_points import five_points
from realtime.frame import Face, Pose
from realtime.geometry import apply, bounding_box
from realtime.head_motion import HeadState
from realtime.memory import Memory
from realtime.pose_crops import PoseCrops
from realtime.puppet_rig import rotation

pytestmark = pytest.mark.models

FRAME_NS = 33_000_000


class Unchanged:
    """A swapper that gives the crop back."""

    def __init__(self, crop_px, templates=None):
        self.crop_px = crop_px
        self.templates = (
            template_points("ffhq_512", crop_px)[None] if templates is None else templates
        )

    def swap(self, crop, source, *, face, alpha):
        face[...] = crop
        alpha[...] = 255


def face_at(mesh, *, size_px=60.0, centre=(161.3, 118.8), track_id=1, **state):
    points = mesh.neutral @ rotation(HeadState(**state)).T * size_px
    points[:, :2] += centre
    landmarks = points.astype(np.float32)
    return Face(track_id, bounding_box(landmarks), landmarks, 0.99, Pose(0, 0, 0))


def picture():
    noise = np.random.default_rng(1).normal(0, 1, (240, 320, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(128 + 40 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def crops_of(mesh, *sides_px, templates=None, strength=0.6):
    networks = [Unchanged(side, templates) for side in sides_px]
    return PoseCrops(networks, mesh, Memory(), limit_deg=25.0, strength=strength)


def swapped(crops, image, face, number=0):
    """One face through cut, network and put_back: the fit, the layer's picture and coverage."""
    crops.begin(number * FRAME_NS)
    fit = crops.fit(face)
    side = fit.network.crop_px
    crop, layer = (np.zeros((side, side, 3), np.uint8) for _ in range(2))
    shown, alpha, covered = (
        np.zeros_like(crop),
        *(np.zeros((side, side), np.uint8) for _ in range(2)),
    )
    crops.cut(fit, image, face.landmarks, out=crop)
    fit.network.swap(crop, None, face=shown, alpha=alpha)
    if fit.turn is None:
        return fit, shown, alpha
    crops.put_back(fit, shown, alpha, face=layer, alpha=covered)
    return fit, layer, covered


def test_a_head_that_looks_at_the_camera_gets_the_plain_crop(mesh):
    face, image = face_at(mesh, yaw=10.0, roll=20.0), picture()
    fit, layer, _ = swapped(crops_of(mesh, 128), image, face)
    expected = np.zeros_like(layer)
    plain = fit_points(five_points(face.landmarks), template_points("ffhq_512", 128))
    cut_crop(image, plain, out=expected)
    assert fit.turn is None
    np.testing.assert_allclose(fit.layer_from_image, plain, atol=1e-9)
    np.testing.assert_array_equal(layer, expected)


@pytest.mark.parametrize("yaw", [-65.0, -40.0, 55.0])
def test_with_a_network_that_changes_nothing_a_turned_head_stays_as_it_is(mesh, yaw):
    face, image = face_at(mesh, yaw=yaw), picture()
    fit, layer, covered = swapped(crops_of(mesh, 128), image, face)
    own = np.zeros_like(layer)
    cut_crop(image, fit.layer_from_image, out=own)
    assert fit.turn is not None
    apart = np.abs(own.astype(int) - layer).mean(axis=2)
    places = np.rint(apply(fit.layer_from_image, face.landmarks[:, :2])).astype(int)
    seen = (mesh.facing(face.landmarks) > 0.55) & (places == np.clip(places, 2, 125)).all(axis=1)
    columns, rows = places[seen].T
    assert np.median(apart[rows, columns]) < 1
    assert np.percentile(apart[rows, columns], 95) < 6
    assert covered[rows, columns].min() == 255


def test_without_a_mesh_heads_stay_as_they_are_turned(mesh):
    crops = PoseCrops([Unchanged(128)], None, Memory(), limit_deg=25.0, strength=0.6)
    assert swapped(crops, picture(), face_at(mesh, yaw=60.0))[0].turn is None


def test_a_sweep_moves_the_layer_no_further_than_the_picture(mesh):
    """Over the limit and over all templates: what a corner of the layer shows never jumps."""
    crops, image = crops_of(mesh, 128, templates=yaw_template_points(128)), picture()
    corners = np.array([[30.0, 30.0], [98, 30], [30, 98], [98, 98], [64, 64]])
    path, templates, changes = [], set(), []
    before = None
    for number, yaw in enumerate(np.arange(-75.0, 75.1, 1.0)):
        face = face_at(mesh, yaw=yaw)
        fit, layer, _ = swapped(crops, image, face, number)
        path.append(apply(cv2.invertAffineTransform(fit.layer_from_image), corners))
        over = cv2.warpAffine(layer, cv2.invertAffineTransform(fit.layer_from_image), (320, 240))
        inside = over.any(axis=2)
        if before is not None:
            both = inside & before[1]
            changes.append(np.abs(over.astype(int) - before[0])[both].mean())
        before = over, inside
        templates.add(crops._tracks[1].choice.current)
    assert len(templates) >= 3
    steps = np.linalg.norm(np.diff(np.array(path), axis=0), axis=2).max(axis=1)
    # The head is 180 px high; at once a change of template would move corners by 40 and more.
    assert steps.max() < 9
    # The picture stands still and the network changes nothing, so hardly anything may move in it.
    assert max(changes) < 3


def test_close_ups_get_larger_crops_and_small_faces_the_smallest(mesh):
    crops, image = crops_of(mesh, 64, 128, 256), picture()
    taken = []
    for number, size_px in enumerate((20.0, 45.0, 100.0, 200.0, 20.0)):
        fit, layer, _ = swapped(crops, image, face_at(mesh, size_px=size_px, yaw=5.0), number)
        taken.append(fit.network.crop_px)
        expected = np.zeros_like(layer)
        cut_crop(image, fit.layer_from_image, out=expected)
        np.testing.assert_array_equal(layer, expected)
    assert taken[0] == taken[-1] == 64
    assert taken == [*sorted(taken[:-1]), 64]
    assert taken[3] == 256


def test_a_larger_crop_shows_the_same_part_of_the_picture(mesh):
    face = face_at(mesh, size_px=60.0)
    small, large = (
        swapped(crops_of(mesh, *sides), picture(), face)[0] for sides in ((64,), (64, 256))
    )
    assert large.network.crop_px == 256
    corners = np.array([[0.0, 0.0], [64, 0], [0, 64], [64, 64]])
    shown = [
        apply(cv2.invertAffineTransform(fit.layer_from_image), (corners + 0.5) * times - 0.5)
        for fit, times in ((small, 1), (large, 4))
    ]
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-6)


def test_each_face_has_its_own_template_and_one_that_is_gone_is_forgotten(mesh):
    crops, image = crops_of(mesh, 128, templates=yaw_template_points(128), strength=0.0), picture()
    for number in range(3):
        swapped(crops, image, face_at(mesh, track_id=1, yaw=60.0), number)
        swapped(crops, image, face_at(mesh, track_id=2, yaw=-60.0), number)
    one, two = (crops._tracks[number].choice.current for number in (1, 2))
    assert one > 2 > two
    crops.begin(100 * FRAME_NS)
    assert not crops._tracks
