"""Pictures to train super-resolution with, and the patches cut from them.

Everything drawn follows from a seed and the number of the step, so that a training that was
interrupted goes on with the very patches it would have seen.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image
from tools.degrade import degrade
from tools.imresize import as_levels, line_weights, mixed

KEEP_OUT_EVERY = 9
"""Of each folder every ninth picture, by name, is kept out of the training."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Small patches and what they should become."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Pictures of one kind.

    Attributes:
        train: of which the training sees patches, u8 BGR.
        kept_out: of which it sees none.
    """

    train: tuple[Image, ...]
    kept_out: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a batch is drawn from.

    Attributes:
        weights: of the folders, one each; how often a patch comes from them.
        degraded: how many of the patches went through a webcam, of each folder; the others are
            plainly shrunk as the published test sets are.
    """

    weights: tuple[float, ...]
    degraded: tuple[float, ...]


def picture_names(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, by name.

    Raises:
        ValueError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"{folder}: must hold pictures, got none. Name another folder.")
    return found


def split(names: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The pictures to train with, and those kept out."""
    kept_out = list(names[KEEP_OUT_EVERY - 1 :: KEEP_OUT_EVERY])
    return [name for name in names if name not in set(kept_out)], kept_out


def load_picture(path: Path, longest_px: int | None = None) -> Image:
    """One picture, made smaller where its longer side is longer than allowed.

    Raises:
        ValueError: it cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: must be a picture, got something else. Take it out.")
    height, width = image.shape[:2]
    factor = (longest_px or max(height, width)) / max(height, width)
    if factor >= 1:
        return np.asarray(image, np.uint8)
    size = round(width * factor), round(height * factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def load_folder(folder: Path, without: Iterable[str], sizes_px: Sequence[int]) -> Folder:
    """Reads a folder into memory.

    Args:
        folder: with the pictures.
        without: stems of pictures that must not be used, those of the test sets.
        sizes_px: longest sides; each picture is taken once at each of them. Empty: as it is. What
            was kept out is taken at the first of them.

    Raises:
        ValueError: the folder has no pictures, or a broken one.
    """
    unwanted = set(without)
    train, kept_out = split([one for one in picture_names(folder) if one.stem not in unwanted])
    sizes = tuple(sizes_px) or (None,)
    return Folder(
        tuple(load_picture(name, size) for name in train for size in sizes),
        tuple(load_picture(name, sizes[0]) for name in kept_out),
    )


class PatchSource:
    """Cuts patches at random and makes their small versions.

    Args:
        folders: the pictures.
        mixture: of what a batch is made.
        scale: 2 or 4.
        patch_px: side of a small patch; even.
        seed: of everything drawn.
    """

    def __init__(
        self, folders: Sequence[Folder], mixture: Mixture, scale: int, patch_px: int, seed: int
    ) -> None:
        least = scale * patch_px
        self._folders = [
            [image for image in folder.train if min(image.shape[:2]) >= least] for folder in folders
        ]
        if not all(self._folders):
            raise ValueError(f"data: each folder must hold pictures of {least} px or more.")
        weights = np.asarray(mixture.weights, np.float64)
        self._shares = weights / weights.sum()
        self._degraded = mixture.degraded
        self._scale = scale
        self._patch_px = patch_px
        self._shrink = line_weights(least, patch_px)
        self._seed = seed

    def batch(self, step: int, size: int) -> Batch:
        """The patches of one step.

        Args:
            step: from 0; the same number gives the same patches.
            size: how many.

        Returns:
            ``(size, 3, p, p)`` and ``(size, 3, scale p, scale p)``, f32 RGB 0..1.
        """
        random = np.random.default_rng((self._seed, step))
        pairs = [self._pair(random) for _ in range(size)]
        small, large = (as_planes(images) for images in zip(*pairs, strict=True))
        return small, large

    def batches(self, steps: range, size: int, workers: int) -> Iterator[Batch]:
        """The patches of some steps in order, made beforehand on threads of their own.

        Args:
            steps: which.
            size: how many patches in each.
            workers: threads; so many batches at most are waiting.
        """
        with ThreadPoolExecutor(workers, thread_name_prefix="patches") as pool:
            coming = deque(pool.submit(self.batch, step, size) for step in steps[:workers])
            for step in [*steps[workers:], *[None] * len(coming)]:
                batch = coming.popleft().result()
                if step is not None:
                    coming.append(pool.submit(self.batch, step, size))
                yield batch

    def _pair(self, random: np.random.Generator) -> tuple[Image, Image]:
        kind = int(random.choice(len(self._folders), p=self._shares))
        pictures = self._folders[kind]
        image = pictures[int(random.integers(len(pictures)))]
        side = self._scale * self._patch_px
        top, left = (int(random.integers(length - side + 1)) for length in image.shape[:2])
        large = _turned(image[top : top + side, left : left + side], int(random.integers(8)))
        if random.random() < self._degraded[kind]:
            return degrade(large, self._scale, random), large
        return as_levels(mixed(large, self._shrink, self._shrink)), large


def as_planes(images: Sequence[Image]) -> NDArray[np.float32]:
    """Pictures of one size, u8 BGR, as ``(N, 3, H, W) f32`` RGB 0..1."""
    stacked = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked, np.float32) / np.float32(255)


def as_picture(planes: NDArray[np.float32]) -> Image:
    """``(3, H, W)`` RGB 0..1 as ``(H, W, 3) u8 BGR``."""
    levels = np.rint(np.clip(planes[::-1], 0, 1) * 255)
    return np.ascontiguousarray(levels.transpose(1, 2, 0), np.uint8)


def _turned(patch: Image, turn: int) -> Image:
    """One of the eight ways to turn and mirror a square."""
    turned = np.rot90(patch, turn % 4)
    return np.ascontiguousarray(turned[:, ::-1] if turn >= 4 else turned)
