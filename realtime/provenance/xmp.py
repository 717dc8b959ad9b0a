"""Pictures with an XMP packet in them (ISO 16684-1; XMP specification part 3, 1.1)."""

import struct
import zlib

import cv2
import numpy as np

from realtime.frame import Image

_PNG_HEAD_BYTES = 8 + 25  # signature and header chunk
_JPEG_HEAD_BYTES = 2
_JPEG_MARKER = b"http://ns.adobe.com/xap/1.0/\x00"
_MAX_SEGMENT_BYTES = 65_533
_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")


def encode_picture(image: Image, suffix: str, packet: bytes | None) -> bytes | None:
    """Encodes a picture, with an XMP packet where its format can carry one.

    Args:
        image: ``(H, W, 3) u8 BGR``.
        suffix: of the file, with its dot; it says the format.
        packet: at most 65 000 bytes; None for none.

    Returns:
        The file's contents, or None where OpenCV does not know the format.
    """
    kind = suffix.lower()
    if packet is not None and kind == ".webp":
        encoded, data = cv2.imencodeWithMetadata(
            kind, image, (cv2.IMAGE_METADATA_XMP,), (np.frombuffer(packet, np.uint8),)
        )
    else:
        encoded, data = cv2.imencode(kind, image)
    if not encoded:
        return None
    content = data.tobytes()
    if packet is not None and kind in _SUFFIXES and kind != ".webp":
        return _with_chunk(content, packet) if kind == ".png" else _with_segment(content, packet)
    return content


def _with_chunk(content: bytes, packet: bytes) -> bytes:
    """A PNG with the packet as international text behind its header."""
    # Keyword, not compressed, no language, no translated keyword.
    body = b"iTXt" + b"XML:com.adobe.xmp" + b"\x00" * 5 + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return content[:_PNG_HEAD_BYTES] + chunk + content[_PNG_HEAD_BYTES:]


def _with_segment(content: bytes, packet: bytes) -> bytes:
    """A JPEG with the packet as an application segment, behind the one of JFIF, which is first."""
    body = _JPEG_MARKER + packet
    if len(body) > _MAX_SEGMENT_BYTES:
        raise ValueError("xmp: a packet must fit into one JPEG segment, got a longer one.")
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    head = _JPEG_HEAD_BYTES
    if content[head : head + 2] == b"\xff\xe0":
        head += 2 + int.from_bytes(content[head + 2 : head + 4])
    return content[:head] + segment + content[head:]
