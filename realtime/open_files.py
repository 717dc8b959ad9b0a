"""Which programs have a device open."""

from pathlib import Path


def holders(path: Path, proc: Path = Path("/proc")) -> list[str]:
    """Names the programs that have a device file open, as far as ``/proc`` tells.

    Args:
        path: of the device file.
        proc: where the kernel shows processes; a missing folder means that nothing can be told.

    Returns:
        ``name (pid)`` for each, sorted; other users' programs are seen by root alone.
    """
    found = set()
    for process in proc.glob("[0-9]*"):
        try:
            if any(link.readlink() == path for link in (process / "fd").iterdir()):
                found.add(f"{(process / 'comm').read_text().strip()} ({process.name})")
        except OSError:
            # The process has ended or belongs to somebody else.
            continue
    return sorted(found)
