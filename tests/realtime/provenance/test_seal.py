"""Files with everything in and beside them, and what a reader says when they are changed."""

import json
import os
from contextlib import suppress
from fractions import Fraction
from importlib import util
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime.errors import MediaError
from realtime.frame import PictureSpec
from realtime.provenance import c2pa_manifest, verify
from realtime.provenance.c2pa_manifest import read_manifest
from realtime.provenance.keys import KeyFolder
from realtime.provenance.run_record import RunRecord
from realtime.provenance.seal import Seal
from realtime.provenance.sidecar import sidecar_path
from realtime.provenance.verify import Findings, verify_file
from realtime.provenance.watermark import Payload, Watermark
from realtime.sinks.picture import PictureFile
from realtime.sinks.video import VideoFile

pytest.importorskip("c2pa")

_SPEC = util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
scenes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scenes)

SIZE = (320, 180)
SESSION = 0xABCD1234


def marked(num_pictures, session=SESSION, seed=0):
    pictures = scenes.film(num_pictures, SIZE, seed)
    mark = Watermark(Payload(session), SIZE, 4.5)
    for picture in pictures:
        mark.add(picture)
    return pictures


def record(session=SESSION):
    return RunRecord(session=session, label="eu", strength="standard")


def write(path: Path, keys: KeyFolder, *, source: Path | None = None, session=SESSION) -> Path:
    """What the engine writes, without the engine."""
    pictures = marked(1 if path.suffix not in (".mp4", ".mov", ".mkv") else 8, session)
    seal = Seal(record(session), source, keys)
    if len(pictures) > 1:
        sink = VideoFile(path, copy_audio_from=None, force=True, preset="ultrafast", seal=seal)
    else:
        sink = PictureFile(path, force=True, seal=seal)
    sink.open(PictureSpec(*SIZE, Fraction(30), live=False))
    for number, picture in enumerate(pictures):
        sink.send(picture, number * 33_333_333)
    sink.close()
    return path


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.png", "a.jpg", "a.webp"])
def test_a_file_carries_everything_and_the_reader_finds_it(name, keys, tmp_path):
    path = write(tmp_path / name, keys)
    found = verify_file(path, keys)
    assert found.contradictions == ()
    assert (found.verdict, found.exit_code) == ("marked", 0)
    assert found.c2pa.state == "trusted"
    assert found.c2pa.is_ai
    assert found.aigc is not None
    assert found.sidecar.state == "own"
    assert found.mark is not None
    assert found.sessions == {"abcd1234"}
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name, f"{name}.rtswap.json", "keys"}


