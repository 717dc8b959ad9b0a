"""Against twins whose arithmetic is known: the crop that comes out, to the level."""

import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.families.swapper import Swapper
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec

FAMILIES = bundled_catalogue().families
SWAPPERS = [name for name, family in FAMILIES.items() if family.role == "swapper"]
BATCHED = ["inswapper", "hyperswap", "uniface"]


def twin_of(twins, name, **options):
    family = FAMILIES[name]
    source = (512,)
    if family.source.kind == "picture":
        source = (3, family.source.size_px, family.source.size_px)
    return twins.swapper(family.size_px, source=source, **options)


def source_for(swapper):
    return np.random.default_rng(4).normal(size=swapper.source_shape).astype(np.float32)


def noise(size_px):
    return np.asarray(np.random.default_rng(3).integers(0, 256, (size_px, size_px, 3)), np.uint8)


def defined(twins, family, crop, source):
    """One crop through the family's rules and the twin's arithmetic, in double precision."""
    rgb = crop[..., ::-1].transpose(2, 0, 1) / 255.0
    mean, std = (np.array(values)[:, None, None] for values in (family.mean, family.std))
    picture = twins.swapped((rgb - mean) / std, source)
    if family.denormalise:
        picture = picture * std + mean
    return np.clip(picture, 0, 1).transpose(1, 2, 0)[..., ::-1] * 255


def run(swapper, crop, source):
    face, alpha = np.full_like(crop, 77), np.full(crop.shape[:2], 77, np.uint8)
    swapper.swap(crop, source, face=face, alpha=alpha)
    return face, alpha


@pytest.mark.parametrize("name", SWAPPERS)
def test_a_crop_comes_out_as_defined_to_the_level(twins, name):
    family = FAMILIES[name]
    swapper = Swapper(OnnxRuntimeSession(twin_of(twins, name)), family)
    crop, source = noise(family.size_px), source_for(swapper)
    face, alpha = run(swapper, crop, source)
    expected = defined(twins, family, crop, source)
    # Half a level for rounding and a trace for single precision.
    assert np.abs(face - expected).max() <= 0.505
    assert alpha[0].max() == 0
    assert alpha[family.size_px // 2, family.size_px // 2] == 255


@pytest.mark.parametrize("boost", [2, 3])
@pytest.mark.parametrize("batch", [1, "n"])
def test_a_boosted_crop_is_dealt_out_pixel_by_pixel(twins, boost, batch):
    family = FAMILIES["inswapper"]
    session = OnnxRuntimeSession(twin_of(twins, "inswapper", batch=batch))
    swapper = Swapper(session, family, boost=boost)
    assert swapper.crop_px == 128 * boost
    crop, source = noise(128 * boost), source_for(swapper)
    face, _ = run(swapper, crop, source)
    expected = np.empty(crop.shape)
    for row in range(boost):
        for column in range(boost):
            part = (slice(row, None, boost), slice(column, None, boost))
            expected[part] = defined(twins, family, crop[part], source)
    assert np.abs(face - expected).max() <= 0.505


def test_a_boosted_crop_is_one_run_where_the_graph_takes_any_number_and_many_where_not():
    for batch, calls in ((-1, 1), (1, 9)):
        session = echo(batch)
        crop = noise(384)
        face, _ = run(Swapper(session, FAMILIES["inswapper"], boost=3), crop, np.zeros(512))
        np.testing.assert_array_equal(face, crop)
        assert session.calls == calls


def echo(batch):
    """Gives the target back."""
    crop = (batch, 3, 128, 128)
    f32 = np.dtype(np.float32)
    return FakeSession(
        (TensorSpec("a", crop, f32), TensorSpec("b", (batch, 512), f32)),
        (TensorSpec("c", crop, f32),),
        lambda inputs: {"c": inputs["a"]},
    )


def test_half_precision_is_read_off_the_graph(twins):
    family = FAMILIES["inswapper"]
    session = OnnxRuntimeSession(twin_of(twins, "inswapper", dtype=twins.HALF))
    swapper = Swapper(session, family)
    crop, source = noise(128), source_for(swapper)
    face, _ = run(swapper, crop, source)
    expected = defined(twins, family, crop, source.astype(np.float16))
    assert np.abs(face - expected).max() <= 1.0


@pytest.mark.parametrize(
    "options",
    [
        {"names": ("input", "onnx::Gemm_1", "781")},
        {"source_first": True},
        {"mask": True},
        {"emap": True},
    ],
)
def test_tensors_are_told_apart_by_shape_whatever_their_names_and_order(twins, options):
    family = FAMILIES["hyperswap"]
    swapper = Swapper(OnnxRuntimeSession(twin_of(twins, "hyperswap", **options)), family)
    crop, source = noise(256), source_for(swapper)
    face, _ = run(swapper, crop, source)
    assert np.abs(face - defined(twins, family, crop, source)).max() <= 0.505


def test_of_two_equal_inputs_the_first_is_the_crop(twins):
    family = FAMILIES["uniface"]
    session = OnnxRuntimeSession(twin_of(twins, "uniface", names=("x", "y", "z")))
    assert session.inputs[0].shape == session.inputs[1].shape
    swapper = Swapper(session, family)
    crop, source = noise(256), source_for(swapper)
    face, _ = run(swapper, crop, source)
    assert np.abs(face - defined(twins, family, crop, source)).max() <= 0.505


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([(1, 3, 128, 128)], [(1, 3, 128, 128)], "must have 2 inputs, got 1"),
        ([(1, 3, 64, 64), (1, 512)], [(1, 3, 64, 64)], "an input of shape ?×3×128×128"),
        ([(1, 3, 128, 128), (1, 128)], [(1, 3, 128, 128)], "an input of shape ?×512, got 1×128"),
        ([(1, 3, 128, 128), (1, 512)], [(1, 1, 128, 128)], "an output of shape ?×3×128×128"),
        ([(2, 3, 128, 128), (2, 512)], [(2, 3, 128, 128)], "one crop at a time or any number"),
    ],
)
def test_another_signature_is_refused_with_what_was_wanted(inputs, outputs, message):
    f32 = np.dtype(np.float32)
    session = FakeSession(
        tuple(TensorSpec(f"i{n}", shape, f32) for n, shape in enumerate(inputs)),
        tuple(TensorSpec(f"o{n}", shape, f32) for n, shape in enumerate(outputs)),
        lambda given: given,
    )
    with pytest.raises(ModelError) as caught:
        Swapper(session, FAMILIES["inswapper"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_that_gives_no_numbers_paints_nothing():
    crop = (1, 3, 128, 128)
    f32 = np.dtype(np.float32)
    session = FakeSession(
        (TensorSpec("a", crop, f32), TensorSpec("b", (1, 512), f32)),
        (TensorSpec("c", crop, f32),),
        lambda inputs: {"c": np.full(crop, np.nan, np.float32)},
    )
    with pytest.raises(ModelError, match="must consist of numbers"):
        run(Swapper(session, FAMILIES["inswapper"]), noise(128), np.zeros(512))


def test_the_published_architecture_at_a_small_width_gives_a_picture(twins):
    model = twins.published_swapper((8, 8, 16, 16), blocks=2)
    swapper = Swapper(OnnxRuntimeSession(model), FAMILIES["inswapper"])
    face, _ = run(swapper, noise(128), source_for(swapper))
    assert face.std() > 1
