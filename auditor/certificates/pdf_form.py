"""The form of a PDF that a stranger handed in, read byte by byte before a PDF library sees it.

A PDF of ours is a row of revisions. Each is a row of numbered objects without gaps, of which the
last is the cross-reference stream that lists them all (ISO 32000-2 section 7.5.8). So nothing can
stand between objects, or twice, or beside what readers look up, and no stream unpacks to more than
its due. PDF libraries forgive all of that.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from auditor.errors import InvalidCertificateError

LARGEST_STREAM = 4 << 20
LARGEST_IN_ALL = 32 << 20
MOST_REVISIONS = 6  # the document, its seal, and what long-term validation adds to that
MOST_OBJECTS = 20_000

_HEADER = re.compile(rb"%PDF-1\.7\n%[^\r\n]{1,8}\n")
_OBJECT = re.compile(rb"(\d{1,10}) 0 obj\b")
_STREAM_OR_END = re.compile(rb"stream\r?\n|endobj")
_END_OF_STREAM = re.compile(rb"\s*endstream\s+endobj")
_BLANKS = re.compile(rb"[\0\t\n\f\r ]*")
_END = re.compile(rb"startxref\r?\n(\d{1,10})\r?\n%%EOF\r?\n?")
_LENGTH = re.compile(rb"/Length (\d{1,9})(?=[\s/>])")
_FILTER = re.compile(rb"/Filter\s*(\[[^\[\]]*\]|/[^\s/<>\[\]()]+)")
_TOKEN = re.compile(rb"<<|>>|<[^<>]*>|\((?:\\.|[^\\()])*\)|[%()<]", re.DOTALL)
_HEXADECIMAL = re.compile(rb"<[0-9A-Fa-f\s]*>")
_NAME = re.compile(rb"/([^\s/<>\[\](){}%]+)")
_SUBTYPE = re.compile(rb"/Subtype\s*/([^\s/<>\[\](){}%]+)")
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_ROW = re.compile(rb"/(W|Index)\s*\[([\d\s]*)\]")
_SIZE = re.compile(rb"/Size (\d{1,9})(?=[\s/>])")

# Actions, scripts, layers, media, forms that compute, encryption (ISO 32000-2 section 12.6 and
# others): a certificate needs none of them.
_ACTIVE = frozenset(
    (
        *(b"AA", b"OpenAction", b"JS", b"JavaScript", b"Launch", b"URI", b"GoToR", b"GoToE"),
        *(b"SubmitForm", b"ResetForm", b"ImportData", b"Named", b"Hide", b"SetOCGState"),
        *(b"Rendition", b"RichMedia", b"RichMediaExecute", b"Movie", b"Sound", b"XFA"),
        *(b"OC", b"OCProperties", b"Encrypt", b"DecodeParms", b"FFilter"),
    )
)
# Of annotations the seal's own field only; beside them fonts, drawings, metadata, and media types.
_SUBTYPES = frozenset((b"Widget", b"Type0", b"CIDFontType2", b"Form", b"XML"))


@dataclass(slots=True, kw_only=True)
class _Revision:
    places: dict[int, int] = field(default_factory=dict)  # object number -> where it starts
    last: int = 0
    header: bytes = b""  # of the object read last
    content: bytes = b""


def require_our_form(pdf: bytes) -> None:
    """Check that a file could have come from our own writers, as far as its form tells.

    Raises:
        InvalidCertificateError: bytes between objects, a number given twice, a cross-reference
            that says otherwise, a stream out of bounds, active content.
    """
    _Reading(pdf).read()


class _Reading:
    """A file read up to ``at``."""

    def __init__(self, pdf: bytes) -> None:
        self.pdf = pdf
        self.at = 0
        self.objects = 0
        self.unpacked = 0

    def read(self) -> None:
        start = _HEADER.match(self.pdf)
        if start is None:
            raise InvalidCertificateError("this is no PDF, or not one of ours")
        self.at, revisions = start.end(), 0
        while self.at < len(self.pdf):
            self._revision()
            revisions += 1
            if revisions > MOST_REVISIONS:
                raise _too_much()

    def _revision(self) -> None:
        revision = _Revision()
        while found := _OBJECT.match(self.pdf, self.at):
            number = int(found[1])
            if number in revision.places:
                raise InvalidCertificateError("two objects of the PDF have one number")
            revision.places[number], revision.last = self.at, number
            self.at = found.end()
            self._object(revision)
        end = _END.match(self.pdf, self.at)
        if end is None or revision.places.get(revision.last) != int(end[1]):
            raise _damaged()
        _require_listed(revision)
        self.at = end.end()

    def _object(self, revision: _Revision) -> None:
        """Read one object from behind its number."""
        self.objects += 1
        if self.objects > MOST_OBJECTS:
            raise _too_much()
        found = _STREAM_OR_END.search(self.pdf, self.at)
        if found is None:
            raise _damaged()
        revision.header, revision.content = self.pdf[self.at : found.start()], b""
        self.at = found.end()
        if found[0] != b"endobj":
            revision.content = self._stream(revision.header)
        _require_inactive(revision.header)
        if _is(b"ObjStm", revision.header):
            _require_inactive(revision.content)
        self._past(_BLANKS)

    def _stream(self, header: bytes) -> bytes:
        packed = self.pdf[self.at : self.at + _one(_LENGTH, header)]
        self.at += len(packed)
        self._past(_END_OF_STREAM)
        content = _unpacked(header, packed)
        self.unpacked += len(content)
        if self.unpacked > LARGEST_IN_ALL:
            raise _too_much()
        return content

    def _past(self, pattern: re.Pattern[bytes]) -> None:
        found = pattern.match(self.pdf, self.at)
        if found is None:
            raise _damaged()
        self.at = found.end()


def _unpacked(header: bytes, packed: bytes) -> bytes:
    filters = _FILTER.findall(header)
    if b"/Filter" not in header:
        content = packed
    elif filters == [b"/FlateDecode"]:
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(packed, LARGEST_STREAM + 1)
        except zlib.error:
            raise _damaged() from None
        if len(content) <= LARGEST_STREAM and (unpacker.unused_data or not unpacker.eof):
            raise _damaged()
    else:
        raise InvalidCertificateError("a part of the PDF is packed in an unknown way")
    if len(content) > LARGEST_STREAM:
        raise _too_much()
    return content


def _require_inactive(text: bytes) -> None:
    """Look at the names in a piece of PDF, outside of its strings."""
    plain = _TOKEN.sub(_plain, text)
    names = {_ESCAPED.sub(_character, name) for name in _NAME.findall(plain)}
    if names & _ACTIVE:
        raise InvalidCertificateError("the PDF holds actions, scripts, layers or media")
    kinds = {_ESCAPED.sub(_character, name) for name in _SUBTYPE.findall(plain)}
    if any(kind not in _SUBTYPES and b"/" not in kind for kind in kinds):
        raise InvalidCertificateError("the PDF holds annotations, or things that we never add")


def _plain(token: re.Match[bytes]) -> bytes:
    """What to read in a token's place: nothing for a string.

    What other readers might take for a string, or for none, is refused: comments, brackets that
    stand open or within each other, digits that are none (ISO 32000-2 sections 7.2.4 and 7.3.4).
    """
    found = token[0]
    if found in (b"<<", b">>"):
        return found
    if len(found) == 1 or (found[:1] == b"<" and not _HEXADECIMAL.fullmatch(found)):
        raise _damaged()
    return b" "


def _require_listed(revision: _Revision) -> None:
    """Hold the cross-reference stream against the objects that stand there."""
    if not _is(b"XRef", revision.header):
        raise _damaged()
    listed = dict(_listed(revision))
    if {**listed, revision.last: revision.places[revision.last]} != revision.places:
        raise InvalidCertificateError("the PDF's cross-reference says other than what stands there")


def _listed(revision: _Revision) -> Iterator[tuple[int, int]]:
    """Number and place of each object that the revision's cross-reference stream lists."""
    rows: Mapping[bytes, list[int]] = {
        name: [int(number) for number in numbers.split()]
        for name, numbers in _ROW.findall(revision.header)
    }
    size = _one(_SIZE, revision.header)
    widths, index = rows.get(b"W", []), rows.get(b"Index", [0, size])
    if len(widths) != 3 or widths[0] != 1 or len(index) % 2 or size > MOST_OBJECTS:
        raise _damaged()
    firsts, counts = index[::2], index[1::2]
    ends = map(sum, zip(firsts, counts, strict=True))
    if any(end > first for end, first in zip(ends, firsts[1:], strict=False)):
        raise _damaged()  # a number could be listed twice
    if sum(counts) > MOST_OBJECTS or sum(counts) * sum(widths) != len(revision.content):
        raise _damaged()
    at = 0
    for first, count in zip(firsts, counts, strict=True):
        for number in range(first, first + count):
            row = revision.content[at : at + sum(widths)]
            at += len(row)
            if row[0] == 1:  # 0 is free, 2 lies in an object stream
                yield number, int.from_bytes(row[1 : 1 + widths[1]], "big")


def _one(pattern: re.Pattern[bytes], header: bytes) -> int:
    """The one number that the pattern finds."""
    found = pattern.findall(header)
    if len(found) != 1:
        raise _damaged()
    return int(found[0])


def _is(kind: bytes, header: bytes) -> bool:
    return re.search(rb"/Type\s*/" + kind + rb"\b", header) is not None


def _character(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def _too_much() -> InvalidCertificateError:
    return InvalidCertificateError("the PDF holds more than any that is ever issued")


def _damaged() -> InvalidCertificateError:
    return InvalidCertificateError("the PDF is damaged, or not one of ours")
