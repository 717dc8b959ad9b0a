import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from realtime.pictures import read_xmp
from realtime.provenance.xmp import encode_picture

IMAGE = np.arange(9 * 7 * 3, dtype=np.uint8).reshape(7, 9, 3)
PACKET = "<?xpacket?><x>ünïcode</x>".encode()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp"])
def test_the_packet_is_in_the_file_and_the_picture_stays_what_it_was(suffix, tmp_path):
    content = encode_picture(IMAGE, suffix, PACKET)
    assert content is not None
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert read_xmp(path) == PACKET
    plain = encode_picture(IMAGE, suffix, None)
    assert plain is not None
    decoded = [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (content, plain)
    ]
    np.testing.assert_array_equal(*decoded)


def test_every_chunk_of_the_png_has_its_checksum():
    content = encode_picture(IMAGE, ".png", PACKET)
    assert content is not None
    at, kinds = 8, []
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        body = content[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(content[at + 8 + length : at + 12 + length])
        kinds.append(body[:4])
        at += 12 + length
    assert kinds[:2] == [b"IHDR", b"iTXt"]
    assert kinds[-1] == b"IEND"


@pytest.mark.parametrize("suffix", [".bmp", ".tiff"])
def test_formats_without_a_place_for_it_are_written_without(suffix):
    content = encode_picture(IMAGE, suffix, PACKET)
    assert content is not None
    assert PACKET not in content
    assert Pillow.open(io.BytesIO(content)).size == (9, 7)


def test_a_packet_too_long_for_a_jpeg_is_refused():
    with pytest.raises(ValueError, match="one JPEG segment"):
        encode_picture(IMAGE, ".jpg", b"x" * 70_000)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"not a picture"])
def test_what_is_no_picture_has_no_packet(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert read_xmp(path) is None