@pytest.mark.parametrize(
    ("name", "other"),
    [("a.png", "b.jpg"), ("a.webp", "b.jpg"), ("a.jpg", "b"), ("a.mp4", "b.mkv"), ("a.mp4", "b")],
)
def test_a_file_under_another_suffix_is_checked_as_what_it_is(name, other, keys, tmp_path):
    path = write(tmp_path / name, keys)
    renamed = path.rename(tmp_path / other)
    found = verify_file(renamed, keys)
    assert found.verdict == "marked"
    assert found.c2pa.state == "trusted"
    assert found.aigc is not None
    content = bytearray(renamed.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    renamed.write_bytes(content)
    assert verify_file(renamed, keys).verdict == "tampered"


def test_the_manifest_of_an_input_under_another_suffix_is_kept(keys, tmp_path):
    source = write(tmp_path / "in.png", keys).rename(tmp_path / "in.jpg")
    path = write(tmp_path / "out.png", keys, source=source)
    assert read_manifest(path, keys.known_authority()).num_ingredients == 1
    assert json.loads(sidecar_path(path).read_text())["c2pa"] == "signed"


@pytest.mark.parametrize("name", ["a.mkv", "a.bmp", "a.tiff"])
def test_what_a_kind_of_file_cannot_carry_is_left_out_and_said(name, keys, tmp_path):
    path = write(tmp_path / name, keys)
    found = verify_file(path, keys)
    assert found.verdict == "marked"
    assert found.sidecar.state == "own"
    assert (found.c2pa.state == "none") == (name != "a.tiff")
    assert (found.aigc is not None) == (name == "a.mkv")
    assert ("not signed" in sidecar_path(path).read_text()) == (name != "a.tiff")


def test_another_installation_calls_the_signature_valid_and_not_its_own(keys, tmp_path):
    path = write(tmp_path / "a.mp4", keys)
    found = verify_file(path, KeyFolder(tmp_path / "others"))
    assert found.verdict == "marked"
    assert found.c2pa.state == "valid"
    assert found.sidecar.state == "other"
    assert not (tmp_path / "others").exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg", "a.png"])
def test_one_flipped_byte_is_found_by_the_manifest_alone(name, keys, tmp_path):
    path = write(tmp_path / name, keys)
    sidecar_path(path).unlink()
    content = bytearray(path.read_bytes())
    content[len(content) * 9 // 10] ^= 0x04
    path.write_bytes(content)
    found = verify_file(path, keys)
    assert (found.verdict, found.exit_code) == ("tampered", 2)
    assert found.c2pa.state == "invalid"


def boxes(content):
    """Place and end of each box of an MP4 that is not inside another, and its kind."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4])
        yield at, at + size, content[at + 4 : at + 8]
        at += size


def flipped(path, keys, places, how):
    """States of the manifest with one byte after another changed."""
    content = path.read_bytes()
    states = {}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= how
        path.write_bytes(damaged)
        states[place] = read_manifest(path, keys.known_authority()).state
    path.write_bytes(content)
    assert read_manifest(path, keys.known_authority()).state == "trusted"
    return states


@pytest.mark.parametrize("how", [0x01, 0x04, 0x90, 0xFF])
def test_a_byte_flipped_in_any_box_of_a_film_is_found_by_the_manifest_alone(how, keys, tmp_path):
    path = write(tmp_path / "a.mp4", keys)
    places = [
        place
        for start, end, kind in boxes(path.read_bytes())
        for place in range(start, end, {b"ftyp": 1, b"uuid": 29, b"mdat": 1999}.get(kind, 53))
    ]
    states = flipped(path, keys, places, how)
    assert set(states.values()) == {"invalid"}, states


def sensitive(content):
    """Places that C2PA's reader passes over: heads and names of its boxes, padding, wrapping."""
    start = content.index(b"jumb") - 4
    pad = content.index(b"cpad") if b"cpad" in content else content.rindex(b"pad\x59")
    names = [content.index(name, start) for name in (b"c2pa.assertions", b"c2pa.claim.v2")]
    return [
        *range(max(0, start - 20), start + 48),
        *(place + offset for place in names for offset in (0, 5, 9)),
        *(content.rindex(b"c2pa.signature") + offset for offset in range(-40, 14, 3)),
        *(pad + offset for offset in (0, 1, 2, 3, 9, 200, 900, 998)),
        *range(content.rindex(b"\xf6X@") + 66, min(len(content), content.rindex(b"\xf6X@") + 72)),
    ]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.jpg", "a.png", "a.webp", "a.tiff"])
@pytest.mark.parametrize("source", [None, "in.png"])
def test_a_byte_flipped_where_c2pa_does_not_look_is_found(name, source, keys, tmp_path):
    opened = None if source is None else write(tmp_path / source, keys, session=3)
    path = write(tmp_path / name, keys, source=opened)
    content = path.read_bytes()
    states = flipped(path, keys, sensitive(content), 0x05)
    assert set(states.values()) == {"invalid"}, states


def test_a_flipped_byte_in_the_file_type_is_tampering_and_named(keys, tmp_path):
    path = write(tmp_path / "a.mp4", keys)
    sidecar_path(path).unlink()
    content = bytearray(path.read_bytes())
    content[9] ^= 1
    path.write_bytes(content)
    found = verify_file(path, keys)
    assert (found.verdict, found.exit_code) == ("tampered", 2)
    assert found.c2pa.problems == ("rt-swap.box.malformed: the box ftyp was changed",)


def test_a_manifest_in_several_segments_is_followed_through_all_of_them(keys, tmp_path):
    source = None
    for number in range(12):  # each manifest holds those of all inputs before
        source = write(tmp_path / f"{number}.jpg", keys, source=source, session=number)
    content = source.read_bytes()
    starts = [at for at in range(len(content)) if content.startswith(b"JP\x02\x11", at)]
    assert len(starts) > 1
    places = [at + offset for at in starts for offset in (0, 2, 3, 5, 7, 9, 11, 13)]
    states = flipped(source, keys, places, 0x03)
    assert set(states.values()) == {"invalid"}, states


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg", "a.png"])
@pytest.mark.parametrize("part", [0.99, 0.6])
def test_a_truncated_file_is_found(name, part, keys, tmp_path):
    path = write(tmp_path / name, keys)
    sidecar_path(path).unlink()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert verify_file(path, keys).verdict == "tampered"


def test_the_sidecar_alone_finds_a_changed_file(keys, tmp_path):
    path = write(tmp_path / "a.mkv", keys)
    content = bytearray(path.read_bytes())
    content[-500] ^= 1
    path.write_bytes(content)
    found = verify_file(path, keys)
    assert found.contradictions == ("the sidecar does not fit the file",)


def test_a_manifest_of_another_run_is_found_by_the_mark_in_the_pictures(keys, tmp_path):
    # Pictures of one session, signed as those of another: whole in itself and yet foreign.
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), marked(1, session=0x11111111)[0])
    Seal(record(0x22222222), None, keys).finish(path, path)
    found = verify_file(path, keys)
    assert found.c2pa.state == "trusted"
    assert found.verdict == "tampered"
    assert "different sessions: 11111111, 22222222" in found.contradictions[0]


