import pytest

from realtime.provenance.file_kind import kind_of

MP4 = b"\x00\x00\x00\x20ftypisom"
MOV = b"\x00\x00\x00\x14ftypqt  "
AVIF = b"\x00\x00\x00\x20ftypavif"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"
WEBP = b"RIFF\x10\x00\x00\x00WEBP"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jpg", PNG, ".png"),
        ("a.png", b"\xff\xd8\xff\xe0", ".jpg"),
        ("a.JPEG", b"\xff\xd8\xff\xe0", ".jpeg"),
        ("a.jpg", WEBP, ".webp"),
        ("a.tif", b"II*\x00", ".tif"),
        ("a.png", b"MM\x00*", ".tiff"),
        ("a.mkv", MP4, ".mp4"),
        ("a", MP4, ".mp4"),
        ("a.jpg", MOV, ".mov"),
        ("a.png", AVIF, ".avif"),
    ],
)
def test_the_contents_count_and_not_the_name(name, content, kind, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize("name", ["a.mp4", "a.MOV", "a.avif"])
def test_files_of_the_same_boxes_are_what_they_are_called(name, tmp_path):
    (tmp_path / name).write_bytes(AVIF)
    assert kind_of(tmp_path / name) == (tmp_path / name).suffix.lower()


@pytest.mark.parametrize("content", [b"", b"\xff", b"RIFF\x10\x00\x00\x00AVI ", bytes(12)])
def test_where_the_contents_say_nothing_the_name_does(content, tmp_path):
    (tmp_path / "a.PNG").write_bytes(content)
    assert kind_of(tmp_path / "a.PNG") == ".png"
