"""What the invisible mark survives: ``python -m tools.mark_bench CLIPS``.

Every clip is marked as the engine marks it, goes through each attack, and is read in windows of
thirty pictures. The rate is the share of windows whose reading is right, all clips together and the
worst of them. ``--clean`` reads unmarked windows instead, in every view the reader knows, and
counts what it finds where nothing is. ``--faces`` counts the pictures on which the label lies over
a face that the engine tracks. ``--cost`` times the marking of a frame.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from engines.models.library import ModelLibrary
from realtime.frame import Face, Frame, Image, PictureSpec, Pose
from realtime.machine import machine_facts
from realtime.memory import Memory
from realtime.metrics import Histogram, Json
from realtime.provenance.label import cap_height_px
from realtime.provenance.label_finder import find_label
from realtime.provenance.run_record import draw_session
from realtime.provenance.watermark_reader import (
    Grey,
    MarkReader,
    chip_values,
    other_views,
    plain_view,
    shrink,
)
from realtime.sources.samples import sample_windows
from realtime.sources.video import VideoFile
from realtime.stages.mark import Labels, Mark, MarkConfig
from realtime.stages.track import Track, TrackConfig
from tools.json_file import write_json
from tools.mark_attacks import ATTACKS, RATE_HZ, small_x264

WINDOW = 30
WARP_STEP = 10
OTHERS_BYTES, CACHE_LINE_BYTES = 96 << 20, 64
NUM_TURNS = 4
"""Clean pictures are looked at in four positions, each turned by a quarter."""


def marked(pictures: Sequence[Image], session: int, *, show_label: bool) -> list[Image]:
    """Copies of the pictures as the engine would send them."""
    height, width = pictures[0].shape[:2]
    mark = Mark(MarkConfig(), session, show_label=show_label)
    mark.open(PictureSpec(width, height, Fraction(RATE_HZ), live=False), Memory())
    frames = [
        Frame(picture.copy(), media_ns=number * 1_000_000_000 // RATE_HZ)
        for number, picture in enumerate(pictures)
    ]
    for frame in frames:
        mark.process(frame)
    return [frame.image for frame in frames]


def windows_of(pictures: Sequence[Image]) -> Iterator[list[Grey]]:
    """Windows that do not overlap; a clip shorter than one is a window."""
    greys = [shrink(picture) for picture in pictures]
    for start in range(0, max(1, len(greys) - WINDOW + 1), WINDOW):
        yield greys[start : start + WINDOW]


def measure_clip(path: Path, num_pictures: int) -> Json:
    """Reads one clip after every attack.

    Returns:
        ``psnr_db``, ``warp_ratio``, ``label_match`` and, by attack, windows read and windows.
    """
    pictures = next(
        sample_windows(path, num_windows=1, num_pictures=num_pictures, keep=np.copy), []
    )
    session = draw_session()
    sent = marked(pictures, session, show_label=False)
    rates = {}
    reader = MarkReader()
    for name, attack in ATTACKS.items():
        found = [reader.read(window) for window in windows_of(attack(sent))]
        right = [reading is not None and reading.payload.session == session for reading in found]
        rates[name] = (sum(right), len(right))
    labelled = small_x264(28)(marked(pictures, session, show_label=True))
    seen = [find_label(window) for window in windows_of(labelled)]
    errors = [cv2.PSNR(before, after) for before, after in zip(pictures, sent, strict=True)]
    return {
        "psnr_db": float(np.mean(errors)),
        "warp_ratio": warp_ratio(pictures, sent),
        "label_match": min(reading.match for reading in seen),
        "rates": rates,
    }


def warp_ratio(before: Sequence[Image], after: Sequence[Image]) -> float:
    """Warping error (Lai et al., 2018) of the marked pictures over that of the clean ones.

    The motion and the mask of what stays visible are those of the clean pictures.
    """
    errors = np.zeros(2)
    for first in range(0, len(before) - 1, WARP_STEP):
        flow, mask = _motion(before[first], before[first + 1])
        for place, pictures in enumerate((before, after)):
            errors[place] += _warp_error(pictures[first], pictures[first + 1], flow, mask)
    return float(errors[1] / errors[0]) if errors[0] else 1.0


def _motion(first: Image, second: Image) -> tuple[np.ndarray, np.ndarray]:
    """Motion in pixels from the first picture, and where it can be followed back."""
    greys = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    still = np.zeros((*greys[0].shape, 2), np.float32)
    there = np.asarray(finder.calc(greys[0], greys[1], still.copy()))
    back = _sampled(np.asarray(finder.calc(greys[1], greys[0], still)), there)
    slip = np.square(there + back).sum(axis=2)
    length = np.square(there).sum(axis=2) + np.square(back).sum(axis=2)
    return there, slip < 0.01 * length + 0.5


def _warp_error(first: Image, second: Image, flow: np.ndarray, mask: np.ndarray) -> float:
    difference = (first.astype(np.float32) - _sampled(second, flow)) / 255
    return float(np.square(difference)[mask].mean())


def _sampled(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[:2]
    grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    places = grid + flow
    moved = cv2.remap(image, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    return np.asarray(moved, np.float32)


def count_false_finds(path: Path, num_pictures: int) -> tuple[int, int]:
    """Reads every window of a clean clip, from each picture on, in every view.

    Returns:
        Windows in which a mark was found, and windows.
    """
    greys = next(sample_windows(path, num_windows=1, num_pictures=num_pictures, keep=shrink), [])
    reader = MarkReader()
    num_found = num_windows = 0
    for quarters in range(NUM_TURNS):
        turned = [np.ascontiguousarray(np.rot90(grey, quarters)) for grey in greys]
        starts = range(max(1, len(turned) - WINDOW + 1))
        found: set[int] = set()
        for view in (plain_view(turned[0]), *other_views(turned[:: len(turned) // 6 + 1])):
            values = np.stack([chip_values(grey, view) for grey in turned])
            sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
            for start in starts:
                end = min(start + WINDOW, len(turned))
                if reader.decode(sums[end] - sums[start], view.grid) is not None:
                    found.add(start)
        num_found += len(found)
        num_windows += len(starts)
    return num_found, num_windows


def count_covered_faces(path: Path, library: ModelLibrary) -> tuple[int, int]:
    """Tracks the faces of a whole clip and labels it.

    Returns:
        Pictures on which the label lies over a face's box, and pictures with a face.
    """
    source = VideoFile(path)
    spec = source.open()
    frame = Frame.blank(spec)
    num_covered = num_faces = 0
    with Memory() as memory, closing(source):
        track = Track(TrackConfig(), library.session)
        track.open(spec, memory)
        size = (spec.width, spec.height)
        labels = Labels(MarkConfig().label, cap_height_px(*size), size)
        while (media_ns := source.fill(frame.image)) is not None:
            frame.seq, frame.media_ns = frame.seq + 1, media_ns
            track.process(frame)
            left, top, right, bottom = labels.lay_over(frame)
            covered = [
                box[0] < right and left < box[2] and box[1] < bottom and top < box[3]
                for box in (face.box for face in frame.faces)
            ]
            num_covered += any(covered)
            num_faces += bool(covered)
        track.close()
    return num_covered, num_faces


def measure_cost(size: tuple[int, int], num_frames: int) -> Json:
    """Time of the processor that label and mark together take for a frame.

    Returns:
        ``warm``: median in ms with picture and pattern in the caches; ``cold``: with other data
        in them, as other stages leave it there.
    """
    spec = PictureSpec(*size, Fraction(RATE_HZ), live=False)
    mark = Mark(MarkConfig(), draw_session())
    mark.open(spec, Memory())
    frame = Frame.blank(spec)
    box = np.array([0.4 * size[0], 0.3 * size[1], 0.6 * size[0], 0.7 * size[1]], np.float32)
    frame.faces = [Face(1, box, np.zeros((468, 3), np.float32), 1.0, Pose(0, 0, 0))]
    others = np.zeros(OTHERS_BYTES, np.uint8)
    times = {"warm": Histogram(), "cold": Histogram()}
    for number in range(num_frames):
        for name, histogram in times.items():
            others[:: CACHE_LINE_BYTES if name == "cold" else OTHERS_BYTES] += 1
            if name == "warm":
                mark.process(frame)
            frame.media_ns = number * 33_000_000
            began_ns = time.thread_time_ns()
            mark.process(frame)
            histogram.add(time.thread_time_ns() - began_ns)
    return {f"{name}_ms": round(times[name].quantile_ns(0.5) / 1e6, 3) for name in times}


def print_table(clips: dict[str, Json]) -> None:
    """Rates over all clips, and of the worst."""
    print(f"{'attack':34} {'read':>7} {'worst clip':>10}")
    for name in ATTACKS:
        counts = [clip["rates"][name] for clip in clips.values()]
        total = sum(right for right, _ in counts) / sum(num for _, num in counts)
        worst = min(right / num for right, num in counts)
        print(f"{name:34} {total:7.1%} {worst:10.1%}")
    num_windows = sum(clip["rates"]["untouched"][1] for clip in clips.values())
    print(f"windows of {WINDOW} pictures: {num_windows} from {len(clips)} clips")
    for name, figure in (("psnr_db", min), ("warp_ratio", max), ("label_match", min)):
        values = [clip[name] for clip in clips.values()]
        print(f"{name}: mean {np.mean(values):.3f}, worst {figure(values):.3f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="What the invisible mark survives.")
    parser.add_argument("clips", type=Path, nargs="?", help="folder of videos")
    parser.add_argument("--pictures", type=int, default=150, help="of each clip, from its start")
    parser.add_argument("--clean", action="store_true", help="count false finds instead")
    parser.add_argument("--faces", action="store_true", help="count covered faces instead")
    parser.add_argument("--cost", action="store_true", help="time the marking of a frame instead")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    paths = sorted(options.clips.iterdir()) if options.clips else []
    if not paths and not options.cost:
        parser.error("clips: must be a folder of videos, got nothing.")
    figures: Json = {"machine": machine_facts()}
    if options.cost:
        figures["cost"] = {f"{w}x{h}": measure_cost((w, h), 200) for w, h in SIZES}
        print(figures["cost"])
    elif options.faces:
        library = ModelLibrary()
        figures["faces"] = {path.name: count_covered_faces(path, library) for path in paths}
        for name, (num_covered, num_faces) in figures["faces"].items():
            print(f"{name:34} label over a face on {num_covered} of {num_faces} pictures")
    elif options.clean:
        counts = [count_false_finds(path, options.pictures) for path in paths]
        figures["clean"] = [sum(column) for column in zip(*counts, strict=True)]
        print(f"found in {figures['clean'][0]} of {figures['clean'][1]} windows without the mark")
    else:
        figures["clips"] = {path.name: measure_clip(path, options.pictures) for path in paths}
        print_table(figures["clips"])
    if options.json:
        write_json(figures, options.json)
    return 0


SIZES = ((1280, 720), (1920, 1080))


if __name__ == "__main__":
    main()
