"""What the invisible mark survives: ``python -m tools.mark_bench CLIPS``.

Every clip is marked as the engine marks it, with its faces known, goes through each attack, and is
read in windows of thirty pictures. The rate is the share of windows whose reading is right, all
clips together and the worst of them. ``--clean`` reads unmarked windows of the whole clips and of
the pictures in ``--stills`` instead and counts what it finds where nothing is, as
``tools.mark_clean`` says. ``--faces`` counts the pictures on which the label lies over a face that
the engine tracks. ``--cost`` times the marking of a frame. The warping error is that of marked
pictures over that of clean ones: ``tools.mark_shimmer``.
"""

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from engines.models.library import ModelLibrary
from realtime.frame import Face, Frame, Image, PictureSpec, Pose
from realtime.job import is_picture
from realtime.machine import machine_facts
from realtime.memory import Memory
from realtime.metrics import Histogram, Json
from realtime.provenance.label import cap_height_px
from realtime.provenance.label_finder import find_label
from realtime.provenance.run_record import draw_session
from realtime.provenance.watermark_reader import MIN_SCORE, Grey, MarkReader, shrink
from realtime.sources.samples import sample_windows
from realtime.sources.video import VideoFile
from realtime.stages.mark import Labels, Mark, MarkConfig, head_box
from realtime.stages.track import Track, TrackConfig
from tools.json_file import write_json
from tools.mark_attacks import ATTACKS, RATE_HZ, Attack, small_x264
from tools.mark_clean import WINDOW, film_windows, read_clean, still_windows, windows_of
from tools.mark_frames import marked, track_faces
from tools.mark_shimmer import measure_shimmer
from tools.verdict import without_nan

OTHERS_BYTES, CACHE_LINE_BYTES = 96 << 20, 64


def _grey_windows(pictures: Sequence[Image]) -> Iterator[Sequence[Grey]]:
    return windows_of([shrink(picture) for picture in pictures])


def measure_clip(
    path: Path, num_pictures: int, library: ModelLibrary, attacks: Mapping[str, Attack]
) -> Json:
    """Reads one clip after every attack.

    Args:
        path: of the clip.
        num_pictures: from its start.
        library: has the networks that find faces.
        attacks: by name.

    Returns:
        ``psnr_db``, ``label_match``, ``shimmer`` and, by attack, windows read and windows.
    """
    pictures = next(
        sample_windows(path, num_windows=1, num_pictures=num_pictures, keep=np.copy), []
    )
    faces = track_faces(pictures, library)
    session = draw_session()
    sent = marked(pictures, faces, session, show_label=False)
    rates = {}
    reader = MarkReader()
    for name, attack in attacks.items():
        found = [reader.read(window) for window in _grey_windows(attack(sent))]
        right = [reading is not None and reading.payload.session == session for reading in found]
        rates[name] = (sum(right), len(right))
    labelled = small_x264(28)(marked(pictures, faces, session, show_label=True))
    seen = [find_label(window) for window in _grey_windows(labelled)]
    errors = [cv2.PSNR(before, after) for before, after in zip(pictures, sent, strict=True)]
    return {
        "psnr_db": float(np.mean(errors)),
        "label_match": min(reading.match for reading in seen),
        "shimmer": without_nan(asdict(measure_shimmer(pictures, sent, faces))),
        "rates": rates,
    }


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
                for box in (head_box(face) for face in frame.faces)
            ]
            num_covered += any(covered)
            num_faces += bool(covered)
        track.close()
    return num_covered, num_faces


def measure_cost(size: tuple[int, int], num_frames: int) -> Json:
    """Time of the processor that label and mark together take for a frame with a moving face.

    Returns:
        ``warm``: median in ms with picture and pattern in the caches; ``cold``: with other data
        in them, as other stages leave it there.
    """
    spec = PictureSpec(*size, Fraction(RATE_HZ), live=False)
    mark = Mark(MarkConfig(), draw_session())
    mark.open(spec, Memory())
    frame = Frame.blank(spec)
    landmarks = np.zeros((468, 3), np.float32)
    others = np.zeros(OTHERS_BYTES, np.uint8)
    times = {"warm": Histogram(), "cold": Histogram()}
    for number in range(num_frames):
        frame.faces = [Face(1, _swaying_box(size, number), landmarks, 1.0, Pose(0, 0, 0))]
        for name, histogram in times.items():
            others[:: CACHE_LINE_BYTES if name == "cold" else OTHERS_BYTES] += 1
            if name == "warm":
                mark.process(frame)
            frame.media_ns = number * 33_000_000
            began_ns = time.thread_time_ns()
            mark.process(frame)
            histogram.add(time.thread_time_ns() - began_ns)
    return {f"{name}_ms": round(times[name].quantile_ns(0.5) / 1e6, 3) for name in times}


