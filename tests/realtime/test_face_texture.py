import cv2
import numpy as np
import pytest

from realtime.face_texture import DETAIL_ONE, TextureMaker
from realtime.face_zones import MAP_PX

pytestmark = pytest.mark.models

DOWN, ACROSS = np.mgrid[:MAP_PX, :MAP_PX].astype(np.float32) / MAP_PX
HAIR = (15.0, 15.0, 18.0)
COVERED = 0
"""The plane of the cover that says where the texture is drawn."""


@pytest.fixture(scope="module")
def make(mesh, zones, light, sitter):
    """Gives a function from looks and landmarks to a texture."""
    maker = TextureMaker(mesh, zones, light)

    def make_texture(*pairs, size=(320, 320)):
        return maker.make([(sitter.picture(looks, at, size), at) for looks, at in pairs])

    return make_texture


@pytest.fixture(scope="module")
def usual(make, sitter):
    """Somebody with a little pattern on the skin, from the front."""
    return make((sitter.looks(spots=0.08), sitter.landmarks()))


@pytest.fixture(scope="module")
def plain_skin(zones):
    """Skin well inside the face, away from features."""
    return (zones.flat > 0.5) & (zones.depth > 0.04)


def factor(texture):
    return texture.detail[0].astype(np.float32) / np.float32(DETAIL_ONE)


def with_mark(looks, centre_across, centre_down=0.5, radius=0.035):
    """A birthmark, a fourth darker than the skin."""
    mark = np.hypot(ACROSS - centre_across, DOWN - centre_down) < radius
    return np.asarray(looks * np.where(mark, 0.72, 1.0)[..., None], np.float32), mark


def test_a_texture_comes_in_three_sizes(usual):
    assert [level.shape for level in usual.detail] == [(side, side, 3) for side in (512, 256, 128)]
    assert usual.cover.shape == (512, 512, 4)
    assert usual.cover.dtype == np.uint8
    coarsest = usual.detail[2].astype(np.float64)
    finest = usual.detail[0].reshape(128, 4, 128, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(coarsest, finest, atol=2)


def test_plain_skin_keeps_the_tone_it_is_drawn_on(usual, zones, plain_skin):
    assert factor(usual)[zones.cheeks > 0.5].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.01)
    assert factor(usual)[plain_skin].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.02)


def test_brows_and_lips_keep_their_colours(usual, zones):
    brows = factor(usual)[zones.brow_hair > 0.9].mean(axis=0)
    assert brows.max() < 0.5
    blue, green, red = factor(usual)[(zones.lips > 0.9) & (np.abs(ACROSS - 0.5) < 0.03)].mean(
        axis=0
    )
    assert red > blue > green


def test_the_eyes_of_the_picture_do_not_come_along(usual, zones):
    blue, _, red = factor(usual)[zones.eyeballs > 0.9].mean(axis=0)
    # The sitter's are blue: 1.97 with them, and some of the lash line is.
    assert blue / red < 1.6


@pytest.mark.parametrize(
    ("light_there", "mean", "most"),
    [
        ((0.6 + 0.8 * ACROSS)[..., None], 0.06, 0.25),
        ((1.2 - 0.5 * DOWN)[..., None], 0.06, 0.2),
        ((1.2, 1.0, 0.8), 0.01, 0.08),
        ((0.5, 0.5, 0.5), 0.03, 0.1),
    ],
    ids=["from the side", "from above", "cold", "dim"],
)
def test_the_light_of_the_picture_is_taken_out(
    make, sitter, usual, plain_skin, light_there, mean, most
):
    relit = make((sitter.looks(spots=0.08, light=light_there), sitter.landmarks()))
    apart = np.abs(np.log(factor(relit)) - np.log(factor(usual)))[plain_skin]
    assert apart.mean() < mean
    assert np.percentile(apart, 99) < most


