"""``rt-swap doctor``: whether the main job can run here, and what mends it where it cannot."""

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Looks at everything the program needs here and says how to mend what is wrong."""
    from realtime.doctor.examine import examine

    diagnosis = examine()
    print(diagnosis.as_json() if as_json else "\n".join(diagnosis.lines()))
    return diagnosis.exit_code
