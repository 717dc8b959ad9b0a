"""What a network computes on a few inputs, kept beside its plan to hold the plan to."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines import self_check
from engines.errors import ModelError
from engines.self_check import Comparison, Outputs, compare
from engines.session import Session

MAX_PLAN_ERROR = 2 * self_check.MAX_ERROR
"""Largest tolerable error of a plan: the way to 16 bits may take half of it, kernels the rest."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Inputs, and what the network as it was published gives for them in float32.

    Attributes:
        samples: arrays by input name.
        outputs: for each of them arrays by output name.
    """

    samples: tuple[Outputs, ...] = ()
    outputs: tuple[Outputs, ...] = ()

    def to_bytes(self) -> bytes:
        """All of it in NumPy's zip form; empty where there is nothing."""
        if not self.samples:
            return b""
        arrays = {
            f"{kind} {index} {name}": array
            for kind, group in (("in", self.samples), ("out", self.outputs))
            for index, part in enumerate(group)
            for name, array in part.items()
        }
        packed = io.BytesIO()
        # By index: names of tensors may hold whatever a file name in a zip may not.
        np.savez(packed, np.array(list(arrays)), *arrays.values())
        return packed.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reference":
        """What ``to_bytes`` wrote.

        Raises:
            ModelError: it is something else.
        """
        if not data:
            return cls()
        groups: dict[str, dict[int, Outputs]] = {"in": {}, "out": {}}
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as packed:
                for number, text in enumerate(packed["arr_0"].tolist(), start=1):
                    kind, index, name = text.split(" ", 2)
                    part = dict(groups[kind].get(int(index), {}))
                    part[name] = packed[f"arr_{number}"]
                    groups[kind][int(index)] = part
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"reference: must be what a build wrote, got something else ({error}). "
                "Build the network again."
            ) from error
        return cls(tuple(groups["in"].values()), tuple(groups["out"].values()))


def hold_to(session: Session, reference: Reference, *, name: str) -> Comparison:
    """Runs a session whose buffers lie in main memory on the reference's inputs.

    Args:
        session: of the plan.
        reference: of the network it was built from.
        name: what the error calls the network.

    Returns:
        How far it is from the reference; no fault.

    Raises:
        ModelError: the session cannot run, or computes something else.
    """
    got: Sequence[Outputs] = [
        {tensor: np.zeros_like(array) for tensor, array in outputs.items()}
        for outputs in reference.outputs
    ]
    for sample, out in zip(reference.samples, got, strict=True):
        session.enqueue(sample, out=out, stream=0)
    found = compare(reference.outputs, got, max_error=MAX_PLAN_ERROR)
    if not found.is_good:
        raise ModelError(
            f"{name}: the plan in {session.provider} must compute what the network does, "
            f"got: {found.fault}. Delete it from the cache, or build with --fp32."
        )
    return found
