import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.mask import MaskNetwork
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession

FAMILIES = bundled_catalogue().families


def softened(mask, size_px):
    """The published post-processing in double precision: ``(S, S)`` 0..255."""
    mask = cv2.resize(mask.astype(np.float64), (size_px, size_px))
    mask = cv2.GaussianBlur(np.clip(mask, 0, 1), (0, 0), 5)
    return (np.clip(mask, 0.5, 1) - 0.5) * 2 * 255


@pytest.mark.parametrize("size_px", [256, 128])
def test_what_is_free_comes_out_with_a_soft_edge(twins, size_px):
    network = MaskNetwork(OnnxRuntimeSession(twins.occlusion()), FAMILIES["xseg"])
    crop = np.zeros((size_px, size_px, 3), np.uint8)
    # The twin takes the first of its channels, blue, for free.
    crop[size_px // 4 : -size_px // 4, size_px // 8 :, 0] = 255
    crop[..., 2] = 200
    out = np.full((size_px, size_px), 77, np.uint8)
    network.mask(crop, out=out)
    free = cv2.resize(crop[..., 0], (256, 256), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(out - softened(free, size_px)).max() <= 0.6


@pytest.mark.parametrize(("regions", "dark"), [(("skin",), 0), (("hair",), 255), ((), 0)])
def test_the_parts_that_are_asked_for_come_out(twins, regions, dark):
    network = MaskNetwork(OnnxRuntimeSession(twins.regions()), FAMILIES["bisenet"], regions=regions)
    crop = np.zeros((512, 512, 3), np.uint8)
    # The twin sees skin where red is above its mean of 0.485, and hair elsewhere.
    crop[:, 256:, 2] = 130
    out = np.full((512, 512), 77, np.uint8)
    network.mask(crop, out=out)
    assert out[256, 100] == dark
    assert out[256, 400] == (255 if regions == ("skin",) else 0)
    bright = np.zeros((512, 512))
    bright[:, 256:] = 1
    if regions == ("skin",):
        assert np.abs(out - softened(bright, 512)).max() <= 0.6


def test_another_signature_is_refused(twins):
    session = OnnxRuntimeSession(twins.restorer())
    with pytest.raises(ModelError, match="an output of shape"):
        MaskNetwork(session, FAMILIES["bisenet"])