def test_hollow_cheeks_stay_but_red_ones_do_not(make, sitter, zones, usual):
    spots = sum(
        np.exp(-(((ACROSS - at) / 0.07) ** 2) - ((DOWN - 0.5) / 0.07) ** 2) for at in (0.28, 0.72)
    )

    def change(bgr):
        """Log of what the texture has more than usual, in brightness and in red over blue."""
        looks = sitter.looks(spots=0.08, light=1.0 + spots[..., None] * np.float32(bgr))
        more = np.log(factor(make((looks, sitter.landmarks())))) - np.log(factor(usual))
        blue, green, red = more[(spots > 0.8) & (zones.cheeks > 0.5)].mean(axis=0)
        return (blue + green + red) / 3, red - blue

    shade, _ = change((-0.25, -0.25, -0.25))
    assert -0.26 < shade < -0.12
    _, tint = change((-0.2, 0.0, 0.1))
    assert abs(tint) < 0.1


def test_two_tones_of_skin_give_one_texture(make, sitter, plain_skin):
    light_skin = make((sitter.looks(skin=(150, 180, 220), spots=0.08), sitter.landmarks()))
    dark_skin = make((sitter.looks(skin=(45, 60, 90), spots=0.08), sitter.landmarks()))
    apart = np.log(factor(light_skin)) - np.log(factor(dark_skin))
    assert np.abs(apart)[plain_skin].mean() < 0.04


def test_hair_over_the_forehead_is_not_part_of_the_person(make, sitter, zones, usual):
    bangs = (zones.forehead > 0.5) & (DOWN < 0.16)
    looks = sitter.looks(spots=0.08)
    looks[bangs] = HAIR
    texture = make((looks, sitter.landmarks()))
    assert factor(texture)[bangs].min() > 0.9
    np.testing.assert_array_equal(texture.cover, usual.cover)


def test_single_strands_of_a_fringe_leave_plain_skin(make, sitter, zones):
    strands = (zones.forehead > 0.9) & (zones.brows < 0.01) & (np.abs(ACROSS - 0.5) < 0.12)
    strands &= (np.abs((ACROSS * MAP_PX) % 24 - 12) < 2.5) & (DOWN > 0.19)
    looks = sitter.looks()
    looks[strands] *= 0.35
    assert strands.sum() > 300
    assert factor(make((looks, sitter.landmarks())))[strands].mean() > 0.85


def test_the_shadow_of_hair_goes_with_the_hair_and_a_wrinkle_stays(make, sitter, zones):
    forehead = (zones.forehead > 0.9) & (zones.brows < 0.01) & (np.abs(ACROSS - 0.5) < 0.12)
    hair, line = (zones.forehead > 0.5) & (DOWN < 0.16), (DOWN > 0.165) & (DOWN < 0.185)

    def line_of(darkness, *, under_hair):
        looks = sitter.looks()
        looks[line & forehead] *= darkness
        if under_hair:
            looks[hair] = HAIR
        return factor(make((looks, sitter.landmarks())))[line & forehead].mean()

    assert line_of(0.6, under_hair=True) > 0.97
    assert line_of(0.7, under_hair=False) < 0.85


def test_beside_hair_at_the_side_of_a_bare_face_there_are_no_dark_patches(make, sitter, zones):
    hair = (ACROSS > 0.8) & (zones.face > 0.5)
    patch = (np.abs(ACROSS - 0.775) < 0.012) & (np.abs(DOWN - 0.5) < 0.05)

    def patch_of(*, chin):
        looks = sitter.looks()
        looks[patch] *= 0.75
        looks[(zones.chin > 0.5) & (DOWN > 0.6)] *= chin
        looks[hair] = HAIR
        return np.log(factor(make((looks, sitter.landmarks())))).mean(axis=-1)[patch].mean()

    assert patch_of(chin=1.0) > -0.12
    # With a beard it may be part of that.
    assert patch_of(chin=0.4) < -0.15


def striped(looks, period_px, *, colours, share=0.25):
    """Upright stripes all over a face, each colour darker and lighter by so much of the share."""
    wave = np.sin(2 * np.pi * ACROSS * MAP_PX / period_px)[..., None]
    return np.asarray(looks * (1.0 + share * np.float32(colours) * wave), np.float32)


