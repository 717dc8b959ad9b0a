"""Networks with 8-bit weights and activations, for processors that multiply those fast."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from engines.errors import ModelError, one_line
from engines.graphs import parse_model
from engines.session import Array


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """Hands the samples out one after the other, as the quantiser wants them."""

    def __init__(self, samples: Sequence[Mapping[str, Array]]) -> None:
        self._left: Iterator[Mapping[str, Array]] = iter(samples)

    def get_next(self) -> Mapping[str, Array] | None:
        """The next sample; None after the last."""
        return next(self._left, None)


def quantise(model: bytes, samples: Sequence[Mapping[str, Array]], *, name: str = "model") -> bytes:
    """Quantises a network after training: 8 bits, a scale for each output channel of a layer.

    The scales of activations come from the largest and smallest values seen on the samples, so a
    few unlike ones make a poor network: its error must be looked at.

    Args:
        model: a serialised ONNX model in float32, simplified.
        samples: arrays by input name; at least one.
        name: what error messages call the network.

    Returns:
        A model with the same inputs and outputs, whose layers are wrapped in ``QuantizeLinear`` and
        ``DequantizeLinear``.

    Raises:
        ModelError: the network cannot be quantised.
    """
    log = logging.getLogger()
    former = log.level
    with tempfile.TemporaryDirectory(prefix="rt-swap-") as folder:
        path = Path(folder) / "quantised.onnx"
        # The quantiser recommends a preparation on the root logger that has been done already.
        log.setLevel(logging.ERROR)
        try:
            quantize_static(
                parse_model(model, name),
                path,
                _Samples(samples),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            raise ModelError(
                f"{name}: must be a network that can be quantised, got {one_line(error)}. "
                "Run it as it is."
            ) from error
        finally:
            log.setLevel(former)
        return path.read_bytes()
