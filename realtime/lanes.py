"""How the stages of a run are shared among threads."""

import os

from realtime.config import Config
from realtime.contact_sheet import Moments
from realtime.refiners import refines
from realtime.stage import Stage


def num_lanes(config: Config, *, live: bool) -> int:
    """How many threads share the stages.

    A second lane lets two frames be worked on at once, which a file gains from and which costs a
    live picture delay; so that gets one only if its frames come too fast for one thread.
    """
    lanes = config.pipeline.lanes
    if lanes != "auto":
        return lanes
    if (os.cpu_count() or 1) < 2:
        return 1
    if live:
        period_ms = 1000 / config.camera.rate_hz
        serial_ms = config.pipeline.serial_ms
        if refines(config):
            serial_ms += config.refine.serial_ms
        return 2 if period_ms < serial_ms else 1
    return 2


def spread(
    finding: tuple[Stage, ...],
    swapping: tuple[Stage, ...],
    lanes: int,
    moments: Moments | None,
) -> tuple[tuple[Stage, ...], ...]:
    """Puts the stages into lanes: those that look into one, those that draw into the other."""
    before: tuple[Stage, ...] = (moments.before,) if moments else ()
    if lanes == 1:
        return ((*before, *finding, *swapping),)
    return ((*before, *finding), swapping)