def test_colour_finer_than_a_camera_sees_is_not_on_plain_skin_and_coarser_is(make, sitter, zones):
    def tint(period_px):
        looks = striped(sitter.looks(), period_px, colours=(-1, 0, 0.4))
        blue, _, red = np.moveaxis(np.log(factor(make((looks, sitter.landmarks())))), -1, 0)
        return np.std((red - blue)[zones.cheeks > 0.5])

    assert tint(8) < 0.15 * tint(64)


def test_a_face_seen_at_a_grazing_angle_has_its_shade_and_no_specks(make, sitter, zones):
    at = sitter.landmarks()
    fine = np.log(factor(make((striped(sitter.looks(), 10, colours=(1, 1, 1)), at)))).mean(axis=-1)
    plain = np.log(factor(make((sitter.looks(), at)))).mean(axis=-1)
    specks = np.abs(fine - plain)
    beside = (np.abs(zones.aside - 0.36) < 0.015) & (np.abs(DOWN - 0.55) < 0.08)
    assert specks[beside].mean() < 0.3 * specks[zones.cheeks > 0.5].mean()

    dark = np.where((zones.aside > 0.3)[..., None], 0.65, 1.0) * sitter.looks()
    shade = np.log(factor(make((np.asarray(dark, np.float32), at)))).mean(axis=-1)
    assert (shade - plain)[beside].mean() < -0.05


def folded(looks, *, width, darkness):
    """A dark stroke down one cheek, so many map widths wide; where it is darkest."""
    away = np.abs(ACROSS - 0.28 - 0.1 * (DOWN - 0.6)) / width
    stroke = np.exp(-(away**4)) * (np.abs(DOWN - 0.6) < 0.08)
    return np.asarray(looks * (1.0 - darkness * stroke)[..., None], np.float32), stroke > 0.95


def test_the_deepest_folds_of_the_skin_are_less_deep_and_shallow_ones_stay(make, sitter):
    depths = {}
    for darkness in (0.25, 0.75):
        looks, fold = folded(sitter.looks(), width=0.008, darkness=darkness)
        shade = np.log(factor(make((looks, sitter.landmarks()), size=(640, 640))))
        depths[darkness] = -float(np.median(shade[fold]))
    assert depths[0.25] > 0.12
    assert depths[0.25] < depths[0.75] < 0.55


def test_what_is_dark_and_wide_is_no_fold(make, sitter):
    looks, dark = folded(sitter.looks(), width=0.05, darkness=0.6)
    shade = np.log(factor(make((looks, sitter.landmarks()), size=(640, 640))))
    assert np.median(shade[dark]) < -0.35


def test_light_from_one_side_is_taken_out(make, sitter, plain_skin):
    shadow = 1.0 - 0.35 * np.exp(-(((ACROSS - 0.64) / 0.1) ** 2))
    looks = np.asarray(sitter.looks() * shadow[..., None], np.float32)
    shaded = plain_skin & (shadow < 0.75) & (DOWN > 0.3)
    texture = factor(make((looks, sitter.landmarks()))).mean(axis=-1)
    assert shaded.sum() > 500
    assert texture[shaded].mean() == pytest.approx(texture[:, ::-1][shaded].mean(), abs=0.05)


def test_what_shines_below_the_chin_does_not(make, sitter, zones):
    rim = (zones.depth > 0.004) & (zones.depth < 0.015) & (np.abs(ACROSS - 0.5) < 0.06)
    rim &= DOWN > 0.6
    looks = sitter.looks()
    looks[rim] *= 1.6
    assert rim.sum() > 50
    assert factor(make((looks, sitter.landmarks())))[rim].mean() < 1.3


