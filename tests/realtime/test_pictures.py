import contextlib
import os
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from realtime.errors import MediaError
from realtime.pictures import load_picture

RED_BGR = [0, 0, 255]


def png_header(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever follows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def one_line(error: pytest.ExceptionInfo[MediaError], path: Path) -> str:
    """The message, checked for its form: one line, the file first, advice at the end."""
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert message.count(". ") >= 1, "no advice"
    return message


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm", "gif"])
def test_a_plain_picture_comes_out_as_contiguous_bgr(tmp_path, suffix) -> None:
    path = tmp_path / f"picture.{suffix}"
    rgb = np.zeros((5, 7, 3), np.uint8)
    rgb[1, 2] = (255, 0, 0)
    options = {"lossless": True} if suffix == "webp" else {}
    Pillow.fromarray(rgb).save(path, **options)
    image = load_picture(path)
    assert image.shape == (5, 7, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert image[1, 2].tolist() == RED_BGR
    assert image[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation) -> None:
    path = tmp_path / "turned.png"
    upright = np.zeros((4, 6), np.uint8)
    upright[0, 0], upright[0, 5] = 255, 128
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert (load_picture(path)[:, :, 0] == upright).all()


def test_damaged_exif_data_do_no_harm(tmp_path) -> None:
    path = tmp_path / "exif.jpg"
    Pillow.new("RGB", (8, 8), (255, 0, 0)).save(path, exif=b"Exif\0\0MM\0*\0\0\xff\xffgarbage")
    assert load_picture(path).shape == (8, 8, 3)


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path) -> None:
    path = tmp_path / "cmyk.jpg"
    Pillow.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)
    assert np.abs(load_picture(path)[8, 8].astype(int) - RED_BGR).max() <= 4


def test_sixteen_bit_gray_is_scaled_and_not_cut_off(tmp_path) -> None:
    path = tmp_path / "deep.png"
    Pillow.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(path)
    assert load_picture(path)[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_a_float_tiff_between_zero_and_one_is_scaled_to_eight_bits(tmp_path) -> None:
    path = tmp_path / "float.tiff"
    Pillow.fromarray(np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)).save(path)
    assert load_picture(path)[0, :, 0].tolist() == [0, 128, 255, 0]


def test_gray_and_one_bit_pictures_become_three_channels(tmp_path) -> None:
    for mode, white in (("L", 255), ("1", 1)):
        path = tmp_path / f"mode{mode}.png"
        Pillow.new(mode, (3, 2), white).save(path)
        assert (load_picture(path) == 255).all()


def test_palette_colours_are_looked_up(tmp_path) -> None:
    path = tmp_path / "palette.png"
    Pillow.new("RGB", (4, 4), (255, 0, 0)).convert("P", palette=Pillow.Palette.ADAPTIVE).save(path)
    assert load_picture(path)[0, 0].tolist() == RED_BGR


def test_transparency_lies_on_mid_gray(tmp_path) -> None:
    path = tmp_path / "alpha.png"
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 255, 255, 128]]], np.uint8)
    Pillow.fromarray(rgba).save(path)
    image = load_picture(path)[0].astype(int)
    assert image[0].tolist() == RED_BGR
    assert image[1].tolist() == [128, 128, 128]
    assert np.abs(image[2] - 192).max() <= 1


def test_a_transparent_palette_entry_lies_on_mid_gray(tmp_path) -> None:
    path = tmp_path / "key.gif"
    picture = Pillow.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(path, transparency=0)
    assert load_picture(path)[0, 0].tolist() == [128, 128, 128]


def test_an_animation_gives_its_first_frame(tmp_path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assert load_picture(path)[0, 0].tolist() == RED_BGR


def test_an_embedded_profile_is_applied_and_a_broken_one_is_not(tmp_path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("good", srgb), ("bad", b"not a profile")):
        path = tmp_path / f"{name}.png"
        Pillow.new("RGB", (4, 4), (255, 0, 0)).save(path, icc_profile=profile)
        assert np.abs(load_picture(path)[0, 0].astype(int) - RED_BGR).max() <= 1


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 8_001), (60_000, 60_000)])
def test_a_giant_is_refused_from_its_header_quickly_and_in_little_memory(tmp_path, size) -> None:
    path = tmp_path / "giant.png"
    path.write_bytes(png_header(*size, body=zlib.compress(bytes(1000))))
    Pillow.init()
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(MediaError) as error:
        load_picture(path)
    elapsed_s = time.perf_counter() - started
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "80 megapixels" in one_line(error, path)
    assert elapsed_s < 0.1
    assert peak_bytes < 5_000_000


def test_a_missing_file_is_named(tmp_path) -> None:
    path = tmp_path / "nobody.png"
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert "no such file" in one_line(error, path)


def test_a_folder_is_not_a_picture(tmp_path) -> None:
    with pytest.raises(MediaError) as error:
        load_picture(tmp_path)
    assert "folder" in one_line(error, tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert "device or pipe" in one_line(error, path)


def test_an_impossible_name_says_why(tmp_path) -> None:
    path = tmp_path / ("x" * 300 + ".png")
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert "File name too long" in one_line(error, path)


def test_an_unreadable_file_says_why(tmp_path, monkeypatch) -> None:
    path = tmp_path / "locked.png"
    path.touch()

    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert "Permission denied" in one_line(error, path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"hello, I am a text\n" * 20, "something else"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "something else"),
    ],
)
def test_what_is_no_picture_is_called_so(tmp_path, content, said) -> None:
    path = tmp_path / "me.png"
    path.write_bytes(content)
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert said in one_line(error, path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "gif", "bmp"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_cut_off_picture_is_an_error_and_never_half_gray(tmp_path, suffix, kept) -> None:
    path = tmp_path / f"half.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Pillow.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(MediaError) as error:
        load_picture(path)
    one_line(error, path)


def test_random_damage_ends_in_a_picture_or_a_media_error(tmp_path) -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (24, 24, 3), np.uint8)
    for suffix in ("png", "jpg", "tiff", "gif", "bmp", "webp", "ppm"):
        path = tmp_path / f"hurt.{suffix}"
        Pillow.fromarray(noise).save(path)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            hurt = whole.copy()
            hurt[rng.integers(0, len(hurt), 6)] = rng.integers(0, 256, 6)
            path.write_bytes(hurt.tobytes())
            with contextlib.suppress(MediaError):
                assert load_picture(path).ndim == 3
