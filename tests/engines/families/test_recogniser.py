import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.crops import cut_crop
from engines.families.recogniser import (
    Converter,
    Recogniser,
    mean_embedding,
    source_vector,
    unit,
)
from engines.families.specs import EmbeddingSource
from engines.families.templates import fit_template
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession

FAMILIES = bundled_catalogue().families
POINTS = np.array([[210, 180], [300, 170], [262, 230], [222, 275], [295, 268]], np.float32)


@pytest.mark.parametrize(("name", "dimensions"), [("arcface", 512), ("mobilefacenet", 128)])
def test_an_embedding_is_that_of_the_aligned_and_normalised_crop(twins, name, dimensions):
    family = FAMILIES[name]
    session = OnnxRuntimeSession(twins.recogniser(dimensions=dimensions))
    image = np.asarray(np.random.default_rng(8).integers(0, 256, (400, 500, 3)), np.uint8)
    crop = np.empty((112, 112, 3), np.uint8)
    cut_crop(image, fit_template(POINTS, "arcface_112_v2", 112), out=crop)
    rgb = crop[..., ::-1].transpose(2, 0, 1) / 255.0
    mean, std = (np.array(values)[:, None, None] for values in (family.mean, family.std))
    expected = twins.embedding_of((rgb - mean) / std, dimensions)
    got = Recogniser(session, family).embed(image, POINTS)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_the_converter_is_given_the_embedding_as_it_is(twins):
    converter = Converter(OnnxRuntimeSession(twins.converter()), FAMILIES["crossface"])
    given = np.random.default_rng(1).normal(size=512).astype(np.float32) * 20
    np.testing.assert_allclose(converter.convert(given), 2 * given[::-1], rtol=1e-6)


def rule(name):
    return EmbeddingSource(kind="embedding", recogniser="arcface", rule=name, converter="crossface")


@pytest.mark.parametrize("name", ["normalised", "emap", "converted", "converted_normalised"])
def test_the_source_follows_the_rule(twins, name):
    given = np.random.default_rng(2).normal(size=512).astype(np.float32) * 20
    emap = twins.emap_matrix()
    converter = Converter(OnnxRuntimeSession(twins.converter()), FAMILIES["crossface"])
    got = source_vector(given, rule(name), emap=emap, converter=converter)
    direction = given.astype(np.float64) / np.linalg.norm(given.astype(np.float64))
    mapped = direction @ emap.astype(np.float64)
    expected = {
        "normalised": direction,
        "emap": mapped / np.linalg.norm(mapped),
        "converted": 2.0 * given[::-1],
        "converted_normalised": direction[::-1],
    }[name]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "length", "message"),
    [
        ("emap", 512, "last constant must be a 512 × 512 matrix, got None"),
        ("converted", 512, "needs the converter crossface"),
        ("normalised", 128, r"must have 512 numbers, got \(128,\). Use the recogniser arcface"),
    ],
)
def test_a_source_without_what_the_rule_needs_is_refused(name, length, message):
    with pytest.raises(ModelError, match=message):
        source_vector(np.ones(length, np.float32), rule(name))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_an_embedding_without_a_direction_is_refused(value):
    with pytest.raises(ModelError, match="must have a direction"):
        unit(np.full(4, value, np.float32))


def test_several_pictures_count_alike_whatever_the_lengths_of_their_embeddings():
    short, long = np.array([2.0, 0, 0], np.float32), np.array([0, 10.0, 0], np.float32)
    np.testing.assert_allclose(
        mean_embedding([short, long]), 6 * np.array([1, 1, 0]) / np.sqrt(2), rtol=1e-6
    )
    np.testing.assert_allclose(mean_embedding([long]), long, rtol=1e-6)