def test_a_strand_beside_the_cheek_is_not_part_of_the_person(make, sitter, zones):
    strand = (np.abs(ACROSS - 0.2) < 0.02) & (DOWN > 0.2) & (DOWN < 0.7)
    looks = sitter.looks(spots=0.08)
    looks[strand] = HAIR
    texture = factor(make((looks, sitter.landmarks())))
    on_skin = strand & (zones.sockets < 0.05)
    assert on_skin.sum() > 1000
    assert texture[on_skin].min() > 0.8
    assert texture[on_skin].mean() == pytest.approx(1, abs=0.03)


def test_hair_on_one_side_is_filled_from_the_other(make, sitter):
    looks, mark = with_mark(sitter.looks(), 0.75)
    strand = np.abs(ACROSS - 0.25) < 0.06
    looks[strand & (DOWN > 0.3) & (DOWN < 0.8)] = HAIR
    texture = factor(make((looks, sitter.landmarks())))
    assert texture[mark].mean() < 0.9
    assert texture[mark[:, ::-1]].mean() < 0.9


def test_a_strand_over_one_brow_gives_way_to_the_other_brow(make, sitter, zones):
    looks = sitter.looks(spots=0.08, brows=(70, 90, 125))
    strand = (np.abs(ACROSS - 0.28) < 0.05) & (DOWN < 0.42) & (zones.eyes < 0.01)
    looks[strand] = HAIR
    texture = factor(make((looks, sitter.landmarks())))
    over_brow = strand & (zones.brows > 0.9)
    assert over_brow.sum() > 500
    other = texture[:, ::-1]
    assert texture[over_brow].mean() == pytest.approx(other[over_brow].mean(), abs=0.03)


def test_brows_stay_where_hair_hangs_over_both(make, sitter, zones, usual):
    looks = sitter.looks(spots=0.08)
    looks[(zones.forehead > 0.5) & (zones.brow_hair < 0.5)] = HAIR
    inside = zones.brow_hair > 0.9
    texture = factor(make((looks, sitter.landmarks())))
    assert texture[inside].mean() < factor(usual)[inside].mean() + 0.1


def test_what_is_filled_in_has_no_edges(make, sitter, zones):
    # Hair over one half of a mottled forehead, and a strand of it over the other half.
    looks = sitter.looks()
    looks *= 1.0 + 0.12 * np.sin(60.0 * DOWN + 25.0 * ACROSS)[..., None]
    looks[((ACROSS > 0.55) | (np.abs(ACROSS - 0.33) < 0.03)) & (DOWN < 0.27)] = HAIR
    texture = np.log(factor(make((looks, sitter.landmarks()))))
    beside_brows = cv2.dilate(zones.brows, np.ones((25, 25), np.uint8)) < 0.01
    around = (zones.forehead > 0.9) & (zones.depth > 0.04) & beside_brows & (ACROSS > 0.52)
    steep = np.hypot(*np.gradient(cv2.GaussianBlur(texture[..., 2], (0, 0), 1.0)))
    assert around.sum() > 2000
    # The pattern itself has slopes of 0.015; an edge of its full height would have 0.09.
    assert steep[around].max() < 0.03


def test_a_birthmark_stays_on_its_own_side(make, sitter):
    looks, mark = with_mark(sitter.looks(), 0.75)
    texture = factor(make((looks, sitter.landmarks())))
    assert texture[mark].mean() < 0.9
    assert texture[mark[:, ::-1]].mean() > 0.95


@pytest.mark.parametrize("yaw", [-55, 55])
def test_the_side_a_turned_person_hides_is_filled_from_the_other(make, sitter, yaw):
    shown_at = 0.2 if yaw > 0 else 0.8
    looks, mark = with_mark(sitter.looks(), shown_at)
    texture = factor(make((looks, sitter.landmarks(yaw=yaw))))
    assert texture[mark].mean() < 0.9
    # Most of the mark lies where the hidden side shows nothing of its own.
    assert texture[mark[:, ::-1]].mean() < 0.92


