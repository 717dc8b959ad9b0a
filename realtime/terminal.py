"""What a person at the terminal sees: one-line messages, progress, live status, questions.

Everything goes to stderr, so that stdout stays free for results. Where stderr is not a terminal
nothing moves: only the lines remain.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBar
from rich.text import Text

from realtime.consent import ConsentKind
from realtime.errors import ConsentError
from realtime.plain_text import plain_line, printable

if TYPE_CHECKING:
    from engines.build import BuildProgress
    from engines.models.cache_files import Progress
    from realtime.metrics import Snapshot
    from realtime.pipeline import Report

PROGRAM = "rt-swap"


class Terminal:
    """The person's side of a run.

    Args:
        console: where the lines go; None: stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._builds = BuildNotes()

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return sys.stdin.isatty() and self._console.is_terminal

    def line(self, text: str) -> None:
        """Prints one line under the program's name, above whatever is moving."""
        self._console.print(f"{PROGRAM}: {plain_line(text)}", markup=False)

    @contextmanager
    def logging_from(self, packages: Iterable[str], level: int) -> Iterator[None]:
        """Shows what these packages log, from this level on, inside the block."""
        handler = _LineHandler(self.line)
        loggers = [logging.getLogger(package) for package in packages]
        former = [logger.level for logger in loggers]
        for logger in loggers:
            logger.addHandler(handler)
            logger.setLevel(level)
        try:
            yield
        finally:
            for logger, former_level in zip(loggers, former, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(former_level)

    def ask_consent(self, face: Path) -> ConsentKind:
        """Asks why a face may be used.

        Raises:
            ConsentError: the person gives no reason.
        """
        kinds = tuple(ConsentKind)
        self._console.print(
            f"May the face in {escape(printable(str(face)))} be used?", style="bold"
        )
        for number, kind in enumerate(kinds, start=1):
            self._console.print(f"  {number}  {kind.value:10} {kind.meaning}", markup=False)
        try:
            answer = self._console.input(f"1-{len(kinds)}, or Enter for no: ").strip().lower()
        except EOFError:
            answer = ""
        for number, kind in enumerate(kinds, start=1):
            if answer in (str(number), kind.value):
                return kind
        raise ConsentError(f"{face}: the use of a face must be permitted, got no reason.")

    @contextmanager
    def watching(self, title: str, *, live: bool) -> Iterator[Callable[["Snapshot"], None]]:
        """Shows how a run goes for as long as the block lasts.

        Args:
            title: one line, printed once the run has begun; one that cannot begin has only its
                error to say.
            live: a status line for a camera instead of a bar for a file.

        Yields:
            What the engine is to call a few times a second from the main thread.
        """
        with self._moving(live=live) as move:
            begun = False

            def show(snapshot: "Snapshot") -> None:
                nonlocal begun
                if not begun:
                    begun = True
                    self.line(title)
                move(snapshot)

            yield show

    @contextmanager
    def _moving(self, *, live: bool) -> Iterator[Callable[["Snapshot"], None]]:
        if not self._console.is_terminal:
            yield lambda _snapshot: None
        elif live:
            # The engine's ticks refresh the line; a refresh thread of rich's own would take time
            # from the work.
            with Live(console=self._console, auto_refresh=False, transient=True) as shown:
                yield lambda snapshot: shown.update(
                    Text(f"{status_line(snapshot)}{self._builds.text}"), refresh=True
                )
        else:
            with self._bar() as bar:
                task = bar.add_task("", fps=0.0, building="")
                yield lambda snapshot: _advance(bar, task, snapshot, self._builds.text)

    @contextmanager
    def downloading(self) -> Iterator[Callable[["Progress"], None]]:
        """Shows how models are fetched for as long as the block lasts.

        Yields:
            What the model library is to call as its work advances.
        """
        if not self._console.is_terminal:
            said: set[str] = set()
            yield lambda progress: self._say_once(said, progress)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with ProgressBar(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda progress: self._move_download(bar, task, progress)

    def _move_download(self, bar: ProgressBar, task: TaskID, progress: "Progress") -> None:
        if progress.phase == "licence":
            self.line(f"licence of {progress.name}")
            return
        bar.update(
            task,
            description=escape(f"{progress.phase} {progress.name}"),
            completed=progress.done_bytes,
            total=progress.total_bytes or None,
        )

    @contextmanager
    def building(self) -> Iterator[Callable[["BuildProgress"], None]]:
        """Shows how a network is made ready for a GPU for as long as the block lasts.

        Yields:
            What the build is to call as it advances.
        """
        if not self._console.is_terminal:
            yield lambda _progress: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[eta]}"))
        with ProgressBar(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("", total=1.0, eta="")
            yield lambda progress: bar.update(
                task,
                description=escape(f"{progress.phase} {progress.name}"),
                completed=progress.fraction,
                eta="" if progress.eta_s is None else f"{progress.eta_s:.0f} s left",
            )

    @contextmanager
    def doing(self) -> Iterator[Callable[[str], None]]:
        """Shows what is being done for as long as the block lasts.

        Yields:
            What is to be told it, in a few words.
        """
        if not self._console.is_terminal:
            yield lambda _text: None
            return
        with self._console.status("") as status:
            yield lambda text: status.update(escape(plain_line(text)))

    def show_build(self, progress: "BuildProgress") -> None:
        """Shows how far a network is that is made ready for a GPU beside a run.

        What is moving says so from its next turn on; where nothing moves each phase is a line.
        May be called from any thread.
        """
        is_new = self._builds.note(progress)
        if is_new and not self._console.is_terminal:
            self.line(build_line(progress))

    def _say_once(self, said: set[str], progress: "Progress") -> None:
        """One line for each licence and download, and none for what takes no time."""
        if progress.phase == "licence":
            self.line(f"licence of {progress.name}")
        elif progress.phase == "download" and progress.name not in said:
            said.add(progress.name)
            self.line(f"downloading {progress.name}")

    def _bar(self) -> ProgressBar:
        return ProgressBar(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]:.1f} fps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[building]}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )


