import numpy as np
import onnx

from engines.batching import with_open_batch
from engines.families.fit import check_fit
from engines.graphs import inputs_of
from engines.models.catalogue import bundled_catalogue
from engines.models.inspection import inspect_model, last_initializer
from engines.onnxruntime import OnnxRuntimeSession
from tools.swapper_twin import FULL_BLOCKS, FULL_WIDTHS, main, make_recogniser, make_swapper

FAMILIES = bundled_catalogue().families


def test_both_files_are_written_and_have_the_published_tensors(tmp_path):
    assert main([str(tmp_path / "new"), "--narrow", "16"]) == 0
    for file, family in (("swapper_twin", "inswapper"), ("recogniser_twin", "arcface")):
        data = (tmp_path / "new" / f"{file}.onnx").read_bytes()
        found = inspect_model(data, where=file, folder=tmp_path)
        check_fit(FAMILIES[family], found.inputs, found.outputs, where=file)
    swapper = (tmp_path / "new" / "swapper_twin.onnx").read_bytes()
    assert last_initializer(swapper, name="twin").shape == (512, 512)


def run(model, **inputs):
    session = OnnxRuntimeSession(model)
    out = {spec.name: np.full(spec.shape, np.nan, np.float32) for spec in session.outputs}
    session.enqueue(inputs, out=out, stream=0)
    return out["output"]


def test_the_swapper_looks_at_the_target_and_at_the_source():
    model = make_swapper((8, 8, 16, 16), blocks=2)
    rng = np.random.default_rng(1)
    crops = rng.random((2, 1, 3, 128, 128), np.float32)
    people = rng.standard_normal((2, 1, 512)).astype(np.float32)
    first = run(model, target=crops[0], source=people[0])
    assert 0 <= first.min() < first.max() <= 1
    assert first.std() > 0.01
    assert np.abs(run(model, target=crops[1], source=people[0]) - first).max() > 0.01
    assert np.abs(run(model, target=crops[0], source=people[1]) - first).max() > 0.01


def test_several_crops_can_go_through_the_swapper_at_once():
    model = make_swapper((4, 4, 8, 8), blocks=1)
    rng = np.random.default_rng(1)
    samples = [
        {
            "target": rng.random((1, 3, 128, 128), np.float32),
            "source": rng.standard_normal((1, 512)).astype(np.float32),
        }
        for _ in range(2)
    ]
    inputs = inputs_of(with_open_batch(model, samples), "twin")
    assert [spec.shape for spec in inputs] == [(-1, 3, 128, 128), (-1, 512)]


def test_the_same_seed_gives_the_same_network():
    assert make_swapper((4, 4, 8, 8), 1, seed=2) == make_swapper((4, 4, 8, 8), 1, seed=2)
    assert make_swapper((4, 4, 8, 8), 1, seed=2) != make_swapper((4, 4, 8, 8), 1, seed=3)


def test_the_recogniser_tells_pictures_apart():
    crops = np.random.default_rng(1).random((2, 1, 3, 112, 112), np.float32)
    a, b = (run(make_recogniser(), input=crop)[0] for crop in crops)
    assert np.linalg.norm(a - b) > 0.01 * np.linalg.norm(a)


def test_the_full_width_is_that_of_the_published_file():
    """554 MB of single precision, counted on a quarter of the width, where weights are 1/16."""
    narrow = onnx.load_model_from_string(make_swapper([w // 4 for w in FULL_WIDTHS], FULL_BLOCKS))
    counts = {tensor.name: int(np.prod(tensor.dims)) for tensor in narrow.graph.initializer}
    kinds = {tensor.name: len(tensor.dims) for tensor in narrow.graph.initializer}
    matrix = counts.pop("emap")
    convolutions = sum(count for name, count in counts.items() if kinds[name] == 4)
    styles = sum(count for name, count in counts.items() if kinds[name] == 2)
    total_bytes = 4 * (16 * convolutions + 4 * styles + matrix)
    assert abs(total_bytes - 554_253_681) < 0.01 * 554_253_681