def test_the_mark_of_an_input_below_or_above_ours_is_no_forgery(keys, tmp_path):
    path = tmp_path / "a.png"
    picture = marked(1, session=0x11111111)[0]
    Watermark(Payload(0x22222222), SIZE, 2.4).add(picture)
    cv2.imwrite(str(path), picture)
    Seal(record(0x22222222), None, keys).finish(path, path)
    found = verify_file(path, keys)
    assert found.mark is not None
    assert (found.mark.payload.session, found.verdict) == (0x11111111, "marked")
    assert found.sessions == {"22222222"}


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_that_went_through_twice_is_no_forgery(seed, keys, tmp_path):
    # Two marks of the same strength hide which sessions they name.
    path = tmp_path / "a.png"
    picture = marked(1, session=0x11111111 * (seed + 1), seed=seed)[0]
    Watermark(Payload(0x2468ACE0 + seed), SIZE, 4.5).add(picture)
    cv2.imwrite(str(path), picture)
    Seal(record(0x2468ACE0 + seed), None, keys).finish(path, path)
    found = verify_file(path, keys)
    assert found.mark is not None
    assert (found.contradictions, found.verdict) == ((), "marked")
    if not found.mark.is_sure:
        assert found.sessions == {f"{0x2468ACE0 + seed:08x}"}
        assert "the session unsure" in "".join(found.lines())
    assert json.loads(found.as_json())["mark"]["session_sure"] == found.mark.is_sure


def test_a_manifest_taken_from_another_file_is_found(keys, tmp_path):
    one, two = (write(tmp_path / name, keys) for name in ("one.png", "two.png"))
    # The manifest is the chunk caBX; it is put into the pixels of another picture.
    other = cv2.imencode(".png", scenes.film(1, SIZE, seed=9)[0])[1].tobytes()
    content = one.read_bytes()
    at = content.index(b"caBX") - 4
    chunk = content[at : at + 12 + int.from_bytes(content[at : at + 4])]
    two.write_bytes(other[:33] + chunk + other[33:])
    sidecar_path(two).unlink()
    found = verify_file(two, keys)
    assert found.c2pa.state == "invalid"
    assert found.verdict == "tampered"


def test_without_metadata_the_mark_in_the_pictures_remains(keys, tmp_path):
    path = write(tmp_path / "a.mp4", keys)
    bare = tmp_path / "bare.mp4"
    with av.open(str(path)) as source, av.open(str(bare), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    found = verify_file(bare, keys)
    assert (found.c2pa.state, found.aigc, found.sidecar.state) == ("none", None, "none")
    assert found.verdict == "marked"
    assert found.sessions == {"abcd1234"}


def test_the_manifest_of_an_input_is_kept_as_that_of_an_ingredient(keys, tmp_path):
    first = write(tmp_path / "first.png", keys)
    second = write(tmp_path / "second.jpg", keys, source=first, session=5)
    report = read_manifest(second, keys.known_authority())
    assert (report.state, report.session, report.num_ingredients) == ("trusted", "00000005", 1)
    content = second.read_bytes()
    assert content.count(b"org.rtswap.session") > content.count(b"00000005")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("in.mp4", b"", "C2PA cannot read it"),
        ("in.mp4", b"not a film", "C2PA cannot read it"),
        ("in.mp4", b"\x00\x00\x00\x18ftypmp42", "C2PA cannot read it"),
        ("in.mkv", b"\x1a\x45\xdf\xa3", "C2PA knows no .mkv files"),
        ("in.webm", b"\x1a\x45\xdf\xa3", "C2PA knows no .webm files"),
    ],
)
def test_an_input_whose_manifest_cannot_be_kept_is_named_and_that_is_said(
    name, content, reason, keys, tmp_path
):
    source = tmp_path / name
    source.write_bytes(content)
    path = write(tmp_path / "a.mp4", keys, source=source)
    report = read_manifest(path, keys.known_authority())
    assert (report.state, report.num_ingredients) == ("trusted", 1)
    said = json.loads(sidecar_path(path).read_text())["c2pa"]
    assert said == f"signed; the input without a manifest: {reason}"