def _swaying_box(size: tuple[int, int], number: int) -> np.ndarray:
    """A face that sways by a tenth of the picture in two seconds."""
    left = 0.35 + 0.05 * math.sin(2 * math.pi * number / (2 * RATE_HZ))
    part = np.array([left, 0.3, left + 0.2, 0.7], np.float32)
    return part * np.array([*size, *size], np.float32)


def measure_clean(films: Sequence[Path], folders: Sequence[Path], num_moves: int) -> Json:
    """Counts finds where no mark is, in films and in still pictures under a moving camera.

    Args:
        films: videos.
        folders: of pictures, and of folders of such.
        num_moves: of the camera over each picture.
    """
    stills = sorted(path for folder in folders for path in folder.rglob("*") if is_picture(path))
    tally = read_clean(
        chain(
            chain.from_iterable(map(film_windows, films)),
            chain.from_iterable(still_windows(path, num_moves) for path in stills),
        )
    )
    figures = {
        "films": len(films),
        "stills": len(stills),
        "windows": tally.num_windows,
        "distinct": tally.num_distinct,
        "found": tally.num_found,
        "nearest": round(tally.nearest, 2),
    }
    print(
        f"found in {tally.num_found} of {tally.num_windows} windows without the mark, "
        f"{tally.num_distinct} of them with pictures of their own, from {len(films)} films and "
        f"{len(stills)} stills; nearest score {tally.nearest:.2f} where {MIN_SCORE} counts"
    )
    return figures


def print_table(clips: dict[str, Json]) -> None:
    """Rates over all clips, and of the worst."""
    print(f"{'attack':34} {'read':>7} {'worst clip':>10}")
    names = list(next(iter(clips.values()))["rates"])
    for name in names:
        counts = [clip["rates"][name] for clip in clips.values()]
        total = sum(right for right, _ in counts) / sum(num for _, num in counts)
        worst = min(right / num for right, num in counts)
        print(f"{name:34} {total:7.1%} {worst:10.1%}")
    num_windows = sum(clip["rates"][names[0]][1] for clip in clips.values())
    print(f"windows of {WINDOW} pictures: {num_windows} from {len(clips)} clips")
    figures = {
        "PSNR in dB": ([clip["psnr_db"] for clip in clips.values()], min),
        "match of the label": ([clip["label_match"] for clip in clips.values()], min),
        "warping error, whole picture": (_shimmers(clips, "whole"), max),
        "warping error, faces": (_shimmers(clips, "face"), max),
        "warping error, outside": (_shimmers(clips, "outside"), max),
    }
    for name, (values, worst) in figures.items():
        if values:
            mean, median = np.mean(values), np.median(values)
            print(f"{name}: mean {mean:.3f}, median {median:.3f}, worst {worst(values):.3f}")


def _shimmers(clips: dict[str, Json], part: str) -> list[float]:
    found = (clip["shimmer"][part] for clip in clips.values())
    return [value for value in found if value is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="What the invisible mark survives.")
    parser.add_argument("clips", type=Path, nargs="?", help="folder of videos")
    parser.add_argument("--pictures", type=int, default=150, help="of each clip, from its start")
    parser.add_argument("--clean", action="store_true", help="count false finds instead")
    parser.add_argument(
        "--stills", type=Path, action="append", default=[], metavar="DIR", help="for --clean, too"
    )
    parser.add_argument("--moves", type=int, default=14, help="of the camera over each of these")
    parser.add_argument("--faces", action="store_true", help="count covered faces instead")
    parser.add_argument("--cost", action="store_true", help="time the marking of a frame instead")
    parser.add_argument("--only", metavar="ATTACK,…", help="beginnings of names; else all attacks")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args(arguments)
    wanted = tuple(options.only.split(",")) if options.only else ("",)
    attacks = {name: attack for name, attack in ATTACKS.items() if name.startswith(wanted)}
    if not attacks:
        parser.error(f"--only: must name one of {', '.join(ATTACKS)}, got {options.only}.")
    cv2.setNumThreads(1)
    paths = sorted(options.clips.iterdir()) if options.clips else []
    if not paths and not options.cost:
        parser.error("clips: must be a folder of videos, got nothing.")
    figures: Json = {"machine": machine_facts()}
    library = ModelLibrary()
    if options.cost:
        figures["cost"] = {f"{w}x{h}": measure_cost((w, h), 200) for w, h in SIZES}
        print(figures["cost"])
    elif options.faces:
        figures["faces"] = {path.name: count_covered_faces(path, library) for path in paths}
        for name, (num_covered, num_faces) in figures["faces"].items():
            print(f"{name:34} label over a face on {num_covered} of {num_faces} pictures")
    elif options.clean:
        figures["clean"] = measure_clean(paths, options.stills, options.moves)
    else:
        figures["clips"] = {
            path.name: measure_clip(path, options.pictures, library, attacks) for path in paths
        }
        print_table(figures["clips"])
    if options.json:
        write_json(figures, options.json)
    return 0


SIZES = ((1280, 720), (1920, 1080))


if __name__ == "__main__":
    main()
