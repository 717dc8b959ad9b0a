"""One definition of each kernel: the stages of the processor call what the GPU's stages call."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

UNCALLED = {
    "enlarge_places": "the processor takes flow over affine maps, between crops of any size",
    "nv12_from_bgr": "files are written as I420; OpenCV packs what virtual cameras take",
    "bgr_from_nv12": "files are read as three planes; no source gives NV12",
    "feather": "the processor's masks are drawn softly to begin with",
    "grey_pyramid": "of measure_flow",
    "measure_flow": "OpenCV's dense inverse search takes a quarter of the time",
    "turn_back": "put_back, which is its twin, turns masks too",
    "letterbox": "the adapters of engines fill their networks' inputs",
    "levels_from_planes": "the adapters of engines read their networks' outputs",
    "mix_levels": "the processor mixes bytes of layers that are cut and sized already",
    "add_light": "the processor adds light and rim at once; enlarged_light is common to both",
    "paste_placed": "paste, with its place where a graph finds it",
    "warp_placed": "warp, with its place where a graph finds it",
    "pick_face": "the adapters of engines find all faces in a detector's outputs",
    "place_face": "the processor fits crops to landmarks, for a GPU too",
}
"""Public functions that no stage of the processor calls, and why."""


def trees(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def is_public_kernel(node):
    return (
        isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and "stream" in [argument.arg for argument in node.args.kwonlyargs]
    )


def kernels():
    """The public functions of all kernels, by module."""
    found = {}
    for path, tree in trees("cuda_kernels").items():
        names = {node.name for node in tree.body if is_public_kernel(node)}
        if names:
            found[f"cuda_kernels.{path.stem}"] = names
    return found


KERNELS = kernels()


def called_by_the_processor():
    """What modules call, by the names they import, that work without a device."""
    called = set()
    for path, tree in trees("realtime").items():
        if path.stem.startswith("device_"):
            continue
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in KERNELS
            for alias in node.names
        }
        called |= imported & {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
    return called


def test_stages_of_the_processor_call_every_kernels_public_function_but_those_named_here():
    public = set().union(*KERNELS.values())
    assert {"paste", "lay_over", "rasterize"} <= called_by_the_processor()
    assert public - called_by_the_processor() == set(UNCALLED)


def test_every_kernel_has_one_source_and_one_module_of_the_same_name():
    modules = {name.removeprefix("cuda_kernels.") for name in KERNELS}
    sources = {path.stem for path in (ROOT / "cuda_kernels" / "src").glob("*.cu")}
    assert modules == sources
