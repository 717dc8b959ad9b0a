"""The command line of ``rt-swap verify``."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from realtime.plain_text import printable

VERIFY = "verify"


def verify(
    target: Annotated[
        str, typer.Argument(metavar="FILE|DEVICE", help="A video, a picture or a camera.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Says which marks a file or camera carries: 0 marked, 1 not marked, 2 tampered with.

    All else is an error without a finding, with --json an object whose verdict is null.
    It ends with 7 for a file, 4 for a camera, 2 for a command line that makes no sense.
    """
    from realtime.marking import verify_target

    findings = verify_target(target)
    print(findings.as_json() if as_json else "\n".join(map(printable, findings.lines())))
    return findings.exit_code


def error_as_json(arguments: Sequence[str], message: str, code: int) -> str | None:
    """The object that a program gets which asked for JSON and made an error, or met one.

    The codes of errors and findings overlap, so it says that nothing was found out.

    Args:
        arguments: of the whole command line.
        message: one line.
        code: what the program ends with.

    Returns:
        None where another command was meant, or no JSON asked for.
    """
    if list(arguments[:1]) != [VERIFY] or "--json" not in arguments:
        return None
    return json.dumps({"verdict": None, "error": message, "exit_code": code}, indent=2)
