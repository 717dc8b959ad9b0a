"""Judges super-resolution as published figures do."""
import numpy as np
import torch
from typing import Any
from realtime.frame import Image
from tools.srsn_pictures import as_planes
from numpy.typing import NDArray


def luma(image: Image) -> NDArray[np.float64]:
    """Brightness by ITU-R BT.601 in the range of video, as MATLAB's ``rgb2ycbcr``."""
    return 16 + image.astype(np.float64) @ np.array([24.966, 128.553, 65.481]) / 255


def luma_psnr(found: Image, wanted: Image, border_px: int) -> float:
    """PSNR in dB of brightness, without a border."""
    inside = slice(border_px, -border_px)
    error = (luma(found) - luma(wanted))[inside, inside]
    return float(10 * np.log10(255**2 / max(np.square(error).mean(), 1e-12)))


def resolve(network: Any, image: Image) -> Image:
    """Enlarges one picture with a PyTorch network."""
    with torch.inference_mode():
        made = network(torch.from_numpy(as_planes([image])))[0].numpy()
    return np.ascontiguousarray(np.rint(made[::-1].transpose(1, 2, 0) * 255).astype(np.uint8))
