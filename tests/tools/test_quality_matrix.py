import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import MediaError
from realtime.frame import Frame, PictureSpec
from realtime.pipeline import Pipeline, Plan
from realtime.sinks.null import Null
from tools.measures import ClipFaces, Source
from tools.quality_matrix import (
    PairResult,
    Snapshot,
    Witness,
    draw_matrix_sheet,
    list_clips,
    watched,
)
from tools.sheet_grid import CROP_PX
from tools.tally import PairTally

SOURCE = np.array([1, 0], np.float32)
STEP_NS = 10


class Inputs:
    """So many pictures of a face at 90 degrees."""

    def __init__(self, make, num_pictures):
        self.make = make
        self.num_pictures = num_pictures
        self.num_given = 0

    def open(self):
        return PictureSpec(64, 64, Fraction(30), live=False, num_frames=self.num_pictures)

    def fill(self, image):
        if self.num_given == self.num_pictures:
            return None
        image[:] = self.make(1, angle=90)
        self.num_given += 1
        return (self.num_given - 1) * STEP_NS

    def close(self):
        pass


class TurnTo:
    """Puts a face of another angle in."""

    def __init__(self, name, angle):
        self.name = name
        self.angle = angle

    def open(self, spec, memory):
        pass

    def process(self, frame):
        if self.angle is not None:
            frame.image[0, 1] = self.angle

    def close(self):
        pass


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize(("every", "num_judged"), [(1, 7), (3, 3)])
def test_the_engines_input_and_output_are_judged_frame_by_frame(
    judge, picture, lanes, every, num_judged
):
    stages = (TurnTo("track", None), TurnTo("swap", 0))
    plan = Plan(
        source=Inputs(picture, 7),
        lanes=(stages,) if lanes == 1 else tuple((stage,) for stage in stages),
        guard=TurnTo("guard", None),
        sinks=(Null(),),
        paced=False,
    )
    tally = PairTally(judge, SOURCE, ClipFaces(judge), every)
    witness = Witness(tally, Snapshot(0))
    Pipeline(watched(plan, witness)).run(stop=threading.Event())
    figures = tally.figures("", "")
    assert (figures.frames, figures.judged, figures.found) == (7, num_judged, num_judged)
    assert (figures.missing, figures.extra) == (0, 0)
    assert figures.source_mean == pytest.approx(1)
    assert figures.target_mean == pytest.approx(0, abs=1e-6)


def frames(witness, picture, num_frames):
    for seq in range(num_frames):
        image = picture(1, angle=90, value=seq + 1)
        witness.tap.process(Frame(image=image, seq=seq, media_ns=seq * STEP_NS))


def test_frames_that_never_come_out_are_missing(judge, picture):
    tally = PairTally(judge, SOURCE, ClipFaces(judge))
    witness = Witness(tally, Snapshot(0))
    frames(witness, picture, 4)
    witness.send(picture(1), 1 * STEP_NS)
    witness.close()
    figures = tally.figures("", "")
    assert (figures.frames, figures.missing, figures.found) == (4, 3, 1)


def test_a_picture_that_never_went_in_is_extra(judge, picture):
    tally = PairTally(judge, SOURCE, ClipFaces(judge))
    Witness(tally, Snapshot(0)).send(picture(1), 5)
    assert tally.figures("", "").extra == 1


@pytest.mark.parametrize(("at_ns", "expected"), [(0, 1), (15, 3), (1000, 4)])
def test_the_sheet_gets_the_first_frame_from_its_time_on_or_else_the_last(
    judge, picture, at_ns, expected
):
    snapshot = Snapshot(at_ns)
    witness = Witness(PairTally(judge, SOURCE, ClipFaces(judge)), snapshot)
    frames(witness, picture, 4)
    for seq in range(4):
        witness.send(picture(1, value=seq + 101), seq * STEP_NS)
    middle = CROP_PX // 2
    assert snapshot.before[middle, middle, 0] == expected
    assert snapshot.after[middle, middle, 0] == expected + 100


def test_the_sheet_has_clips_in_columns_and_faces_in_rows(judge, picture, face):
    tally = PairTally(judge, SOURCE, ClipFaces(judge))
    tally.add(0, picture(1), picture(1))
    crop = np.full((CROP_PX, CROP_PX, 3), 77, np.uint8)
    names = [(who, clip) for clip in ("x", "y", "z") for who in ("a", "b")]
    results = [
        PairResult(
            tally.figures(*name),
            Snapshot(0, crop, None if name == ("b", "y") else crop + np.uint8(1)),
        )
        for name in names
    ]
    sources = [Source(who, picture(1), face, SOURCE) for who in ("a", "b")]
    sheet = draw_matrix_sheet(results, sources)
    num_of = {value: np.sum((sheet == value).all(axis=2)) for value in (77, 78)}
    assert num_of == {77: 3 * CROP_PX**2, 78: 5 * CROP_PX**2}
    assert sheet.shape[1] // CROP_PX == 4


def test_clips_of_a_folder_are_found_by_suffix_and_left_out_by_name(tmp_path: Path):
    for name in ("b.MP4", "a.mkv", "notes.txt", "c_crowd.mov"):
        (tmp_path / name).touch()
    assert [clip.name for clip in list_clips(tmp_path)] == ["a.mkv", "b.MP4", "c_crowd.mov"]
    assert [clip.name for clip in list_clips(tmp_path, ["c_"])] == ["a.mkv", "b.MP4"]


def test_a_folder_without_clips_is_refused(tmp_path: Path):
    with pytest.raises(MediaError, match="must hold clips"):
        list_clips(tmp_path)
    with pytest.raises(MediaError, match="must be a folder"):
        list_clips(tmp_path / "none")
