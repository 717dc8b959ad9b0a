"""How the stages of a run are shared among threads."""

import os

from realtime.config import Config
from realtime.contact_sheet import Moments
from realtime.refiners import refines
from realtime.stage import Stage


def num_lanes(config: Config, *, live: bool) -> int:
    """How many threads share the stages.

    More lanes let more frames be worked on at once, which a file gains from. Each of them takes
    longer then, for lanes take turns at the interpreter; so live pictures keep to one, but for
    FuseNet, which leaves the interpreter alone for most of its time.
    """
    lanes = config.pipeline.lanes
    if lanes != "auto":
        return lanes
    if (os.cpu_count() or 1) < 2:
        return 1
    if live:
        return 2 if refines(config) else 1
    return 3


def measures_beside(lanes: int, *, live: bool) -> bool:
    """Whether the motion of faces is measured on a thread of its own, beside the lanes.

    A live picture comes out earlier by it. A file gains only where the lanes leave a core free:
    with two cores three lanes cost a tenth less processor time without such a thread.

    Args:
        lanes: from ``num_lanes``.
        live: whether pictures come at their own pace.
    """
    return live or (os.cpu_count() or 1) > lanes


def spread(
    finding: tuple[Stage, ...],
    swapping: tuple[Stage, ...],
    lanes: int,
    moments: Moments | None,
) -> tuple[tuple[Stage, ...], ...]:
    """Puts the stages into lanes: those that look, the one that draws, those that lay it in.

    Args:
        finding: the stages that look.
        swapping: the one that draws, and those after it.
        lanes: 1 to 3; two leave drawing and laying in together, and so does one stage for both.
        moments: keeps pictures from before the first stage.
    """
    before: tuple[Stage, ...] = (moments.before,) if moments else ()
    if lanes == 1:
        return ((*before, *finding, *swapping),)
    if lanes == 2 or len(swapping) == 1:
        return ((*before, *finding), swapping)
    return ((*before, *finding), swapping[:1], swapping[1:])