def test_an_output_without_a_place_for_the_manifest_of_the_input_says_so(keys, tmp_path):
    source = write(tmp_path / "in.mp4", keys, session=3)
    path = write(tmp_path / "a.mkv", keys, source=source)
    said = json.loads(sidecar_path(path).read_text())["c2pa"]
    assert said.endswith("C2PA knows no .mkv files; the manifest of the input is not kept")
    plain = write(tmp_path / "b.mkv", keys, source=path)
    assert "of the input" not in sidecar_path(plain).read_text()


def test_what_is_put_to_use_later_is_in_the_record_and_what_failed_is_not(keys, tmp_path):
    seal = Seal(record(), None, keys)
    with pytest.raises(ValueError, match="broken"), seal.extended({"e" * 64: "self"}, {}):
        raise ValueError("broken")
    with seal.extended({"f" * 64: "written"}, {"two": "0" * 64}):
        pass
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), marked(1)[0])
    seal.finish(path, path)
    run = json.loads(sidecar_path(path).read_text())["run"]
    assert run["faces"] == [{"built_in": True}, {"sha256": "f" * 64, "consent": "written"}]
    assert run["models"] == {"two": "0" * 64}
    manifest = path.read_bytes()
    assert b"f" * 64 in manifest
    assert b"e" * 64 not in manifest


def test_clean_files_are_not_marked(keys, tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), scenes.film(1, SIZE)[0])
    found = verify_file(path, keys)
    assert (found.verdict, found.exit_code) == ("not marked", 1)
    assert found.lines()[0].endswith("a.png: not marked")


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.jpg", "a.webp", "a.mkv", "a.xyz"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 64, b"jumb c2pa " * 9, b"#EXTM3U\nfile:///etc/passwd\n", b"\xff\xd8\xff\xe1"],
)
def test_hostile_files_are_an_error_of_the_input_or_a_finding(name, content, keys, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with suppress(MediaError):
        assert verify_file(path, keys).verdict != "marked"


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg", "a.png"])
def test_files_damaged_anywhere_do_no_harm(name, keys, tmp_path):
    path = write(tmp_path / name, keys)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(2):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 20):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        found = verify_file(path, keys)
        assert found.verdict == "tampered"
        assert found.as_json()


def test_a_folder_or_a_missing_file_is_one_clear_error(keys, tmp_path):
    for path in (tmp_path, tmp_path / "none.mp4"):
        with pytest.raises(MediaError, match="must be a file or a camera"):
            verify_file(path, keys)


