"""What is published of each network, written down here apart from the catalogue.

The values are those of the programs that made the files known: FaceFusion's face swapper, detector
and landmarker modules (33cc6b40), InsightFace's ``arcface_onnx``, ``inswapper`` and ``scrfd``,
OpenCV's ``FaceDetectorYN``, and ReSwapper's README.
"""

from typing import NamedTuple

import numpy as np
import pytest

from engines.families.recogniser import Converter, source_vector
from engines.families.swapper import Swapper
from engines.families.templates import template_points
from engines.families.tensors import PictureWriter
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession

CATALOGUE = bundled_catalogue()
PLAIN = ((0, 0, 0), (1, 1, 1))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Published(NamedTuple):
    """One row: side of the crop, its template, the normalisation, whether the output is in the same
    range (else 0..1), and what the network is told: how the embedding is treated, or the picture's
    template and side."""

    side: int
    template: str
    normalisation: tuple[tuple[float, ...], tuple[float, ...]]
    is_in_range: bool
    rule: str | tuple[str, int]

    @property
    def source_shape(self):
        return (512,) if isinstance(self.rule, str) else (3, self.rule[1], self.rule[1])


SWAPPERS = {
    "inswapper_128": Published(128, "arcface_128", PLAIN, False, "emap"),
    "inswapper_128_fp16": Published(128, "arcface_128", PLAIN, False, "emap"),
    "reswapper_128": Published(128, "arcface_128", PLAIN, False, "emap"),
    "reswapper_256": Published(256, "arcface_128", PLAIN, False, "emap"),
    "hyperswap_1a_256": Published(256, "arcface_128", HALVES, True, "unit"),
    "hyperswap_1b_256": Published(256, "arcface_128", HALVES, True, "unit"),
    "hyperswap_1c_256": Published(256, "arcface_128", HALVES, True, "unit"),
    "simswap_256": Published(256, "arcface_112_v1", IMAGENET, False, "crossface_simswap, unit"),
    "simswap_unofficial_512": Published(
        512, "arcface_112_v1", PLAIN, False, "crossface_simswap, unit"
    ),
    "ghost_1_256": Published(256, "arcface_112_v1", HALVES, True, "crossface_ghost"),
    "ghost_2_256": Published(256, "arcface_112_v1", HALVES, True, "crossface_ghost"),
    "ghost_3_256": Published(256, "arcface_112_v1", HALVES, True, "crossface_ghost"),
    "hififace_unofficial_256": Published(
        256, "mtcnn_512", HALVES, True, "crossface_hififace, unit"
    ),
    "uniface_256": Published(256, "ffhq_512", HALVES, True, ("ffhq_512", 256)),
    "blendswap_256": Published(256, "ffhq_512", PLAIN, False, ("arcface_112_v2", 112)),
}

ARCFACE_PX = [
    *((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366)),
    *((41.5493, 92.3655), (70.7299, 92.2041)),
]

# The side that they are published for, and the five points in its pixels.
TEMPLATES = {
    "arcface_112_v1": (
        112,
        [
            *((39.730, 51.138), (72.270, 51.138), (56.000, 68.493)),
            *((42.463, 87.010), (69.537, 87.010)),
        ],
    ),
    "arcface_112_v2": (112, ARCFACE_PX),
    "arcface_128": (128, [(x + 8, y) for x, y in ARCFACE_PX]),
    "ffhq_512": (
        512,
        [
            *((192.98138, 239.94708), (318.90277, 240.19360), (256.63416, 314.01935)),
            *((201.26117, 371.41043), (313.08905, 371.15118)),
        ],
    ),
    "mtcnn_512": (
        1,
        [
            *((0.36562865, 0.46733799), (0.63305391, 0.46585885), (0.50019127, 0.61942959)),
            *((0.39032951, 0.77598822), (0.61178945, 0.77476328)),
        ],
    ),
    "dfl_whole_face": (
        1,
        [
            *((0.35342266, 0.39285716), (0.62797622, 0.39285716), (0.48660713, 0.54017860)),
            *((0.38839287, 0.68750011), (0.59821427, 0.68750011)),
        ],
    ),
}

RGB, BGR = (30, 20, 10), (10, 20, 30)


def normalised(pixel, mean, std):
    return (np.array(pixel) / 255 - mean) / std


# What a pixel of blue 10, green 20 and red 30 is in the network's three channels.
PIXELS = {
    "scrfd": (np.array(RGB) - 127.5) / 128,
    "yunet": BGR,
    "yolo_face": normalised(RGB, *PLAIN),
    "arcface": normalised(RGB, *HALVES),
    "mobilefacenet": normalised(RGB, *IMAGENET),
    "fan_68": normalised(BGR, *PLAIN),
    "regressed_106": RGB,
    "pfld_68": normalised(RGB, *PLAIN),
    "xseg": normalised(BGR, *PLAIN),
    "bisenet": normalised(RGB, *IMAGENET),
}


