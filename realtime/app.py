"""The one place that constructs and connects: a job and a configuration become a running engine."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from engines.models.library import ModelLibrary
from engines.opener import BestOpener, OpenNetwork, RetreatingOpener
from engines.session import Session
from engines.switching import Say
from realtime.choosers import open_chooser
from realtime.config import Config
from realtime.consent import ConsentKind, ConsentLog, default_consent_path, require_consent
from realtime.contact_sheet import Moments
from realtime.control import SwapControl
from realtime.detectors import OpenFinder, finder_opener
from realtime.device import choose_device, limit_threads
from realtime.device_opening import device_fault, device_opener
from realtime.face_crops import face_crops
from realtime.face_mesh import load_face_mesh
from realtime.face_zones import draw_zones
from realtime.job import SYNTHETIC, Job, describe, is_picture
from realtime.job_models import (
    CONNECTIONS,
    PORTRAIT,
    fetch_models,
    has_picture_networks,
    open_flow,
)
from realtime.lanes import measures_beside, num_lanes, spread
from realtime.marking import (
    allow_faces,
    content_checks,
    describe_marks,
    open_record,
    open_seal,
)
from realtime.memory import give_back_freed
from realtime.metrics import Json
from realtime.pipeline import Pipeline, Plan, Report
from realtime.provenance.run_record import RunRecord, draw_session
from realtime.provenance.seal import Seal
from realtime.refiners import open_refiner, refines
from realtime.restorers import open_picture_enlarger, open_restorers
from realtime.signals import StopSignals
from realtime.sinks.detached import Detached
from realtime.sinks.null import Null
from realtime.sinks.picture import PictureFile
from realtime.sinks.video import VideoFile as VideoSink
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.skin_light import LightScale, SkinLight
from realtime.sources.camera import Camera
from realtime.sources.enlarged import EnlargedSource
from realtime.sources.still import StillPicture
from realtime.sources.synthetic import SyntheticCamera
from realtime.sources.video import VideoFile as VideoSource
from realtime.stage import Sink, Source, Stage
from realtime.stages.align import Align
from realtime.stages.blend import Blend
from realtime.stages.composite import Composite
from realtime.stages.device_swap import DeviceSwap
from realtime.stages.face_mask import FaceMask
from realtime.stages.fuse import Fuse
from realtime.stages.glasses import Glasses
from realtime.stages.guard import Guard
from realtime.stages.mark import Mark
from realtime.stages.match import Match
from realtime.stages.occlude import Occlude
from realtime.stages.refine import Refine
from realtime.stages.restore import OFF, Restore
from realtime.stages.switch import Switch
from realtime.stages.track import Track
from realtime.stats_file import StatsFile
from realtime.swap_networks import open_mask
from realtime.swappers import open_swapper
from realtime.terminal import Terminal, summary

logger = logging.getLogger(__name__)

ENDLESS_S = 5.0
"""Length of a video made from what has no end, where nobody says how long."""


OnControl = Callable[[SwapControl], None]
"""Told how to change what is put in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        exit_code: of the program.
        stats: the figures of the run.
        seal: says what made them in further files of the run.
    """

    exit_code: int
    stats: Json
    seal: Seal


def run(
    job: Job,
    config: Config,
    terminal: Terminal,
    signals: StopSignals,
    *,
    moments: Moments | None = None,
    on_control: OnControl | None = None,
) -> Outcome:
    """Does one job from start to end; the statistics are written however it ends.

    Args:
        job: what to do.
        config: how to do it.
        terminal: the person's side.
        signals: what ends the run early.
        moments: keeps pictures from before and after the swap.
        on_control: told before the first frame how to change the face and the swapper.

    Raises:
        RtSwapError, ModelError: the job cannot be done, or failed on the way.
        KeyboardInterrupt: a signal came before the engine ran, or a second one after.
    """
    try:
        return _run(job, config, terminal, signals, moments, on_control)
    finally:
        # All that the run was made of is gone only now; another one may never come.
        give_back_freed()


def _run(
    job: Job,
    config: Config,
    terminal: Terminal,
    signals: StopSignals,
    moments: Moments | None,
    on_control: OnControl | None,
) -> Outcome:
    with StatsFile(job.stats, terminal.line) as stats_file:
        device = choose_device(config.device.kind, has_networks=has_picture_networks(config))
        limit_threads(config.device.threads)
        consents = _see_consent(job, terminal)
        models = fetch_models(job, config, terminal)
        record = open_record(job, config, models.hashes, consents)
        seal = open_seal(record, job)
        plan = build_plan(
            job,
            config,
            models.library,
            moments,
            on_control,
            record=record,
            seal=seal,
            say=terminal.line,
        )
        pipeline = Pipeline(plan)
        stats_file.figures = pipeline.stats
        title = f"{describe(job)}; {config.swapper} on {device}; session {record.session_id}"
        report = _run_pipeline(pipeline, job, title, terminal, signals)
        stats_file.reason = report.reason
    terminal.line(summary(report, live=job.mode == "live"))
    terminal.line(describe_marks(record, seal))
    return Outcome(signals.exit_code, report.stats, seal)


def build_plan(
    job: Job,
    config: Config,
    library: ModelLibrary,
    moments: Moments | None = None,
    on_control: OnControl | None = None,
    *,
    record: RunRecord | None = None,
    seal: Seal | None = None,
    say: Say = logger.warning,
) -> Plan:
    """Constructs every part of a run; nothing in it is open yet.

    Args:
        job: what to do.
        config: how to do it.
        library: has the networks.
        moments: keeps pictures from before and after the swap.
        on_control: told how to change the face and the swapper while it runs.
        record: of the run the pictures say they come from; None draws a session only.
        seal: goes on a file that is written; None leaves it without metadata and signature.
        say: told in one line where the swap is done, and when that changes while it runs.

    Raises:
        UsageError: the content check cannot be imported.
        ContentError: it refuses a picture of the face.
        MediaError, ModelError: a face cannot be used, or a model is missing.
    """
    open_session = partial(library.session, threads=config.device.threads)
    open_finder = finder_opener(config, library, open_session)
    connections = library.text(CONNECTIONS)
    fault = device_fault(config, library)
    retreating = RetreatingOpener(library.open_network, BestOpener("cpu", face_crops, say=say))
    # Where the GPU does all of it, what takes its place must not need it any more.
    swap_library = library.with_opener(retreating) if fault == "" else library
    switch = Switch(open_swapper(job.people, config, swap_library, connections))
    refine = None
    if refines(config) or on_control is not None:
        open_fuser = partial(open_refiner, config, library)
        refine = Refine(config.refine, open_fuser, on=refines(config))
    chooser = open_chooser(job.maps, config, library, has_default=job.faces is not None)
    changing = threading.Event()
    if on_control is not None:
        on_control(
            SwapControl(
                switch,
                refine,
                job.people,
                config,
                library,
                connections,
                partial(allow_faces, job.content_check),
                seal,
                changing,
            )
        )
    session = draw_session() if record is None else record.session
    live = job.mode == "live"
    lanes = num_lanes(config, live=live)
    finding = (
        *content_checks(job),
        *build_finding(
            config,
            connections,
            open_session,
            library.open_network,
            open_finder,
            beside=measures_beside(lanes, live=live),
        ),
        *build_masking(config, library),
        *((chooser,) if chooser else ()),
    )
    swapping = build_swapping(config, swap_library, switch, refine)
    if fault == "":
        open_device = device_opener(config, library, say)
        swapping = (
            DeviceSwap(open_device, lambda: switch.stage, swapping, retreating.retreat, say),
        )
    elif fault is not None:
        say(f"{config.swapper}: the rest of the swap is done on the processor. {fault}")
    # A recording alone needs no steady rate: it keeps the time of each picture instead.
    paced = live and (job.virtual_camera is not None or job.output is None)
    return Plan(
        source=build_source(job, config, library, open_session),
        lanes=spread(finding, swapping, lanes, moments),
        guard=Guard(config.guard),
        finish=(
            Mark(config.mark, session, show_label=job.show_label),
            *((moments.after,) if moments else ()),
        ),
        sinks=build_sinks(job, config, seal),
        paced=paced,
        rate_hz=config.output.rate_hz if paced else None,
        out_size=config.output.size,
        max_failures=config.pipeline.max_failures,
        changing=changing,
    )


def build_finding(
    config: Config,
    connections: str,
    open_session: Callable[[str], Session],
    open_network: OpenNetwork,
    open_finder: OpenFinder,
    *,
    beside: bool = True,
) -> tuple[Stage, ...]:
    """The stages that find out what is in the picture.

    Args:
        config, connections: settings, and the edges of the face mesh.
        open_session, open_network, open_finder: load networks.
        beside: the motion of faces is measured on a thread of its own.
    """
    mesh = load_face_mesh(connections)
    stages: list[Stage] = [Track(config.track, open_session, open_finder)]
    if config.fuse.enabled:
        flow = partial(open_flow, config, mesh, open_network)
        stages.append(Align(config.fuse.align, mesh.neutral, flow, beside=beside))
    if config.occlude.enabled:
        zones = draw_zones(mesh)
        light = SkinLight(mesh, zones, LightScale())
        stages.append(Occlude(config.occlude, open_session, mesh, zones, light))
    return tuple(stages)


def build_masking(config: Config, library: ModelLibrary) -> tuple[Stage, ...]:
    """The stages that find what else is to stay in front of a face."""
    stages: list[Stage] = []
    occlude = config.occlude
    if occlude.enabled and occlude.network is not None:
        open_network = partial(open_mask, occlude.network, config, library, key="occlude.network")
        mask_px, every_ms = occlude.mask_px, occlude.network_ms
        stages.append(FaceMask(open_network, mask_px=mask_px, every_ms=every_ms))
    if "glasses" in config.composite.keep:
        stages.append(Glasses())
    return tuple(stages)


def build_swapping(
    config: Config, library: ModelLibrary, swap: Stage, refine: Refine | None = None
) -> tuple[Stage, ...]:
    """The stages that make another picture of it."""
    stages: list[Stage] = [swap, Match(config.match)]
    if refine is not None:
        stages.append(refine)
    stages.append(Blend(config.composite))
    if config.fuse.enabled and config.fuse.memory.enabled:
        stages.append(Fuse(config.fuse.memory, joined_share=config.refine.fuse_share))
    if config.restore.model != OFF:
        stages.append(Restore(config.restore, partial(open_restorers, config, library)))
    return (*stages, Composite())


def build_source(
    job: Job, config: Config, library: ModelLibrary, open_session: Callable[[str], Session]
) -> Source:
    """Where the pictures come from."""
    camera = config.camera
    if job.input is not None:
        source = _file_source(job, job.input, config)
        if not job.upscale:
            return source
        whole = config.restore.area == "picture"
        enlarger = partial(open_picture_enlarger, config, library) if whole else None
        return EnlargedSource(source, enlarger)
    if job.camera == SYNTHETIC:
        return SyntheticCamera(
            camera.size,
            camera.rate_hz,
            library.path(PORTRAIT),
            library.path(CONNECTIONS),
            open_session,
            num_frames=_num_frames(job, camera.rate_hz),
        )
    name = str(job.camera)
    return Camera(int(name) if name.isdecimal() else name, camera.size, camera.rate_hz)


def _file_source(job: Job, path: Path, config: Config) -> Source:
    if not is_picture(path):
        return VideoSource(path, live=job.mode == "live")
    rate_hz = config.output.rate_hz or Fraction(30)
    return StillPicture(path, num_frames=_num_frames(job, rate_hz), rate_hz=rate_hz)


def _num_frames(job: Job, rate_hz: Fraction) -> int | None:
    """How many pictures are taken from what has no end; None plays it without one."""
    if job.mode == "live":
        return None
    if job.mode == "picture":
        return 1
    return max(1, round((job.seconds or ENDLESS_S) * rate_hz))


def build_sinks(job: Job, config: Config, seal: Seal | None = None) -> tuple[Sink, ...]:
    """Where the pictures go; at least one place."""
    sinks: list[Sink] = []
    if job.virtual_camera is not None:
        backend = config.output.virtual_camera
        sinks.append(VirtualCamera(job.virtual_camera or None, backend=backend))
    if job.output is not None and is_picture(job.output):
        sinks.append(PictureFile(job.output, force=job.force, seal=seal))
    elif job.output is not None:
        # The sound of a file played in real time would drift from pictures that are repeated.
        has_sound = job.mode == "file" and job.input is not None and not is_picture(job.input)
        video = VideoSink(
            job.output,
            copy_audio_from=job.input if has_sound else None,
            force=job.force,
            crf=config.output.crf,
            preset=config.output.preset,
            seal=seal,
        )
        # A slow encoder or disk must not hold the camera's pictures back.
        sinks.append(Detached(video, name="recording") if sinks else video)
    if job.discard:
        sinks.append(Null())
    return tuple(sinks)


def _see_consent(job: Job, terminal: Terminal) -> dict[str, ConsentKind]:
    """Kind of consent by SHA-256 of the faces' pictures."""
    faces = [face.path for person in job.people for face in person]
    if not faces:
        return {}
    return require_consent(
        faces,
        ConsentLog(default_consent_path()),
        given=job.consent,
        ask=terminal.ask_consent if terminal.interactive else None,
    )


def _run_pipeline(
    pipeline: Pipeline, job: Job, title: str, terminal: Terminal, signals: StopSignals
) -> Report:
    stop = threading.Event()
    for_ns = None if job.seconds is None else round(job.seconds * 1_000_000_000)
    live = job.mode == "live"
    with signals.asking(stop), terminal.watching(title, live=live) as show:
        return pipeline.run(stop=stop, for_ns=for_ns, on_tick=show, hidden=signals.hidden)
