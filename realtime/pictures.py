"""Loading a still picture that a person gave, whatever it is, without letting it do harm."""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from realtime.errors import MediaError
from realtime.frame import Image

MAX_PICTURE_PIXELS = 80_000_000
"""Larger pictures are refused from their header alone; the largest phone sensors make 50 million
usable pixels, and 80 million take 240 MB as BGR."""

MATTE = 128
"""Grey level 0..255 that shows through where a picture is transparent."""

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")

# What Pillow's decoders raise on damaged files, beside OSError.
_DAMAGE = (SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error)


def load_picture(path: str | Path) -> Image:
    """Loads a picture as the eye sees it: upright, 8 bits, opaque, sRGB, first frame if animated.

    The header is read first, and a picture of more than 80 megapixels is refused before anything
    is decoded. Colour profiles are applied, transparency is laid on mid grey, 16 bits are reduced
    to 8.

    Args:
        path: a PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF, PNM or JPEG 2000 file.

    Returns:
        ``(H, W, 3) u8 BGR``, C-contiguous, owned by the caller; at least one pixel.

    Raises:
        MediaError: the file is missing, no regular file, unreadable, not a picture, damaged or
            too large.
    """
    path = Path(path)
    try:
        # Opening a pipe or a device would block or never end, hence regular files only.
        if not path.is_file():
            raise MediaError(_not_a_file(path))
        file = path.open("rb")
    except OSError as error:
        raise MediaError(
            f"{path}: the picture must be readable, got: {error.strerror}. "
            "Check its name and its permissions."
        ) from error
    try:
        with file:
            return _decode(file, path)
    except UnidentifiedImageError:
        kind = "an empty file" if path.stat().st_size == 0 else "something else"
        raise MediaError(
            f"{path}: must be a picture, got {kind}. Save the picture as PNG or JPEG."
        ) from None
    except (OSError, *_DAMAGE) as error:
        raise MediaError(
            f"{path}: must be a whole picture, got a damaged or cut-off one ({_one_line(error)}). "
            "Copy the file again or save it anew as PNG or JPEG."
        ) from error


def read_xmp(path: Path) -> bytes | None:
    """The XMP packet of a picture file; None without one and for what is no picture."""
    Pillow.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(path, formats=[f for f in _FORMATS if f in Pillow.OPEN]) as picture:
                packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
    except (OSError, Pillow.DecompressionBombError, *_DAMAGE):
        return None
    return packet.encode() if isinstance(packet, str) else packet


def _not_a_file(path: Path) -> str:
    if path.is_dir():
        return f"{path}: must be a picture file, got a folder. Name one picture in it."
    if path.exists():
        return f"{path}: must be a picture file, got a device or pipe. Name a picture file."
    return f"{path}: must be a picture file, got no such file. Check the name."


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _decode(file: io.BufferedReader, path: Path) -> Image:
    """Checks the header, then decodes the first frame."""
    Pillow.init()
    too_large = (
        f"{path}: a picture must have at most {MAX_PICTURE_PIXELS // 1_000_000} megapixels, got "
    )
    advice = "Save it smaller; 1000 pixels across the face are plenty."
    try:
        with warnings.catch_warnings():
            # Pillow warns of damage it can live with (metadata), which is nobody's concern here,
            # and of large headers; our limit is the stricter one, so its word is enough.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            picture = Pillow.open(file, formats=[f for f in _FORMATS if f in Pillow.OPEN])
            width, height = picture.size
            if width * height <= MAX_PICTURE_PIXELS:
                return _bgr(picture)
    except (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError):
        raise MediaError(f"{too_large}many more. {advice}") from None
    raise MediaError(f"{too_large}{width}×{height}. {advice}")


def _bgr(picture: Pillow.Image) -> Image:
    """Decodes an opened picture to contiguous BGR."""
    picture.load()
    picture = _upright(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        gray = _eight_bits(np.asarray(picture))
        return np.ascontiguousarray(np.repeat(gray[:, :, None], 3, axis=2))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        matte = Pillow.new("RGBA", opaque.size, (MATTE, MATTE, MATTE, 255))
        rgb = Pillow.alpha_composite(matte, opaque).convert("RGB")
        rgb.info = picture.info
    else:
        rgb = picture
    return np.ascontiguousarray(np.asarray(_srgb(rgb))[:, :, ::-1])


def _upright(picture: Pillow.Image) -> Pillow.Image:
    """Applies the EXIF orientation; damaged EXIF data are as good as none."""
    try:
        return ImageOps.exif_transpose(picture)
    except (OSError, *_DAMAGE):
        return picture


def _srgb(picture: Pillow.Image) -> Pillow.Image:
    """Converts to sRGB by the embedded profile; without a usable one as Pillow does."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "CMYK"):
        try:
            converted = ImageCms.profileToProfile(
                picture,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return picture.convert("RGB")


def _eight_bits(gray: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Reduces a gray picture of more than 8 bits to 8.

    16-bit integers span 0..65535, as PNG and TIFF define them. 32-bit integers and floats have no
    defined white: the smallest usual one that holds the picture is taken (1, 255, 65535).
    """
    if gray.dtype == np.uint16:
        return ((gray.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    values = np.nan_to_num(gray.astype(np.float32))
    peak = float(values.max())
    is_unit = gray.dtype.kind == "f" and peak <= 1.0
    white = 1.0 if is_unit else 255.0 if peak <= 255.0 else 65535.0
    scaled: NDArray[np.float32] = np.clip(values / white, 0.0, 1.0) * 255.0
    return np.rint(scaled).astype(np.uint8)