class BuildNotes:
    """How far networks are that are being made ready for a GPU; threads write, one reads."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._phases: dict[str, str] = {}

    @property
    def text(self) -> str:
        """What is to be said behind the status of a run; empty while nothing is built."""
        return "".join(f"  {line}" for line in tuple(self._lines.values()))

    def note(self, progress: "BuildProgress") -> bool:
        """Takes what a build says; True where that is a new phase of it."""
        is_new = self._phases.get(progress.name) != progress.phase
        self._phases[progress.name] = progress.phase
        if progress.phase in ("done", "failed"):
            self._lines.pop(progress.name, None)
        else:
            self._lines[progress.name] = build_line(progress)
        return is_new


def build_line(progress: "BuildProgress") -> str:
    """How far a build is, in a few words."""
    if progress.phase in ("done", "failed"):
        return f"{progress.name} for the GPU: {progress.phase}"
    left = "" if progress.eta_s is None else f", {progress.eta_s:.0f} s left"
    return f"{progress.name} for the GPU: {progress.phase} {100 * progress.fraction:.0f} %{left}"


def status_line(snapshot: "Snapshot") -> str:
    """What a live run does, in one line."""
    frames = snapshot.frames
    dropped = frames.dropped_stale + frames.dropped_overrun
    return (
        f"{snapshot.state.value}  {snapshot.fps:5.1f} fps  {snapshot.latency_ms:5.1f} ms  "
        f"{dropped} dropped  {frames.failed} failed"
    )


def summary(report: "Report", *, live: bool) -> str:
    """How a run went, in one line."""
    frames, latency = report.stats["frames"], report.stats["latency_ms"]
    dropped = frames["dropped_stale"] + frames["dropped_overrun"]
    parts = ["1 frame" if frames["delivered"] == 1 else f"{frames['delivered']} frames"]
    parts.append(f"{report.stats['fps']:.1f} fps")
    if live:
        parts.append(f"latency {latency['p50']:.1f} ms (p99 {latency['p99']:.1f} ms)")
    parts += [f"{dropped} dropped", f"{frames['failed']} failed"]
    return ", ".join(parts)


def _advance(bar: ProgressBar, task: TaskID, snapshot: "Snapshot", building: str) -> None:
    bar.update(
        task,
        completed=snapshot.frames.delivered + snapshot.frames.failed,
        total=snapshot.num_frames,
        fps=snapshot.fps,
        building=escape(building),
        refresh=True,
    )


class _LineHandler(logging.Handler):
    """Hands each log record to a function as one line."""

    def __init__(self, emit_line: Callable[[str], None]) -> None:
        super().__init__()
        self._emit_line = emit_line

    def emit(self, record: logging.LogRecord) -> None:
        self._emit_line(self.format(record))
