"""``rt-swap models``: what is in the catalogue, fetching it, where one thing comes from."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engines.models.catalogue import Entry

models_app = typer.Typer(
    no_args_is_help=False, help="The networks this program downloads: list, pull, show."
)


@models_app.command("list")
def list_models() -> int:
    """Lists everything that can be fetched, and whether it is here already."""
    from engines.models.library import ModelLibrary, default_cache_dir

    for description in ModelLibrary().list():
        entry = description.entry
        here = "here" if description.is_cached else "default" if entry.default else "-"
        size = f"{entry.bytes / 1e6:.1f} MB"
        print(f"{description.name:28} {here:8} {size:>8}  {entry.licence:14} {entry.title}")
    print(f"kept in {default_cache_dir()}")
    return 0


@models_app.command("pull")
def pull_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names from the list; none: the default ones.")
    ] = None,
) -> int:
    """Downloads and converts models, so that no network is needed later."""
    from engines.models.library import ModelLibrary, default_cache_dir
    from realtime.terminal import Terminal

    terminal = Terminal()
    with terminal.downloading() as progress:
        ModelLibrary(progress=progress).pull(names or None)
    terminal.line(f"{', '.join(names) if names else 'default models'} in {default_cache_dir()}")
    return 0


@models_app.command("show")
def show_models(
    names: Annotated[list[str], typer.Argument(help="Names from the list.")],
) -> int:
    """Says what a model is, where it comes from and under which licence."""
    from engines.models.library import ModelLibrary

    library = ModelLibrary()
    for description in [library.describe(name) for name in names]:
        entry = description.entry
        facts = {
            "name": description.name,
            "title": entry.title,
            "licence": f"{entry.licence}, {entry.licence_url}",
            "attribution": entry.attribution,
            "source": _origin(entry),
            "bytes": str(entry.bytes),
            "sha256": entry.sha256,
            "here": "yes" if description.is_cached else "no",
        }
        print("\n".join(f"{key:12} {value}" for key, value in facts.items()))
    return 0


def _origin(entry: "Entry") -> str:
    source = entry.source
    if source.kind == "wheel_member":
        return f"{source.member} in the wheel {source.wheel}"
    return ", ".join(source.urls)
