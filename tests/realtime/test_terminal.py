import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from engines.build import BuildProgress
from engines.models.cache_files import Progress
from realtime.consent import ConsentKind
from realtime.errors import ConsentError
from realtime.metrics import FrameCounts, RunState, Snapshot
from realtime.pipeline import Report
from realtime.terminal import Terminal, status_line, summary

SNAPSHOT = Snapshot(
    state=RunState.RUNNING,
    frames=FrameCounts(100, 90, 3, 4, 2, 5, 1),
    fps=29.97,
    latency_ms=12.34,
    elapsed_ns=3_000_000_000,
    num_frames=200,
)


def screen(*, terminal: bool) -> tuple[Terminal, io.StringIO]:
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=terminal, width=100, soft_wrap=True, highlight=False
    )
    return Terminal(console), text


def test_a_line_carries_the_programs_name_and_stays_one_line():
    terminal, text = screen(terminal=False)
    terminal.line("a long\nmessage with [brackets] " + "x" * 200)
    assert text.getvalue() == "rt-swap: a long message with [brackets] " + "x" * 200 + "\n"


@pytest.mark.parametrize("live", [True, False])
def test_the_title_comes_once_and_nothing_moves_where_stderr_is_not_a_terminal(live: bool):
    terminal, text = screen(terminal=False)
    with terminal.watching("in to out", live=live) as show:
        assert text.getvalue() == ""
        show(SNAPSHOT)
        show(SNAPSHOT)
    assert text.getvalue() == "rt-swap: in to out\n"


def test_a_camera_has_a_status_line_and_a_file_a_bar():
    terminal, text = screen(terminal=True)
    with terminal.watching("in to out", live=True) as show:
        show(SNAPSHOT)
    assert "running   30.0 fps   12.3 ms  7 dropped  2 failed" in text.getvalue()
    terminal, text = screen(terminal=True)
    with terminal.watching("in to out", live=False) as show:
        show(SNAPSHOT)
    assert " 92/200" in text.getvalue()
    assert "30.0 fps" in text.getvalue()


def test_the_status_line_says_when_nothing_comes():
    stalled = Snapshot(RunState.SOURCE_LOST, SNAPSHOT.frames, 0.0, 0.0, 0, None)
    assert status_line(stalled).startswith("source lost ")


def test_a_download_is_one_line_where_stderr_is_not_a_terminal():
    terminal, text = screen(terminal=False)
    with terminal.downloading() as report:
        report(Progress("download", "a.whl", 1, 10))
        report(Progress("download", "a.whl", 9, 10))
        report(Progress("ready", "a"))
    assert text.getvalue() == "rt-swap: downloading a.whl\n"


def test_a_download_is_a_bar_on_a_terminal():
    terminal, text = screen(terminal=True)
    with terminal.downloading() as report:
        report(Progress("download", "a.whl", 3_000_000, 9_000_000))
    assert "download a.whl" in text.getvalue()


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_licence_is_a_line_that_stays(is_terminal: bool):
    terminal, text = screen(terminal=is_terminal)
    with terminal.downloading() as report:
        report(Progress("licence", "a, b: MIT, https://example.org"))
        report(Progress("download", "a", 1, 10))
    lines = [line.strip() for line in text.getvalue().splitlines()]
    assert any("rt-swap: licence of a, b: MIT, https://example.org" in line for line in lines)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("1\n", ConsentKind.SELF), (" 3 \n", ConsentKind.SYNTHETIC), ("Licensed\n", "licensed")],
)
def test_consent_may_be_answered_by_number_or_word(
    answer: str, kind: str, monkeypatch: pytest.MonkeyPatch
):
    terminal, text = screen(terminal=True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert terminal.ask_consent(Path("[me].png")) == kind
    assert "[me].png" in text.getvalue()


@pytest.mark.parametrize("answer", ["", "\n", "0\n", "yes\n", "5\n"])
def test_any_other_answer_is_no_consent(answer: str, monkeypatch: pytest.MonkeyPatch):
    terminal, _ = screen(terminal=True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with pytest.raises(ConsentError, match=r"me\.png"):
        terminal.ask_consent(Path("me.png"))


def test_messages_of_the_engine_are_shown_inside_the_block_only():
    terminal, text = screen(terminal=False)
    logger = logging.getLogger("realtime.somewhere")
    with terminal.logging_from(("realtime",), logging.INFO):
        logger.info("camera is back")
        logger.debug("details")
    logger.info("after the end")
    assert text.getvalue() == "rt-swap: camera is back\n"


def progress(phase: str, fraction: float, eta_s: float | None = None) -> BuildProgress:
    return BuildProgress("swapper", phase, fraction, eta_s)


def test_a_build_beside_a_run_is_a_line_a_phase_where_nothing_moves():
    terminal, text = screen(terminal=False)
    for step in (progress("fp16", 0.3), progress("fp16", 0.5, 40.4), progress("build", 0.75, 9.6)):
        terminal.show_build(step)
    terminal.show_build(progress("done", 1.0, 0.0))
    assert text.getvalue().splitlines() == [
        "rt-swap: swapper for the GPU: fp16 30 %",
        "rt-swap: swapper for the GPU: build 75 %, 10 s left",
        "rt-swap: swapper for the GPU: done",
    ]


@pytest.mark.parametrize("end", ["done", "failed"])
@pytest.mark.parametrize("live", [True, False])
def test_a_build_beside_a_run_stands_behind_its_status_until_it_ends(live: bool, end: str):
    terminal, text = screen(terminal=True)
    with terminal.watching("in to out", live=live) as show:
        terminal.show_build(progress("fp16", 0.5, 40.4))
        show(SNAPSHOT)
        assert "swapper for the GPU: fp16 50 %, 40 s left" in text.getvalue()
        text.truncate(0)
        terminal.show_build(progress(end, 1.0))
        show(SNAPSHOT)
        assert "for the GPU" not in text.getvalue()


def test_the_summary_counts_every_drop_and_shows_latency_of_live_runs_only():
    frames = {"delivered": 9, "dropped_stale": 1, "dropped_overrun": 2, "failed": 3}
    stats = {"frames": frames, "fps": 29.97, "latency_ms": {"p50": 9.0, "p99": 21.5}}
    report = Report("end", stats)
    assert summary(report, live=False) == "9 frames, 30.0 fps, 3 dropped, 3 failed"
    assert "latency 9.0 ms (p99 21.5 ms)" in summary(report, live=True)


def test_what_is_being_done_shows_for_as_long_as_it_is_and_only_to_somebody_who_looks():
    terminal, text = screen(terminal=True)
    with terminal.doing() as show:
        show("weighs [all] of it")
    assert "weighs [all] of it" in text.getvalue()
    terminal, text = screen(terminal=False)
    with terminal.doing() as show:
        show("weighs all of it")
    assert text.getvalue() == ""
