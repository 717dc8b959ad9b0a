import pytest

from realtime.provenance.manifest_box import MalformedError, check_store
from realtime.provenance.manifest_place import check_embedding, file_type_sha256, has_traces

TAIL = bytes.fromhex("00110010800000aa00389b71")
SIGNATURE = b"\xd2\x84\x41\x00\xa1\x63pad\x44\0\0\0\0\xf6\x41\x00"


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + kind + content


def boxes(kind: bytes, name: bytes, *contents: bytes, toggles=3, more=b"", tail=TAIL) -> bytes:
    about = box(b"jumd", kind + tail + bytes([toggles]) + name + b"\0" + more)
    return box(b"jumb", about + b"".join(contents))


def store(signature=SIGNATURE, kind=b"c2cs", name=b"c2pa.signature", **options) -> memoryview:
    signed = boxes(kind, name, box(b"cbor", signature), **options)
    claim = boxes(b"c2cl", b"c2pa.claim.v2", box(b"cbor", b"anything"))
    assertions = boxes(b"c2as", b"c2pa.assertions", boxes(b"cbor", b"c2pa.hash.data"))
    manifest = boxes(b"c2ma", b"urn:c2pa:1", assertions, claim, signed)
    return memoryview(boxes(b"c2pa", b"c2pa", manifest))


def test_a_whole_store_has_nothing_wrong_with_it():
    check_store(store())


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": SIGNATURE.replace(b"\x44\0", b"\x44\1")},
        {"signature": SIGNATURE.replace(b"pad", b"pae")},
        {"signature": SIGNATURE + b"\0"},
        {"signature": SIGNATURE[1:]},
        {"signature": b"\xd2\x82\x41\x00\xf6"},
        {"signature": b"\x5f"},
        {"name": b"c2pa.signaturf"},
        {"tail": TAIL[:-1] + b"\x70"},
        {"toggles": 1},
        {"toggles": 3 + 32},
        {"toggles": 3 + 4},
        {"toggles": 3 + 4, "more": b"12345"},
        {"toggles": 3 + 8, "more": b"1234"},
        {"more": b"x"},
    ],
)
def test_what_c2pa_does_not_allow_is_refused(changes):
    with pytest.raises(MalformedError):
        check_store(store(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"toggles": 3 + 4, "more": b"1234"},
        {"toggles": 3 + 8, "more": b"h" * 32},
        {"toggles": 3 + 16, "more": box(b"c2sh", b"salt")},
        {"signature": SIGNATURE.replace(b"pad", b"pad2").replace(b"\x63", b"\x64")},
        {"signature": b"\xd2\x84\x41\x00\xa1\x67sigTst2\xa0\xf6\x41\x00"},
        {"kind": b"abcd", "name": b"somebody's own"},
    ],
)
def test_what_c2pa_allows_others_is_let_pass(changes):
    check_store(store(**changes))


def test_a_compressed_manifest_is_one_box_of_brotli():
    def packed(*contents: bytes) -> memoryview:
        return memoryview(boxes(b"c2pa", b"c2pa", boxes(b"c2cm", b"urn:c2pa:1", *contents)))

    check_store(packed(box(b"brob", b"anything")))
    for contents in ([], [box(b"brox", b"")], [box(b"brob", b""), box(b"free", b"")]):
        with pytest.raises(MalformedError, match="one box of Brotli"):
            check_store(packed(*contents))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\7jumb",
        b"\0\0\0\xffjumb",
        box(b"jumb", b""),
        box(b"free", b""),
        box(b"jumb", box(b"jumd", b"")),
        bytes(store()) * 2,
        boxes(b"c2ma", b"urn"),
        boxes(b"c2pa", b"c2pa", boxes(b"c2cl", b"c2pa.claim")),
        bytes(store())[:-1],
    ],
)
def test_what_is_no_store_is_refused(data):
    with pytest.raises(MalformedError):
        check_store(memoryview(data))


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"\xff\xd8\xff\xeb\0\1", b"\xff\xd8\xff"])
def test_a_file_without_a_store_in_its_place_is_refused(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MalformedError, match="no manifest where it must be"):
        check_embedding(path, own=True)


UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def film(flags=bytes(4), purpose=b"manifest", offset=0, behind=b"", body=None) -> bytes:
    inside = UUID + flags + purpose + b"\0" + offset.to_bytes(8) + bytes(body or store())
    return box(b"ftyp", b"isom") + box(b"uuid", bytes(40)) + box(b"uuid", inside) + behind


def test_boxes_of_others_and_further_boxes_of_c2pa_are_let_pass(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(film())
    check_embedding(path, own=False)
    merkle = box(b"uuid", UUID + b"merkle")
    path.write_bytes(film(offset=len(film()), behind=merkle + b"\0\0\0\1mdat" + bytes(8)))
    check_embedding(path, own=False)


@pytest.mark.parametrize(
    "content",
    [film(flags=b"\0\0\0\1"), film(offset=5), film(offset=10**9), film(purpose=b"manifesu")],
)
def test_a_changed_head_of_the_box_in_a_film_is_refused(content, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(MalformedError):
        check_embedding(path, own=False)


def test_the_file_type_is_the_first_box_of_a_film_only(tmp_path):
    path = tmp_path / "a"
    for content in (b"", b"\x89PNG", box(b"moov", b""), b"\0\1\0\0ftyp"):
        path.write_bytes(content)
        assert file_type_sha256(path) is None
    path.write_bytes(film())
    first = file_type_sha256(path)
    path.write_bytes(film(flags=b"\1\1\1\1"))
    assert file_type_sha256(path) == first is not None


def test_what_is_left_of_a_manifest_is_a_trace_of_it(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert not has_traces(path)
    path.write_bytes(bytes(3_000_000) + b"c2pa.claim" + bytes(3_000_000))
    assert has_traces(path)
    path.write_bytes(bytes(3_000_000))
    assert not has_traces(path)
