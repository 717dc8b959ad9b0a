from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image as Pillow

from engines.errors import ModelError
from engines.families.enlarger import Enlarger
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession
from realtime.errors import MediaError
from realtime.frame import PictureSpec
from realtime.sources.enlarged import EnlargedSource, enlarged_size
from realtime.sources.still import StillPicture
from realtime.stage import Source


class Pictures:
    """Gives one picture of a size, then none."""

    def __init__(self, width, height):
        self.spec = PictureSpec(width, height, Fraction(25), live=False, num_frames=1)
        self.num_closed = 0
        self._left = [7]

    def open(self):
        return self.spec

    def fill(self, image):
        if not self._left:
            return None
        image[:] = np.arange(self.spec.width, dtype=np.uint8)[:, None]
        return self._left.pop()

    def close(self):
        self.num_closed += 1


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((1280, 720), (1920, 1080)),
        ((1920, 1080), (3840, 2160)),
        ((720, 1280), (1080, 1920)),
        ((640, 480), (960, 720)),
        ((321, 243), (482, 364)),
    ],
)
def test_pictures_become_of_the_next_usual_size(given, wanted):
    assert enlarged_size(*given) == wanted


def test_a_picture_is_written_whole_at_its_new_size():
    source = EnlargedSource(Pictures(80, 40))
    assert isinstance(source, Source)
    spec = source.open()
    assert (spec.width, spec.height, spec.rate_hz, spec.num_frames) == (120, 60, 25, 1)
    image = np.full((60, 120, 3), 255, np.uint8)
    assert source.fill(image) == 7
    # A slope of 1 a pixel becomes one of 2/3, with its ends where they were.
    inner = image[30, 6:-6, 0].astype(float)
    np.testing.assert_allclose(inner, (np.arange(6, 114) + 0.5) / 1.5 - 0.5, atol=0.51)
    assert source.fill(image) is None


@pytest.mark.parametrize("size", [(80, 40), (800, 728)])
def test_a_network_enlarges_the_whole_picture_and_is_let_go_with_the_source(twins, size):
    opened = []

    @contextmanager
    def network():
        opened.append("open")
        session = OnnxRuntimeSession(twins.enlarger(2))
        yield Enlarger(session, bundled_catalogue().families["enlarger_x2"])
        opened.append("closed")

    pictures = Pictures(*size)
    source = EnlargedSource(pictures, network)
    spec = source.open()
    image = np.full((spec.height, spec.width, 3), 255, np.uint8)
    assert source.fill(image) == 7
    plain = EnlargedSource(Pictures(*size))
    wanted = np.empty_like(image)
    plain.open()
    plain.fill(wanted)
    # The twin makes squares of pixels, which a slope of one level a pixel shows little of.
    apart = np.abs(image.astype(int) - wanted)[:, 4:-4]
    assert np.median(apart) <= 1
    assert source.fill(image) is None
    source.close()
    assert opened == ["open", "closed"]
    assert pictures.num_closed == 1


def test_a_network_that_cannot_be_opened_lets_the_source_go():
    @contextmanager
    def network():
        raise ModelError("no such network")
        yield

    pictures = Pictures(80, 40)
    with pytest.raises(ModelError, match="no such network"):
        EnlargedSource(pictures, network).open()
    assert pictures.num_closed == 1


def test_a_still_picture_can_be_enlarged(tmp_path):
    path = tmp_path / "me.png"
    Pillow.new("RGB", (40, 30), (200, 100, 50)).save(path)
    source = EnlargedSource(StillPicture(path, num_frames=1))
    spec = source.open()
    image = np.zeros((spec.height, spec.width, 3), np.uint8)
    source.fill(image)
    assert image.shape[:2] == (44, 60)
    assert (image == [50, 100, 200]).all()
    source.close()


def test_what_is_large_already_is_refused_and_let_go():
    inner = Pictures(2560, 1440)
    with pytest.raises(MediaError, match="at most 2048x1152, got 2560x1440"):
        EnlargedSource(inner).open()
    assert inner.num_closed == 1
