"""Trains an SR-SN network: ``python -m tools.train_srsn srsn_lite_x2_fidelity --out FOLDER``.

    python -m tools.train_srsn srsn_full_x2_fidelity --out runs --data photos \\
        --data faces:384,256 --without Set5 --without BSD68 --device cuda --compile

The recipes are in ``engines/networks/srsn/recipes.yaml``. A folder's pictures may be taken at given
sizes (longest side in pixels). Every ninth picture of a folder is kept out, and PSNR is measured on
some of these while it trains. A training that was interrupted goes on where its last checkpoint is,
with the same patches; ``--init FILE.onnx`` begins with the weights of a shipped network. Writes
``NAME.pt`` (checkpoint) and ``NAME.csv`` (log) into the folder.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from tools.eval_sr import luma_psnr
from tools.imresize import resized_u8
from tools.srsn_pictures import Folder, Mixture, PatchSource, load_folder, picture_names
from tools.srsn_recipe import Recipe, load_recipe
from tools.srsn_training import Averaged, Training
from tools.training_parts import stops

LOG_EVERY = 50
CHECK_EVERY = 1000
SAVE_EVERY = 500
CHECKED_PER_FOLDER = 6
CHECKED_PX = 192

COLUMNS = (
    "step",
    "seconds",
    "rate",
    "l1",
    "colour",
    "perceptual",
    "adversarial",
    "critic",
    "psnr_db",
)


def kept_out_psnr(training: Training, folders: Sequence[Folder]) -> float:
    """Mean PSNR of the averaged weights on the middle of some pictures that were kept out, in dB.

    These are shrunk plainly, as the published test sets are.
    """
    scale = training.recipe.scale
    averaged = Averaged(training.recipe, training.average)
    values = []
    for folder in folders:
        for image in folder.kept_out[:CHECKED_PER_FOLDER]:
            top, left = (max(0, (length - CHECKED_PX) // 2) for length in image.shape[:2])
            height, width = (min(length, CHECKED_PX) // scale * scale for length in image.shape[:2])
            large = np.ascontiguousarray(image[top : top + height, left : left + width])
            small = resized_u8(large, height // scale, width // scale)
            values.append(luma_psnr(averaged.resolve(small), large, scale))
    return float(np.mean(values))


def run(
    training: Training, source: PatchSource, folders: Sequence[Folder], stem: Path, *, workers: int
) -> None:
    """Trains to the end of the recipe, or until it is told to stop, and writes what it did.

    Args:
        training: fresh, or as a checkpoint left it.
        source: of the patches.
        folders: where the pictures that were kept out are.
        stem: path of checkpoint and log without their suffixes.
        workers: threads that make patches.
    """
    recipe, began = training.recipe, time.monotonic()
    log, checkpoint = stem.with_suffix(".csv"), stem.with_suffix(".pt")
    steps = range(training.step, recipe.steps)
    with stops() as stop, log.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not log.stat().st_size:
            writer.writeheader()
        for small, large in source.batches(steps, recipe.batch, workers):
            facts = training.advance(small, large)
            done, last = training.step, training.step == recipe.steps
            if done % LOG_EVERY == 0 or last:
                row: dict[str, object] = {name: f"{value:.6g}" for name, value in facts.items()}
                if done % CHECK_EVERY == 0 or last:
                    row["psnr_db"] = f"{kept_out_psnr(training, folders):.3f}"
                writer.writerow(row | {"step": done, "seconds": round(time.monotonic() - began)})
                file.flush()
            if stop:
                break
            if done % SAVE_EVERY == 0:
                training.save(checkpoint)
    training.save(checkpoint)


def load_folders(data: Sequence[str], without: Sequence[Path]) -> list[Folder]:
    """Reads ``FOLDER`` or ``FOLDER:384,256`` for each; never a picture named as one of the others.

    Raises:
        ValueError: a folder holds no pictures, or a size is no number.
    """
    unwanted = {name.stem for folder in without for name in picture_names(folder)}
    folders = []
    for text in data:
        path, _, sizes = text.partition(":")
        sizes_px = [int(size) for size in sizes.split(",") if size]
        folders.append(load_folder(Path(path), unwanted, sizes_px))
    return folders


def begin(training: Training, out: Path, init: Path | None = None) -> None:
    """Goes on from the training's own checkpoint, or from the network that it starts from.

    Args:
        training: fresh.
        out: where checkpoints lie.
        init: a checkpoint or ONNX file to start from in place of the one that the recipe names.

    Raises:
        ValueError: a network that it starts from is missing, or is another one.
    """
    recipe = training.recipe
    checkpoint = out / f"{recipe.name}.pt"
    if checkpoint.exists():
        training.load(checkpoint)
    elif init is not None:
        training.start_from(init)
    elif recipe.start_from:
        training.start_from(out / f"{recipe.start_from}.pt")


def expect_folders(recipe: Recipe, count: int) -> Mixture:
    """What the recipe says of so many folders.

    Raises:
        ValueError: it speaks of another number of them.
    """
    if not len(recipe.weights) == len(recipe.degraded) == count:
        raise ValueError(
            f"--data: must be given {len(recipe.weights)} times for {recipe.name}, got {count}. "
            "Name the folders in the recipe's order."
        )
    return Mixture(recipe.weights, recipe.degraded)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", help="a recipe, for example srsn_lite_x2_fidelity")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--data", action="append", required=True, help="FOLDER or FOLDER:384,256")
    parser.add_argument(
        "--without", action="append", type=Path, default=[], help="folder of test pictures"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile the network first")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--workers", type=int, default=1, help="threads that make patches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="in place of the recipe's")
    parser.add_argument(
        "--init", type=Path, help="checkpoint or ONNX file to start from, for example a shipped one"
    )
    parser.add_argument("--vgg", type=Path, help="VGG16 or VGG19 weights for the perceptual loss")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    # The patches are small: threads for them would only wait for each other.
    cv2.setNumThreads(1)
    threadpool_limits(1, user_api="blas")
    try:
        recipe = load_recipe(options.network)
        if options.steps is not None:
            recipe = recipe.model_copy(update={"steps": options.steps})
        mixture = expect_folders(recipe, len(options.data))
        folders = load_folders(options.data, options.without)
        source = PatchSource(folders, mixture, recipe.scale, recipe.patch_px, options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        training = Training(
            recipe, options.device, options.seed, vgg=options.vgg, fast=options.compile
        )
        begin(training, options.out, options.init)
    except (OSError, ValueError) as error:
        print(f"train_srsn: {error}", file=sys.stderr)
        return 2
    stem = options.out / recipe.name
    run(training, source, folders, stem, workers=options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
