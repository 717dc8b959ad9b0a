import numpy as np
import pytest

from tools.mark_attacks import ATTACKS, coded, each, mirrored, squared, to_360, zoomed

RNG = np.random.default_rng(0)
PICTURES = [
    np.clip(RNG.normal(120, 20, (90, 160, 1)) + np.arange(160)[None, :, None], 0, 255)
    .astype(np.uint8)
    .repeat(3, 2)
    for _ in range(3)
]


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "untouched"])
def test_every_attack_changes_the_pictures_and_keeps_their_number(name):
    changed = ATTACKS[name](PICTURES)
    assert len(changed) == len(PICTURES)
    assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in changed)
    assert any(not np.array_equal(a, b) for a, b in zip(changed, PICTURES, strict=True))


def test_an_attack_is_the_same_in_every_run():
    for attack in ATTACKS.values():
        np.testing.assert_array_equal(attack(PICTURES), attack(PICTURES))


def test_sizes_are_what_the_names_say():
    assert to_360(PICTURES[0]).shape == (360, 640, 3)
    assert squared(PICTURES[0]).shape == (90, 90, 3)
    assert squared(PICTURES[0][:, :90]).shape == (67, 90, 3)
    assert zoomed(PICTURES[0]).shape == (90, 160, 3)


def test_a_mirrored_picture_mirrored_again_is_the_same():
    np.testing.assert_array_equal(mirrored(mirrored(PICTURES[0])), PICTURES[0])


def test_a_codec_for_sound_is_refused():
    with pytest.raises(TypeError, match="must encode pictures"):
        coded("aac")(PICTURES)


def test_odd_sizes_go_through_a_codec():
    odd = each(lambda picture: picture[:45, :77])(PICTURES)
    assert ATTACKS["H.264 crf 23"](odd)[0].shape == (44, 76, 3)
