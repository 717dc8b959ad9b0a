"""Who may import whom, and which module may import a heavy library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = ("realtime", "engines", "cuda_kernels", "configs", "tools")

PURE = tuple(
    f"realtime.{name}"
    for name in (
        "errors",
        "frame",
        "geometry",
        "machine",
        "memory",
        "metrics",
        "pacing",
        "ring",
        "work_size",
    )
)
"""Modules below everything else: they import each other only."""

TOP = ("realtime.app", "realtime.cli")
"""Modules above everything else in ``realtime``."""

# Libraries that are slow to import, large, or bound to a device, and who adapts them.
GRAPH_TOOLS = tuple(
    f"engines.{name}"
    for name in (
        "batching",
        "graph_writer",
        "graphs",
        "half",
        "half_graph",
        "narrow",
        "quantise",
        "split",
    )
)
"""Modules that take ONNX graphs apart; none of them is needed to run a network."""

ADAPTERS = {
    "PIL": ("realtime.pictures",),
    "av": ("realtime.media_file", "realtime.sinks", "realtime.sources"),
    "c2pa": ("realtime.provenance.c2pa_manifest",),
    "cryptography": ("realtime.provenance.certificates",),
    "cupy": ("cuda_kernels.cupy_stream",),
    "cv2_enumerate_cameras": ("realtime.sources.devices",),
    "google": ("engines.graphs", "engines.models.inspection"),
    "onnx": ("engines.models", *GRAPH_TOOLS),
    "onnxruntime": ("engines.onnxruntime", "engines.quantise"),
    "openvino": ("engines.openvino",),
    "platformdirs": ("engines.cache", "engines.models.place", "realtime.consent"),
    "psutil": ("realtime.machine",),
    "pyvirtualcam": ("realtime.sinks.virtual_camera",),
    "rich": ("realtime.terminal",),
    "tensorrt": ("engines.tensorrt",),
    "tensorrt_rtx": ("engines.tensorrt",),
    "tflite": ("engines.models",),
    "torch": ("engines.networks",),
    "typer": (
        "realtime.bench_commands",
        "realtime.cli",
        "realtime.doctor_command",
        "realtime.engine_bench",
        "realtime.engine_commands",
        "realtime.model_commands",
        "realtime.verify_command",
    ),
}


def modules() -> dict[str, ast.Module]:
    """Every module of ours by its dotted name; a package goes by its own."""
    found = {}
    for package in OWN:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports anywhere in it; for ours, as exactly as they are known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if inner in MODULES else module


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def offences(importers: tuple[str, ...], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{name} imports {target}"
        for name, tree in MODULES.items()
        if within(name, importers)
        for target in imported(tree)
        if within(target, forbidden)
    ]


def test_the_walk_sees_the_modules_and_their_imports():
    assert set(PURE) <= set(MODULES)
    assert "realtime.ring" in set(imported(MODULES["realtime.crew"]))
    assert offences(("realtime.crew",), ("realtime.ring",))


def test_engines_and_kernels_know_neither_each_other_nor_the_engine_around_them():
    assert not offences(("engines",), ("realtime", "cuda_kernels", "tools"))
    assert not offences(("cuda_kernels",), ("realtime", "engines", "tools"))


def test_nothing_that_is_installed_imports_the_tools_or_the_tests():
    assert not offences(("realtime", "engines", "cuda_kernels", "configs"), ("tools", "tests"))


def test_the_lowest_modules_import_only_each_other():
    strange = [
        f"{name} imports {target}"
        for name in PURE
        for target in imported(MODULES[name])
        if within(target, OWN) and target not in PURE
    ]
    assert not strange
    assert not offences(PURE, ("cv2",))


def test_stages_sources_and_sinks_know_nothing_of_what_runs_them():
    parts = ("realtime.stages", "realtime.sources", "realtime.sinks")
    engine = ("realtime.pipeline", "realtime.crew", "realtime.lane", "realtime.sender")
    assert not offences(parts, (*TOP, *engine, "realtime.intake"))


def test_the_engine_core_knows_no_stage_no_source_and_no_sink():
    core = tuple(f"realtime.{name}" for name in ("crew", "intake", "lane", "pipeline", "sender"))
    assert not offences(core, ("realtime.stages", "realtime.sources", "realtime.sinks", "engines"))


def test_only_the_command_line_and_the_tools_import_the_application():
    users = {name for name, tree in MODULES.items() if set(imported(tree)) & set(TOP)}
    assert {name for name in users if not within(name, ("tools",))} <= {
        *TOP,
        "realtime.__main__",
        "realtime.bench_commands",
        "realtime.demo",
    }


@pytest.mark.parametrize("library", ADAPTERS)
def test_a_heavy_library_is_imported_only_by_its_adapter(library):
    strange = [
        name
        for name, tree in MODULES.items()
        if not within(name, (*ADAPTERS[library], "tools"))
        and any(within(target, (library,)) for target in imported(tree))
    ]
    assert not strange


def test_what_takes_graphs_apart_is_not_loaded_before_the_first_picture():
    # A second and more on a slow machine: ml_dtypes, which onnx needs, registers its types.
    code = "import sys, realtime.app; print({'onnx', 'ml_dtypes'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.stdout == b"set()\n", done.stderr


def test_only_the_camera_opens_a_capture_device():
    users = [
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "VideoCapture"
    ]
    assert all(within(name, ("realtime.sources.camera",)) for name in users)


def test_no_module_imports_itself_in_a_circle():
    graph = {
        name: {target for target in imported(without_typing(tree)) if target in MODULES} - {name}
        for name, tree in MODULES.items()
    }
    TopologicalSorter(graph).prepare()


def without_typing(tree: ast.Module) -> ast.Module:
    """The module without what is imported for a type checker only."""

    class Cut(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            is_typing = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return None if is_typing else self.generic_visit(node)

    return Cut().visit(ast.parse(ast.unparse(tree)))
