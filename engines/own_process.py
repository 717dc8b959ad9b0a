"""What another Python process needs to find these very packages."""

import os
from pathlib import Path


def environment() -> dict[str, str]:
    """This process's environment, in which ``import engines`` finds the package this file is in.

    The process may have been started from anywhere, and another copy may be installed.
    """
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": paths}
