"""The way to a plan, walked with networks that people really use, on real faces."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.build import Recipe
from engines.build_worker import prepare
from engines.plan import build_plan
from engines.profiles import Extents, Limits

SHARED = Path(__file__).parents[3] / "shared"
LIMITS = Limits(batch=Extents(1, 1, 2), side_px=Extents(128, 160, 320))

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def crops():
    folder = SHARED / "assets" / "faces" / "synthetic"
    paths = sorted(folder.glob("female_*"))[:1] + sorted(folder.glob("male_*"))[:1]
    if len(paths) < 2:
        pytest.skip(f"{folder} is not here")
    pictures = [cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) for path in paths]
    return [cv2.resize(picture, (320, 320), interpolation=cv2.INTER_AREA) for picture in pictures]


@pytest.fixture(
    scope="module",
    params=[
        ("scrfd_2.5g_bnkps", (-1.0, 1.0)),
        ("yunet_n_dynamic", (0.0, 255.0)),
        ("mobilefacenet_foamliu", (-2.0, 2.0)),
        ("pfld_cunjian", (0.0, 1.0)),
        ("span_ch28_slim_team38", (0.0, 1.0)),
        ("spynet_sintelClean_256", (0.0, 1.0)),
    ],
    ids=lambda network: network[0],
)
def prepared(request, crops):
    name, pixels = request.param
    path = SHARED / "assets" / "models" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return prepare(path.read_bytes(), crops, Recipe(limits=LIMITS, pixels=(pixels,)), name)


def test_it_passes_in_16_bits(prepared):
    assert prepared.facts["fault"] == ""
    assert prepared.facts["fp16_error"] < prepared.facts["fp16_tolerance"]


@pytest.mark.rtx
def test_it_is_built_for_sizes_that_vary(prepared):
    assert build_plan(prepared.model, prepared.profile, target="sm_89").data
