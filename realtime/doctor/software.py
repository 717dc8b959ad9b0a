"""Python and the packages the program stands on."""

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from realtime.doctor.finding import Finding, Level

LEAST_PYTHON = (3, 11)

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"

PIP = f"{sys.executable} -m pip"
"""The pip of this very Python."""

_SHARED: Mapping[str, str] = MappingProxyType(
    {"cv2": "opencv-python-headless", "onnxruntime": "onnxruntime"}
)
"""Modules that several distributions bring under one name, and the one rt-swap wants."""

_NEEDED: Mapping[str, str] = MappingProxyType(
    {
        "numpy": "ndarray",
        "cv2": "VideoCapture",
        "av": "open",
        "onnxruntime": "InferenceSession",
    }
)
"""Modules with compiled parts, and a name each must have: a module that has lost its files to the
removal of another distribution is still there, but empty."""


def check_python(
    version: tuple[int, ...] = tuple(sys.version_info[:3]), *, is_64_bit: bool = sys.maxsize > 2**32
) -> Iterator[Finding]:
    """Whether this Python is new enough."""
    text = f"{'.'.join(map(str, version))}, {64 if is_64_bit else 32} bits, {sys.executable}"
    if version[:2] < LEAST_PYTHON or not is_64_bit:
        cure = "Install a 64-bit Python of at least 3.11 from https://www.python.org/downloads/"
        yield Finding("python", Level.PROBLEM, text, cure)
        return
    yield Finding("python", Level.OK, text)


def required_packages() -> list[str]:
    """What the installed program says it needs; nothing where it is not installed."""
    try:
        return metadata.requires("rt-swap") or []
    except metadata.PackageNotFoundError:
        return []


def packages_of_checkout(project: Path = _PROJECT) -> list[str]:
    """What the program's own project file says it needs; nothing where there is none."""
    try:
        return list(tomllib.loads(project.read_text("utf-8"))["project"]["dependencies"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return []


def version_of(package: str) -> str | None:
    """The installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_packages(
    requirements: Sequence[str] | None = None,
    installed: Callable[[str], str | None] = version_of,
) -> Iterator[Finding]:
    """Whether every package is there in a version that will do.

    Args:
        requirements: as package metadata states them; None: those of the installed program.
        installed: version of a package, None where it is missing.
    """
    wanted = required_packages() if requirements is None else requirements
    if not wanted:
        text = "rt-swap runs from a checkout that is not installed"
        yield Finding("packages", Level.WARNING, text, f"Run: {PIP} install -e .")
        wanted = packages_of_checkout()
    bad = list(_unmet(wanted, installed))
    yield from bad
    if wanted and not bad:
        yield Finding("packages", Level.OK, "all that is needed is installed")


def _unmet(
    requirements: Sequence[str], installed: Callable[[str], str | None]
) -> Iterator[Finding]:
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        # Extras are optional by their nature; their marker names them.
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = installed(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            got = version or "none"
            wanted = f"{requirement.name}{requirement.specifier}"
            yield Finding(
                "packages",
                Level.PROBLEM,
                f"{wanted} must be installed, got {got}",
                f'Run: {PIP} install "{wanted}"',
            )


def check_owners(owners: Mapping[str, Sequence[str]] | None = None) -> Iterator[Finding]:
    """Whether two distributions own the same module: the files of one lie over the other's.

    Args:
        owners: distributions by the modules they bring; None: those of this environment.
    """
    known = metadata.packages_distributions() if owners is None else owners
    for module, wanted in _SHARED.items():
        names = sorted(set(known.get(module, ())))
        if len(names) > 1:
            yield Finding(
                module,
                Level.WARNING,
                f"must belong to one distribution, got {' and '.join(names)}",
                f"Run: {PIP} uninstall -y {' '.join(names)} && {PIP} install {wanted}",
            )
        elif names:
            yield Finding(module, Level.OK, f"comes from {names[0]}")


def check_imports(load: Callable[[str], Any] = importlib.import_module) -> Iterator[Finding]:
    """Whether the packages with compiled parts can be loaded and are whole."""
    for module, attribute in _NEEDED.items():
        try:
            loaded = load(module)
        except (ImportError, OSError) as error:
            fault = " ".join(str(error).split())
        else:
            fault = "" if hasattr(loaded, attribute) else f"nothing called {attribute} in it"
        if fault:
            package = _SHARED.get(module, module)
            yield Finding(
                module,
                Level.PROBLEM,
                f"must be loaded, got {fault}",
                f"Run: {PIP} install --force-reinstall {package}",
            )