def test_the_better_posed_picture_wins_on_each_side(make, sitter, zones):
    dark, fair = sitter.looks(brows=(20, 20, 20)), sitter.looks(brows=(90, 110, 150))
    to_the_right, to_the_left = sitter.landmarks(yaw=45), sitter.landmarks(yaw=-45)
    texture = factor(make((dark, to_the_right), (fair, to_the_left)))
    brows = zones.brow_hair > 0.9
    left_of_picture = texture[brows & (ACROSS < 0.5)].mean()
    right_of_picture = texture[brows & (ACROSS > 0.5)].mean()
    assert left_of_picture < 0.3
    assert right_of_picture > 0.6
    again = factor(make((fair, to_the_left), (dark, to_the_right)))
    np.testing.assert_allclose(again, texture, atol=1e-3)


def test_the_same_picture_twice_is_as_good_as_once(make, sitter, usual):
    pair = (sitter.looks(spots=0.08), sitter.landmarks())
    twice = make(pair, pair)
    np.testing.assert_allclose(factor(twice), factor(usual), atol=1e-3)
    np.testing.assert_array_equal(twice.cover, usual.cover)


def test_a_bare_forehead_in_one_picture_is_enough(make, sitter, zones):
    looks = sitter.looks(spots=0.08)
    bangs = (zones.forehead > 0.5) & (DOWN < 0.16)
    hidden = looks.copy()
    hidden[bangs] = HAIR
    at = sitter.landmarks()
    texture = make((hidden, at), (looks, at))
    outermost = bangs & (zones.depth > 0.03) & (zones.depth < 0.05)
    assert texture.cover[..., COVERED][outermost].mean() > 150
    assert factor(texture)[bangs].mean() > 0.97
    assert np.percentile(factor(texture)[bangs], 2) > 0.8


def test_the_persons_shape_is_kept_whatever_the_pose(make, sitter, mesh):
    straight = make((sitter.looks(), sitter.landmarks())).shape
    turned = make((sitter.looks(), sitter.landmarks(yaw=25, pitch=-10, roll=30, width_px=90))).shape
    np.testing.assert_allclose(straight, mesh.neutral, atol=1e-4)
    np.testing.assert_allclose(turned, mesh.neutral, atol=1e-4)


def test_the_cover_ends_softly_inside_the_outline(usual, zones):
    cover = usual.cover[..., COVERED].astype(int)
    assert not cover[zones.depth < 0.002].any()
    assert (cover[zones.depth > 0.12] == 255).all()
    middle = (np.abs(ACROSS - 0.5) < 0.1) & (zones.depth > 0.04)
    assert (cover[middle] == 255).all()
    assert np.abs(np.diff(cover, axis=0)).max() < 64
    above, side = usual.cover[..., 1], usual.cover[..., 2]
    assert above[zones.lips > 0.5].max() == 0
    assert above[zones.forehead > 0.5].min() == 255
    # Hair is let in over the outline, also where the cover is read between two of its pixels.
    outline = (zones.depth < 0.01) & (DOWN < 0.25)
    assert above[outline].min() == 255
    assert side[np.abs(ACROSS - 0.5) < 0.2].max() == 0


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_picture_of_one_colour_gives_a_texture_without_surprises(
    mesh, zones, light, sitter, level
):
    picture = np.full((320, 320, 3), level, np.uint8)
    texture = TextureMaker(mesh, zones, light).make([(picture, sitter.landmarks())])
    assert factor(texture)[zones.cheeks > 0.5].min() > 0.8
    assert factor(texture).max() <= 1.1


def test_a_face_that_leaves_the_picture_is_survived(make, sitter):
    at = sitter.landmarks(centre=(0.0, 250.0))
    texture = make((sitter.looks(), at))
    assert factor(texture).max() < 4
    assert np.isfinite(texture.shape).all()


def test_small_and_large_pictures_of_a_person_agree(make, sitter, plain_skin):
    small = make((sitter.looks(), sitter.landmarks(width_px=100)))
    large = make(
        (sitter.looks(), sitter.landmarks(width_px=560, centre=(400.3, 400.4))), size=(800, 800)
    )
    apart = np.abs(np.log(factor(small)) - np.log(factor(large)))
    assert apart[plain_skin].mean() < 0.03
