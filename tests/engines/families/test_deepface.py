import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.families.crops import feathered_box
from engines.families.deepface import DeepFace
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec

FAMILY = bundled_catalogue().families["dfm"]


@pytest.mark.parametrize(("size_px", "morph"), [(224, True), (320, False)])
def test_the_person_comes_out_as_defined_where_both_masks_are(twins, size_px, morph):
    network = DeepFace(OnnxRuntimeSession(twins.deepface(size_px, morph=morph)), FAMILY)
    assert network.crop_px == size_px
    rng = np.random.default_rng(7)
    crop = np.asarray(rng.integers(0, 256, (size_px, size_px, 3)), np.uint8)
    # Blue and green are the twin's masks: two rectangles that overlap in the middle.
    crop[..., :2] = 0
    crop[40:200, 60:180, 0] = crop[70:190, 50:170, 1] = 255
    face, alpha = np.zeros_like(crop), np.zeros((size_px, size_px), np.uint8)
    network.swap(crop, np.zeros(0, np.float32), face=face, alpha=alpha)
    # Without the input for the morph the twin adds a quarter all the same.
    expected = np.clip(0.5 * crop / 255.0 + 0.25, 0, 1) * 255
    assert np.abs(face - expected).max() <= 0.505
    both = np.zeros((size_px, size_px))
    # The rectangles' overlap, less a pixel for each of two erosions.
    both[72:188, 62:168] = 1
    soft = np.rint(cv2.GaussianBlur(both, (0, 0), 6.25) * 255)
    assert np.abs(alpha - np.minimum(soft, feathered_box(size_px))).max() <= 1


@pytest.mark.parametrize("wrong", ["open", "oblong", "no masks"])
def test_another_signature_is_refused(wrong):
    f32 = np.dtype(np.float32)
    face = {"open": (1, -1, -1, 3), "oblong": (1, 224, 320, 3)}.get(wrong, (1, 224, 224, 3))
    masks = (1, 224, 224, 2) if wrong == "no masks" else (1, 224, 224, 1)
    outputs = (masks, (1, 224, 224, 3), masks)
    session = FakeSession(
        (TensorSpec("in", face, f32),),
        tuple(TensorSpec(f"o{n}", shape, f32) for n, shape in enumerate(outputs)),
        lambda given: given,
    )
    with pytest.raises(ModelError, match="dfm: "):
        DeepFace(session, FAMILY)
