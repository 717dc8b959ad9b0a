"""How steady super-resolution is by itself: ``python -m tools.sr_steadiness NETWORK CLIP …``.

Each picture of a clip is shrunk and enlarged again, by the network and by bicubic interpolation;
the warping error of both (Lai et al. 2018) uses the motion and the visibility of the clip's own
pictures. The ratio tells how much less steady the network's pictures are: 1 is as steady. The
engine's own memory, which steadies restored faces, is not in it.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.errors import ModelError
from realtime.errors import RtSwapError
from realtime.frame import Image
from realtime.sources.video import VideoFile
from tools.eval_sr import Resolve, bicubic, open_network
from tools.imresize import resized_u8
from tools.optical_flow import FlowFinder, visible, warp_error

NUM_PICTURES = 20
LONGEST_PX = 512


def steadiness(pictures: Sequence[Image], enlarge: Resolve, scale: int) -> float:
    """Warping error of a network's pictures over that of bicubic ones.

    Args:
        pictures: of a clip, in order, at least two; sides divisible by the scale.
        enlarge: by the scale.
        scale: 2 or 4.

    Returns:
        NaN where nothing in the clip can be followed.
    """
    height, width = pictures[0].shape[:2]
    smalls = [resized_u8(image, height // scale, width // scale) for image in pictures]
    made = [[way(small) for small in smalls] for way in (enlarge, bicubic(scale))]
    finder, errors = FlowFinder(), []
    for index, (first, second) in enumerate(itertools.pairwise(pictures)):
        flow = finder.find(first, second)
        seen = visible(flow, finder.find(second, first))
        errors.append([warp_error(one[index], one[index + 1], flow, seen) for one in made])
    ours, plain = np.nanmean(errors, axis=0)
    return float(ours / plain)


def clip_pictures(path: Path, count: int, scale: int) -> Iterator[Image]:
    """The first pictures of a clip, no larger than is needed, with sides divisible by the scale.

    Raises:
        MediaError: it is no video.
    """
    source = VideoFile(path)
    spec = source.open()
    try:
        image = np.zeros((spec.height, spec.width, 3), np.uint8)
        factor = min(1.0, LONGEST_PX / max(spec.width, spec.height))
        sides = (round(side * factor / scale) * scale for side in (spec.width, spec.height))
        size = next(sides), next(sides)
        for _ in range(count):
            if source.fill(image) is None:
                return
            yield np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    finally:
        source.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges the clips that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", help="an ONNX file, a name of the catalogue or a checkpoint")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--pictures", type=int, default=NUM_PICTURES, help="of each clip")
    options = parser.parse_args(arguments)
    try:
        scale, enlarge = open_network(options.network)
        found = {
            clip.name: steadiness(
                list(clip_pictures(clip, options.pictures, scale)), enlarge, scale
            )
            for clip in options.clips
        }
    except (ModelError, RtSwapError) as error:
        print(f"sr_steadiness: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps({name: round(ratio, 3) for name, ratio in found.items()}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
