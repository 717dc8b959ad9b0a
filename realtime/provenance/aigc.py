"""The implicit label of GB 45438-2025: one JSON object under the name ``AIGC`` in a file.

Clause 6.1 and appendix E of the standard: seven keys, all values strings of printable ASCII. In MP4
and Matroska the object is a metadata tag; in pictures it is an XMP property of the namespace that
TC260 has published.
"""

import json
import re
from dataclasses import dataclass
from html import escape, unescape

from realtime.provenance.run_record import COMPOSITE, RunRecord

TAG = "AIGC"
PRODUCER_PATTERN = r"^[!#-\[\]-~]{1,64}$"
"""What may name a producer: printable ASCII without space, quote and backslash."""

_NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_IPTC_NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_KEYS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
_CERTAIN = "1"  # "is generated"; 2 means possibly, 3 suspected
_ID_PREFIX = "rt-swap-"
_UNLABELLED = "visible-label=off"
"""Stands in the first reserved field, which the producer may use as they like."""
_MAX_BYTES = 4096
_MAX_PACKET_BYTES = 1 << 20
_PROPERTY = re.compile(
    rb""":AIGC(?:\s*=\s*(?:"(?P<quoted>[^"<]{1,4096}+)"|'(?P<single>[^'<]{1,4096}+)')"""
    rb"""|>(?P<element>[^<]{1,4096}+)</)"""
)
"""The property as an attribute or an element; nothing in it makes a search go back or look far."""


@dataclass(frozen=True, slots=True)
class AigcLabel:
    """An implicit label that was read.

    Attributes:
        certain: whether it says that the content is generated, not only that it may be.
        producer: who made it, as the label names them.
        session: eight hexadecimal digits where this program wrote it.
        unlabelled: whether it says that the visible label was turned off.
    """

    certain: bool
    producer: str
    session: str | None
    unlabelled: bool = False


def aigc_json(run: RunRecord) -> str:
    """The label of what a run makes; who first passes it on is its maker."""
    produce_id = f"{_ID_PREFIX}{run.session_id}-{run.started:%Y%m%dT%H%M%SZ}"
    note = "" if run.has_label else _UNLABELLED
    values = (_CERTAIN, run.producer, produce_id, note, run.producer, produce_id, "")
    return json.dumps(dict(zip(_KEYS, values, strict=True)), separators=(",", ":"))


def parse_aigc(text: str) -> AigcLabel | None:
    """Reads a label; None for anything that is none."""
    if len(text) > _MAX_BYTES:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(isinstance(values.get(key), str) for key in _KEYS):
        return None
    found = re.fullmatch(rf"{_ID_PREFIX}([0-9a-f]{{8}})-\w*", values["ProduceID"])
    return AigcLabel(
        certain=values["Label"] == _CERTAIN,
        producer=values["ContentProducer"],
        session=found[1] if found else None,
        unlabelled=found is not None and values["ReservedCode1"] == _UNLABELLED,
    )


def xmp_packet(run: RunRecord) -> bytes:
    """The label, IPTC's digital source type and a description as an XMP packet for pictures."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' xmlns:Iptc4xmpExt="{_IPTC_NAMESPACE}" xmlns:TC260="{_NAMESPACE}"'
        f' Iptc4xmpExt:DigitalSourceType="{COMPOSITE}"'
        f' TC260:{TAG}="{escape(aigc_json(run))}">'
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">'
        f"{escape(run.comment())}</rdf:li></rdf:Alt></dc:description>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def parse_xmp(packet: bytes) -> AigcLabel | None:
    """The label in an XMP packet, written as an attribute or as an element; None without one.

    The packet is searched, not parsed, as a stranger's XML may be made to do harm.
    """
    packet = packet[:_MAX_PACKET_BYTES]
    if _NAMESPACE.encode() not in packet:
        return None
    for found in _PROPERTY.finditer(packet):
        text = found["quoted"] or found["single"] or found["element"]
        label = parse_aigc(unescape(text.decode("utf-8", "replace")))
        # What has the name only, as the declaration of a prefix may, is not it.
        if label is not None:
            return label
    return None
