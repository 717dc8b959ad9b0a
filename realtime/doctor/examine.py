"""All checks, one after the other, on this machine."""

from collections.abc import Callable, Iterable, Iterator

from engines.errors import ModelError
from realtime.doctor.cameras import check_cameras
from realtime.doctor.computing import (
    check_gpu,
    check_inference,
    check_models,
    check_processor,
    cpu_flags,
)
from realtime.doctor.finding import Diagnosis, Finding, Level
from realtime.doctor.outputs import check_display, check_virtual_cameras
from realtime.doctor.places import check_cache, check_consent
from realtime.doctor.software import check_imports, check_owners, check_packages, check_python
from realtime.errors import RtSwapError
from realtime.machine import machine_facts

Check = Callable[[], Iterable[Finding]]


def examine(checks: Iterable[tuple[str, Check]] | None = None) -> Diagnosis:
    """Looks at everything; a check that cannot be made is a problem of its own.

    Args:
        checks: what to look at, by name; None: all there is.
    """
    chosen = all_checks() if checks is None else checks
    findings = [finding for name, check in chosen for finding in _guarded(name, check)]
    return Diagnosis(findings, machine_facts())


def all_checks() -> tuple[tuple[str, Check], ...]:
    """Every check, what the later ones stand on first."""
    return (
        ("python", check_python),
        ("packages", check_packages),
        ("modules", check_owners),
        ("modules", check_imports),
        ("processor", lambda: check_processor(cpu_flags())),
        ("gpu", _check_gpu),
        ("inference", check_inference),
        ("model cache", _check_cache),
        ("models", _check_models),
        ("consent", _check_consent),
        ("cameras", check_cameras),
        ("virtual camera", check_virtual_cameras),
        ("display", check_display),
    )


def _guarded(name: str, check: Check) -> Iterator[Finding]:
    # Whatever is broken here is what the person wants to know, so no check may end the others.
    try:
        yield from check()
    except (ImportError, AttributeError) as error:
        # A module that has lost its files can be imported, but has no names in it.
        yield _not_looked_at(name, error, "Do what is said above of modules and packages first")
    except (OSError, RuntimeError, ValueError, RtSwapError, ModelError) as error:
        yield _not_looked_at(name, error)


def _not_looked_at(name: str, error: Exception, cure: str = "") -> Finding:
    text = " ".join(str(error).split()) or type(error).__name__
    return Finding(name, Level.PROBLEM, f"could not be looked at, got {text.rstrip('.')}", cure)


def _check_gpu() -> Iterator[Finding]:
    from engines.choose import runtimes
    from engines.gpu import compute_capability

    yield from check_gpu(runtimes(), compute_capability())


def _check_cache() -> Iterator[Finding]:
    from engines.models.place import default_cache_dir

    yield from check_cache(default_cache_dir())


def _check_models() -> Iterator[Finding]:
    from engines.models.library import ModelLibrary

    library = ModelLibrary(offline=True)
    needed = [one.name for one in library.list() if one.entry.default]
    yield from check_models(library, needed)


def _check_consent() -> Iterator[Finding]:
    from realtime.consent import default_consent_path

    yield from check_consent(default_consent_path())
