"""Trains a FuseNet network: ``python -m tools.train_fusenet fusenet_lite --out RUNS --data DIR``.

    python -m tools.fusenet_data portraits --out pairs
    python -m tools.train_fusenet fusenet_lite --data pairs --out runs --device cuda --compile

The recipes are in ``engines/networks/fusenet/recipes.yaml``. A training that was interrupted goes
on where its last checkpoint is, with the same pictures. Writes ``NAME.pt`` (checkpoint) and
``NAME.csv`` (log) into the folder.
"""

import argparse
import csv
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import torch
from threadpoolctl import threadpool_limits

from engines.errors import ModelError
from engines.models.library import ModelLibrary
from engines.networks.fusenet.network import SHAPES
from realtime.face_mesh import load_face_mesh
from realtime.job_models import CONNECTIONS
from tools.fusenet_pairs import Pairs, Shots
from tools.fusenet_pictures import ShotSource
from tools.fusenet_recipe import Recipe, load_recipe
from tools.fusenet_training import Training
from tools.judge import DEFAULT_MODELS, RECOGNISER_FILE
from tools.training_parts import stops

LOG_EVERY = 20
SAVE_EVERY = 100

COLUMNS = (
    *("step", "seconds", "rate", "truth", "edges", "mask", "colour", "detail", "tone"),
    *("rim", "steady", "identity", "realism", "critic"),
)


def shots_ahead(
    source: ShotSource, recipe: Recipe, first: int, workers: int
) -> Iterator[tuple[int, Shots]]:
    """The sequences of the steps that are left, made beforehand on threads of their own."""
    with ThreadPoolExecutor(workers, thread_name_prefix="shots") as pool:
        coming: deque[tuple[int, Future[Shots]]] = deque()
        for step in range(first, recipe.steps):
            stage = recipe.stage_at(step)
            what = (stage.sequences, stage.frames, stage.others, stage.patch_px)
            made = pool.submit(source.shots, step, *what)
            coming.append((step, made))
            if len(coming) > workers:
                number, shots = coming.popleft()
                yield number, shots.result()
        for number, shots in coming:
            yield number, shots.result()


def run(training: Training, source: ShotSource, stem: Path, *, workers: int) -> None:
    """Trains to the end of the recipe, or until it is told to stop, and writes what it did.

    Args:
        training: fresh, or as a checkpoint left it.
        source: of the sequences.
        stem: path of checkpoint and log without their suffixes.
        workers: threads that make sequences.
    """
    recipe, began = training.recipe, time.monotonic()
    log, checkpoint = stem.with_suffix(".csv"), stem.with_suffix(".pt")
    with stops() as stop, log.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not log.stat().st_size:
            writer.writeheader()
        sums: dict[str, list[float]] = {}
        for _, shots in shots_ahead(source, recipe, training.step, workers):
            for name, value in training.advance(shots).items():
                sums.setdefault(name, []).append(value)
            done = training.step
            if done % LOG_EVERY == 0 or done == recipe.steps:
                means = {name: f"{sum(some) / len(some):.5g}" for name, some in sums.items()}
                seconds = round(time.monotonic() - began)
                writer.writerow(means | {"step": done, "seconds": seconds})
                file.flush()
                sums.clear()
            if stop:
                break
            if done % SAVE_EVERY == 0:
                training.save(checkpoint)
    training.save(checkpoint)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", help="a recipe, for example fusenet_lite")
    parser.add_argument("--data", type=Path, required=True, help="folder of tools.fusenet_data")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile the network first")
    parser.add_argument(
        "--bfloat16", action="store_true", help="as always with cuda; for AVX-512 BF16 or AMX"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--workers", type=int, default=1, help="threads that make sequences")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--recogniser", type=Path, default=DEFAULT_MODELS / RECOGNISER_FILE, help="ONNX file"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    # Pictures are small: threads for them would only wait for each other.
    cv2.setNumThreads(1)
    threadpool_limits(1, user_api="blas")
    try:
        recipe = load_recipe(options.network)
        mesh = load_face_mesh(ModelLibrary().text(CONNECTIONS))
        pairs = Pairs.read(options.data / "train.npz")
        source = ShotSource(pairs, mesh.mirror, SHAPES[recipe.kind].size_px, options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        training = Training(
            recipe,
            options.device,
            options.seed,
            recogniser=options.recogniser,
            fast=options.compile,
            bfloat16=options.bfloat16 or options.device == "cuda",
        )
        checkpoint = options.out / f"{recipe.name}.pt"
        if checkpoint.exists():
            training.load(checkpoint)
    except (ModelError, OSError, ValueError) as error:
        print(f"train_fusenet: {error}", file=sys.stderr)
        return 2
    run(training, source, options.out / recipe.name, workers=options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
