"""``rt-swap models``: what there is, fetching, importing and removing it, where it comes from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from realtime.plain_text import printable

if TYPE_CHECKING:
    from engines.models.catalogue import Entry, KnownFile
    from engines.models.library import Description

models_app = typer.Typer(
    no_args_is_help=False,
    help="The networks this program can use: list, pull, import, show, remove.",
)

Names = Annotated[list[str], typer.Argument(help="Names from the list.")]


@models_app.command("list")
def list_models() -> int:
    """Lists everything that can be used, and whether it is here already."""
    from engines.models.library import ModelLibrary
    from engines.models.place import default_cache_dir

    library, damaged = ModelLibrary(), []
    # What the program cannot do without comes first.
    for description in sorted(library.list(), key=lambda item: not item.entry.default):
        entry, state = description.entry, _state(description)
        is_there = description.is_cached or description.is_imported
        if is_there and library.state(description.name) != "here":
            state = "damaged"
            damaged.append(description)
        size = f"{entry.bytes / 1e6:.1f} MB" if entry.bytes else "?"
        about = f"{entry.title} ({entry.licence})"
        print(f"{description.name:28} {state:8} {size:>8}  {printable(about)}")
    print(f"kept in {default_cache_dir()}")
    for description in damaged:
        print(f"{description.name} is damaged or was changed. {_cure(description)}")
    for name in library.orphans():
        print(printable(f"{name}: an imported file of no use. Run: rt-swap models remove {name}"))
    return 0


@models_app.command("pull")
def pull_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names from the list; none: the default ones.")
    ] = None,
) -> int:
    """Downloads and converts models, so that no network is needed later."""
    from engines.models.library import ModelLibrary
    from engines.models.place import default_cache_dir
    from realtime.terminal import Terminal

    terminal = Terminal()
    with terminal.downloading() as progress:
        ModelLibrary(progress=progress).pull(names or None)
    terminal.line(f"{', '.join(names) if names else 'default models'} in {default_cache_dir()}")
    return 0


@models_app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A network, .onnx or .dfm.")],
    family: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="What a file of unknown hash is to be read as; left out: says what would fit.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="N", help="What to call it; left out: as the file.")
    ] = None,
) -> int:
    """Takes a network you have into the library, by its hash or as what you say it is."""
    from engines.models.library import ModelLibrary
    from engines.twins import TWINS
    from realtime.engine_commands import TWINS_NAME
    from realtime.stages.restore import OFF
    from realtime.stages.track import BLAZEFACE
    from realtime.swap_networks import DRAWN
    from realtime.terminal import Terminal

    # Where one of these is given no network is meant, and one of that name could not be chosen.
    reserved = (*DRAWN, OFF, BLAZEFACE, TWINS_NAME, *TWINS)
    description = ModelLibrary().import_file(file, family=family, name=name, reserved=reserved)
    entry, terminal = description.entry, Terminal()
    terminal.line(f"licence of {description.name}: {entry.licence}, {entry.licence_url}")
    how = f"as {entry.family}, hash not known" if description.is_imported else "hash known"
    terminal.line(f"{description.name} imported, {how}")
    return 0


@models_app.command("show")
def show_models(names: Names) -> int:
    """Says what a model is, where it comes from and under which licence."""
    from engines.models.library import ModelLibrary

    library = ModelLibrary()
    for description in [library.describe(name) for name in names]:
        entry = description.entry
        facts = [
            ("name", description.name),
            ("title", entry.title),
            ("family", entry.family),
            ("licence", f"{entry.licence}, {entry.licence_url}"),
            ("attribution", entry.attribution),
        ]
        for file in entry.files:
            facts += [
                ("sha256", file.sha256),
                ("bytes", str(file.bytes or "not known")),
                ("source", _origin(file)),
            ]
        if not entry.files:
            facts.append(("source", _import_hint(description.name, entry)))
        state = library.state(description.name)
        facts.append(("here", {"here": "yes", "missing": "no"}.get(state, state)))
        if state == "damaged" or (state == "missing" and description.is_imported):
            facts.append(("cure", _cure(description)))
        print("\n".join(f"{key:12} {printable(value)}" for key, value in facts))
    return 0


@models_app.command("remove")
def remove_models(names: Names) -> int:
    """Deletes models from the folder they are kept in; the file you imported stays."""
    from engines.models.library import ModelLibrary
    from realtime.terminal import Terminal

    library = ModelLibrary()
    for name in names:
        library.remove(name)
        Terminal().line(f"{name} removed")
    return 0


def _state(description: "Description") -> str:
    if description.is_imported:
        return "imported"
    if description.is_cached:
        return "here"
    if description.entry.default:
        return "default"
    return "-" if description.entry.can_be_pulled else "import"


def _cure(description: "Description") -> str:
    """What mends a file that is not what it was."""
    name = description.name
    if description.entry.can_be_pulled:
        return f"Run: rt-swap models pull {name}"
    return f"Run: rt-swap models remove {name}, then import the file again"


def _origin(file: "KnownFile") -> str:
    from engines.models.catalogue import bundled_catalogue

    source = file.source
    if source is None:
        return "a file you have"
    if source.kind == "packaged":
        return f"{source.file}, which comes with the program"
    if source.kind == "wheel_member":
        return f"{source.member} in the wheel {source.wheel}"
    return ", ".join(bundled_catalogue().urls(source))


def _import_hint(name: str, entry: "Entry") -> str:
    return f"a file you have: rt-swap models import FILE --family {entry.family} --name {name}"
