import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from realtime.provenance.aigc import AigcLabel, aigc_json, parse_aigc, parse_xmp, xmp_packet
from realtime.provenance.run_record import RunRecord

RUN = RunRecord(
    session=0x1A2B3C4D,
    label="eu",
    strength="standard",
    producer="001191610133596325171T12566",
    started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    version="1.2.3",
)


def test_the_label_has_the_seven_keys_of_the_standard_and_nothing_but_strings():
    values = json.loads(aigc_json(RUN))
    assert values == {
        "Label": "1",
        "ContentProducer": "001191610133596325171T12566",
        "ProduceID": "rt-swap-1a2b3c4d-20260102T030405Z",
        "ReservedCode1": "",
        "ContentPropagator": "001191610133596325171T12566",
        "PropagateID": "rt-swap-1a2b3c4d-20260102T030405Z",
        "ReservedCode2": "",
    }


def test_values_are_printable_ascii_without_space_quote_and_backslash():
    for value in json.loads(aigc_json(RUN)).values():
        assert all("!" <= character <= "~" for character in value)
        assert not set(value) & {'"', "\\"}


def test_what_is_written_is_read_back():
    expected = AigcLabel(True, "001191610133596325171T12566", "1a2b3c4d")
    assert parse_aigc(aigc_json(RUN)) == expected
    assert parse_xmp(xmp_packet(RUN)) == expected


def test_a_visible_label_that_was_turned_off_is_said_in_the_file_itself():
    run = replace(RUN, label="off")
    assert json.loads(aigc_json(run))["ReservedCode1"] == "visible-label=off"
    for found in (parse_aigc(aigc_json(run)), parse_xmp(xmp_packet(run))):
        assert found is not None
        assert found.unlabelled
    assert b"The visible label was turned off." in xmp_packet(run)
    assert not parse_aigc(aigc_json(RUN)).unlabelled
    assert "visible label" not in RUN.comment()


def test_a_label_of_somebody_else_has_no_session():
    values = json.loads(aigc_json(RUN)) | {"ProduceID": "42", "Label": "2"}
    found = parse_aigc(json.dumps(values))
    assert found == AigcLabel(False, RUN.producer, None)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"Label": 1}', "[" * 100_000, '{"Label": "' + "x" * 5000 + '"}'],
)
def test_what_is_no_label_is_none(text: str):
    assert parse_aigc(text) is None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xff\xfe\x00",
        b'TC260:AIGC="x"',
        b'http://www.tc260.org.cn/ns/AIGC/1.0/ TC260:AIGC="' + b"&" * 10_000 + b'"',
        b"http://www.tc260.org.cn/ns/AIGC/1.0/" + b'a:AIGC="' * 20_000,
    ],
)
def test_a_strange_packet_holds_no_label(packet: bytes):
    assert parse_xmp(packet) is None


@pytest.mark.parametrize("part", [b"a", b":AIGC", b":AIGC ", b":AIGC=", b":AIGC>", b'a:AIGC="'])
def test_a_packet_made_to_take_long_does_not(part: bytes):
    packet = b"http://www.tc260.org.cn/ns/AIGC/1.0/" + part * (50_000_000 // len(part))
    began_s = time.process_time()
    assert parse_xmp(packet) is None
    assert time.process_time() - began_s < 10  # hours, if time grew with the square of the length


@pytest.mark.parametrize(
    "written",
    [
        "<T:AIGC>{escaped}</T:AIGC>",
        '<d T:AIGC="{escaped}"/>',
        "<d T:AIGC = '{plain}'/>",
        '<d xmlns:AIGC="http://www.tc260.org.cn/ns/AIGC/1.0/"/><AIGC:AIGC>{escaped}</AIGC:AIGC>',
    ],
)
def test_a_label_is_read_however_xml_lets_it_be_written(written: str):
    plain = aigc_json(RUN)
    text = written.format(plain=plain, escaped=plain.replace('"', "&quot;"))
    packet = f'<a xmlns:T="http://www.tc260.org.cn/ns/AIGC/1.0/">{text}</a>'
    found = parse_xmp(packet.encode())
    assert found is not None
    assert found.session == "1a2b3c4d"