def test_signing_that_fails_leaves_the_file_and_says_so(keys, tmp_path, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise c2pa_manifest.SinkError("no room")

    monkeypatch.setattr("realtime.provenance.seal.sign_file", fail)
    path = write(tmp_path / "a.mp4", keys)
    assert "has no C2PA manifest: no room" in caplog.text
    found = verify_file(path, keys)
    assert (found.c2pa.state, found.sidecar.state, found.verdict) == ("none", "own", "marked")
    assert "signing failed" in sidecar_path(path).read_text()
    assert not [path for path in tmp_path.iterdir() if "signed" in path.name]


def test_without_the_extra_everything_else_is_still_there(keys, tmp_path, monkeypatch):
    for module in ("c2pa_manifest", "keys", "sidecar"):
        monkeypatch.setattr(f"realtime.provenance.{module}.find_spec", lambda name: None)
    path = write(tmp_path / "a.mp4", keys)
    found = verify_file(path, keys)
    assert found.c2pa.state == "unchecked"
    assert found.aigc is not None
    assert (found.sidecar.state, found.verdict) == ("own", "marked")
    assert "pip install" in sidecar_path(path).read_text()


def test_an_output_that_is_written_over_gets_a_new_sidecar(keys, tmp_path):
    path = write(tmp_path / "a.mp4", keys)
    write(path, keys, session=9)
    assert verify_file(path, keys).sessions == {"00000009"}


class Camera:
    """Shows the same marked pictures for ever."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.num_calls = self.num_closed = 0

    def open(self):
        return PictureSpec(*SIZE, Fraction(30), live=True)

    def fill(self, image):
        image[:] = self.pictures[self.num_calls % len(self.pictures)]
        self.num_calls += 1
        return self.num_calls

    def close(self):
        self.num_closed += 1


def test_a_camera_is_looked_at_for_a_second():
    camera = Camera(marked(6))
    found = verify.verify_camera("/dev/video9", camera)
    assert (found.verdict, found.sessions) == ("marked", {"abcd1234"})
    assert (camera.num_calls, camera.num_closed) == (verify.WINDOW_PICTURES, 1)


def test_a_file_without_a_picture_to_look_at_is_not_said_to_have_no_mark(
    keys, tmp_path, monkeypatch
):
    path = write(tmp_path / "a.mp4", keys)
    monkeypatch.setattr(verify, "sample_windows", lambda *_, **__: iter(()))
    found = verify_file(path, keys)
    assert "got none" in found.unreadable
    assert sum("not looked for" in line for line in found.lines()) == 2  # neither mark nor label


def test_a_strangers_words_cannot_move_the_cursor(keys, tmp_path):
    path = write(tmp_path / "a.png", keys)
    found = verify_file(path, keys)
    strange = Findings(
        found.target,
        c2pa_manifest.C2paReport("valid", generator="\x1b[2Jevil\n"),
        None,
        found.sidecar,
        found.mark,
        found.label,
    )
    assert "\x1b" not in "".join(strange.lines())


def test_a_manifest_with_senseless_contents_does_no_harm(keys, tmp_path, monkeypatch):
    # Signed and whole, but not what anybody would write.
    monkeypatch.setattr(RunRecord, "as_json", lambda run: {"session": ["not", "a", "number"]})
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), scenes.film(1, SIZE)[0])
    sign(path, record(), keys)
    report = read_manifest(path, keys.known_authority())
    assert (report.state, report.session) == ("trusted", None)


def sign(path, run, keys):
    signed = path.with_name("signed" + path.suffix)
    c2pa_manifest.sign_file(
        path, out=signed, title="a", run=run, source=None, credentials=keys.credentials()
    )
    signed.replace(path)


def test_a_manifest_of_another_program_is_named_and_no_session_is_made_up(
    keys, tmp_path, monkeypatch
):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), scenes.film(1, SIZE)[0])
    monkeypatch.setattr(c2pa_manifest, "PROGRAM", "paint")
    monkeypatch.setattr(c2pa_manifest, "_SESSION_ASSERTION", "org.example.note")
    monkeypatch.setattr(c2pa_manifest, "COMPOSITE", "http://cv.iptc.org/x/humanEdits")
    sign(path, record(), keys)
    monkeypatch.undo()
    found = verify_file(path, keys)
    assert found.c2pa.generator == "paint"
    assert (found.c2pa.state, found.c2pa.is_ai, found.c2pa.session) == ("trusted", False, None)
    assert (found.verdict, found.sessions) == ("not marked", frozenset())
    assert "made by paint" in "".join(found.lines())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_manifest_that_another_program_has_compressed_is_no_tampering(
    suffix, keys, tmp_path, monkeypatch
):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), scenes.film(1, SIZE)[0])
    with monkeypatch.context() as other:
        core = {**c2pa_manifest._SETTINGS["core"], "prefer_compress_manifests": True}
        other.setattr(c2pa_manifest, "_SETTINGS", {**c2pa_manifest._SETTINGS, "core": core})
        sign(path, record(), keys)
    content = path.read_bytes()
    assert b"brob" in content
    assert read_manifest(path, keys.known_authority()).state == "trusted"
    ours = write(tmp_path / f"b{suffix}", keys, source=path)
    assert read_manifest(ours, keys.known_authority()).state == "trusted"
    at = content.index(b"brob") + 500
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert verify_file(path, keys).verdict == "tampered"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_clear_error(keys, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(MediaError, match="must be readable"):
        verify_file(path, keys)