def family_of(model):
    return CATALOGUE.family(CATALOGUE.models[model].family)


def told(rule, embedding, emap):
    """What a swapper is told of a person, in double precision; the twin converter turns about."""
    unit = embedding / np.linalg.norm(embedding)
    if rule == "emap":
        mapped = unit @ emap
        return mapped / np.linalg.norm(mapped)
    return {"unit": unit, "unit of converted": unit[::-1], "converted": 2 * embedding[::-1]}[rule]


def test_every_swapper_of_the_catalogue_is_written_down_here():
    listed = {
        name
        for name, entry in CATALOGUE.models.items()
        if (family := CATALOGUE.families.get(entry.family)) and family.role == "swapper"
    }
    assert listed == SWAPPERS.keys()


@pytest.mark.parametrize("name", SWAPPERS)
def test_a_swapper_is_given_and_gives_what_is_published(twins, name):
    side, _, (mean, std), is_in_range, rule = SWAPPERS[name]
    dtype = twins.HALF if name.endswith("fp16") else twins.FLOAT
    shape = SWAPPERS[name].source_shape
    session = OnnxRuntimeSession(twins.swapper(side, source=shape, dtype=dtype))
    swapper, random = Swapper(session, family_of(name)), np.random.default_rng(11)
    crop = np.asarray(random.integers(0, 256, (side, side, 3)), np.uint8)
    face, alpha = np.full_like(crop, 77), np.full((side, side), 77, np.uint8)
    if isinstance(rule, str):
        embedding, emap = 20 * random.normal(size=512), twins.emap_matrix()
        converter = Converter(
            OnnxRuntimeSession(twins.converter()), CATALOGUE.families["crossface"]
        )
        source = source_vector(
            embedding.astype(np.float32),
            family_of(name).source,
            emap=emap if rule == "emap" else None,
            converter=converter if "crossface" in rule else None,
        )
        kind = rule if "crossface" not in rule else "converted"
        kind = f"unit of {kind}" if rule.endswith(", unit") else kind
        given = told(kind, embedding, emap.astype(np.float64))
    else:
        source = given = random.random(shape).astype(np.float32)
    swapper.swap(crop, source, face=face, alpha=alpha)
    planes = [np.reshape(values, (3, 1, 1)) for values in (mean, std)]
    picture = twins.swapped(
        (crop[..., ::-1].transpose(2, 0, 1) / 255 - planes[0]) / planes[1], given
    )
    if is_in_range:
        picture = picture * planes[1] + planes[0]
    wanted = np.clip(picture, 0, 1).transpose(1, 2, 0)[..., ::-1] * 255
    assert np.abs(face - wanted).max() <= (1.0 if dtype == twins.HALF else 0.505)


@pytest.mark.parametrize("name", SWAPPERS)
def test_a_swapper_s_crop_lies_as_is_published(twins, name):
    side, shape = SWAPPERS[name].side, SWAPPERS[name].source_shape
    swapper = Swapper(OnnxRuntimeSession(twins.swapper(side, source=shape)), family_of(name))
    published_px, points = TEMPLATES[SWAPPERS[name].template]
    # ReSwapper says itself that its larger crops lie half a pixel further.
    shift = 128 / 32768 * side - 0.5 if name.startswith("reswapper") else 0.0
    front = swapper.templates[len(swapper.templates) // 2]
    np.testing.assert_allclose(front, np.array(points) / published_px * side + shift, atol=0.01)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_the_published_pixels(name):
    side, points = TEMPLATES[name]
    np.testing.assert_allclose(template_points(name, 512), np.array(points) / side * 512, atol=0.01)


@pytest.mark.parametrize("name", SWAPPERS)
def test_a_swapper_s_helpers_are_those_it_was_trained_with(name):
    rule, source = SWAPPERS[name].rule, family_of(name).source
    if isinstance(rule, tuple):
        assert (source.template, source.size_px) == rule
        return
    assert source.recogniser == "arcface_w600k_r50"
    assert source.converter == (rule.split(",")[0] if "crossface" in rule else None)


@pytest.mark.parametrize("name", PIXELS)
def test_a_pixel_is_written_as_is_published(name):
    family = CATALOGUE.families[name]
    writer = PictureWriter(family.mean, family.std, family.colours, np.dtype(np.float32))
    picture = np.tile(np.array([10, 20, 30], np.uint8), (4, 4, 1))
    planes = np.empty((3, 4, 4), np.float32)
    writer.write(picture, planes=planes)
    np.testing.assert_allclose(planes[:, 2, 1], PIXELS[name], atol=1e-4)
