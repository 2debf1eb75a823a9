"""PDF/A-3a and PDF/UA-1: by veraPDF where it is installed, else by the lesser check that is here.

The lesser check is pikepdf's validator for PDF/A-3b, which refuses whatever it doesn't know, and
our own look at the structure for what level A and PDF/UA-1 ask beyond that and that we rely on. It
knows nothing of colour contrast, of reading order or of whether a text says what is meant.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pikepdf.pdfa

PROFILES = ("3a", "ua1")

# What pikepdf says of every document of ours, and why it is no fault: it checks level B, where A is
# named; it knows no extension schemas (ISO 19005-3 section 6.6.2.3.3); empty maps stay.
_NO_FAULTS = {
    "pdfaid:conformance is 'A', expected 'B'",
    "XMP namespace pdfaExtension=http://www.aiim.org/pdfa/ns/extension/ is not permitted",
    "XMP namespace pdfaSchema=http://www.aiim.org/pdfa/ns/schema# is not permitted",
    "XMP namespace pdfaProperty=http://www.aiim.org/pdfa/ns/property# is not permitted",
    "XMP property pdfuaid:part is not permitted",
    "XMP property pdfaExtension:schemas is not permitted",
    "/Pattern: patterns are not supported",
    "/Shading: shadings are not supported",
}
# And of the seal, which its archival profile doesn't cover.
_OF_THE_SEAL = {
    "interactive forms (/AcroForm) are not supported",
    "permissions (/Perms) are not supported",
    "embedded files are not supported",
    "unrecognized key(s) /DSS are not checked",
}
_DRAWS = {
    *("Tj", "TJ", "'", '"', "Do", "sh", "S", "s", "f", "F", "f*", "B", "B*", "b", "b*", "EI"),
}
_LIST_PARTS = {"/L": {"/LI", "/L", "/Caption"}, "/LI": {"/Lbl", "/LBody"}}
_TABLE_PARTS = {
    "/Table": {"/THead", "/TBody", "/TFoot", "/TR", "/Caption"},
    "/TBody": {"/TR"},
    "/THead": {"/TR"},
    "/TR": {"/TH", "/TD"},
}
_HIDDEN = 2  # annotation flag, ISO 32000-1 table 165


def verapdf(pdf: bytes, folder: Path) -> list[str]:
    """Profiles that veraPDF finds the document not to meet; needs veraPDF on the path."""
    path = folder / "document.pdf"
    path.write_bytes(pdf)
    failed = []
    for profile in PROFILES:
        command = ["verapdf", "--flavour", profile, "--format", "xml", str(path)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if 'isCompliant="true"' not in said:
            failed.append(profile)
    return failed


def has_verapdf() -> bool:
    return shutil.which("verapdf") is not None


def shortcomings(pdf: bytes) -> list[str]:
    """What the lesser check finds wrong."""
    with pikepdf.open(BytesIO(pdf)) as document:
        found = [*_archival(pdf), *_declared(document), *_attached(document)]
        found += [*_marked(document), *_structured(document), *_annotated(document)]
    return found


def _archival(pdf: bytes) -> Iterator[str]:
    with pikepdf.open(BytesIO(pdf)) as document:
        known = _NO_FAULTS | (_OF_THE_SEAL if "/AcroForm" in document.Root else set())
    for finding in pikepdf.pdfa.validate_written(BytesIO(pdf), "3b").findings:
        if not any(text in str(finding) for text in known):
            yield str(finding)


def _declared(document: pikepdf.Pdf) -> Iterator[str]:
    """ISO 14289-1 sections 5, 7.1 and 7.2; ISO 19005-3 section 6.7."""
    root = document.Root
    with document.open_metadata() as metadata:
        marks = (metadata.get("pdfaid:part"), metadata.get("pdfaid:conformance"))
        if (*marks, metadata.get("pdfuaid:part")) != ("3", "A", "1"):
            yield "not marked as PDF/A-3a and PDF/UA-1"
        if not metadata.get("dc:title"):
            yield "no title in the metadata"
    if not root.get("/MarkInfo", {}).get("/Marked", False):
        yield "not marked as tagged"
    if root.get("/MarkInfo", {}).get("/Suspects", False):
        yield "tags are declared suspect"
    if not str(root.get("/Lang", "")):
        yield "no language"
    if not root.get("/ViewerPreferences", {}).get("/DisplayDocTitle", False):
        yield "the title isn't shown"
    if "/Outlines" not in root:
        yield "no bookmarks"
    if document.is_encrypted:
        yield "encrypted"


def _attached(document: pikepdf.Pdf) -> Iterator[str]:
    """ISO 19005-3 section 6.8, ISO 14289-1 section 7.11."""
    if "/EmbeddedFiles" not in document.Root.get("/Names", {}):
        if "/AF" in document.Root:
            yield "files are associated that aren't attached"
        return
    named = document.Root.Names.EmbeddedFiles.Names
    files = [named[position] for position in range(1, len(named), 2)]
    associated = [item.objgen for item in document.Root.AF]
    if sorted(associated) != sorted(item.objgen for item in files):
        yield "attachments and associated files differ, or one is named twice"
    for item in files:
        if not all(str(item.get(key, "")) for key in ("/F", "/UF", "/Desc", "/AFRelationship")):
            yield "an attachment lacks a name, a description or its relationship"
        stream = item.EF.F
        if not str(stream.get("/Subtype", "")) or "/ModDate" not in stream.get("/Params", {}):
            yield "an attachment lacks its type or date"


def _marked(document: pikepdf.Pdf) -> Iterator[str]:
    """Everything drawn is part of the structure or an artifact (ISO 14289-1 section 7.1)."""
    for number, page in enumerate(document.pages, start=1):
        if page.get("/StructParents") is None:
            yield f"page {number} has no place in the structure"
        open_ = 0
        for operands, operator in pikepdf.parse_content_stream(page):
            name = str(operator)
            if name in ("BDC", "BMC"):
                real = len(operands) < 2 or "/MCID" in operands[1] or operands[0] == "/Artifact"
                open_ += 1 if real else 1000
            elif name == "EMC":
                open_ -= 1
            elif name in _DRAWS and not 1 <= open_ < 1000:
                yield f"page {number} draws outside of the structure ({name})"
                break


def _structured(document: pikepdf.Pdf) -> Iterator[str]:
    """ISO 14289-1 sections 7.2 to 7.7: headings in order, figures with text, tables, lists."""
    tree = document.Root.get("/StructTreeRoot")
    if tree is None:
        yield "no structure"
        return
    if "/ParentTree" not in tree:
        yield "the structure has no way back from the pages"
    level, figures = 0, 0
    for element, parent in _elements(tree.get("/K"), ""):
        kind = str(element.S)
        if kind[:2] == "/H" and kind[2:].isdigit():
            if int(kind[2:]) > level + 1:
                yield f"heading {kind} skips a level"
            level = int(kind[2:])
        if kind == "/Figure":
            figures += 1
            if not str(element.get("/Alt", "")).strip():
                yield "a figure without alternative text"
        parts = {**_LIST_PARTS, **_TABLE_PARTS}.get(parent)
        if parts is not None and kind not in parts:
            yield f"{kind} in {parent}"
        if kind == "/TD" and not element.get("/A", {}).get("/Headers") and _has_headers(element):
            yield "a cell without its header"
    if figures == 0:
        yield "no figure at all"


def _has_headers(cell: Any) -> bool:
    """Whether the cell's table has any header; the one about the seal is a layout of two cells."""
    element = cell
    while str(element.get("/S", "")) != "/Table":
        element = element.P
    return any(str(item.S) == "/TH" for item, _ in _elements(element.K, "/Table"))


def _elements(node: Any, parent: str) -> Iterator[tuple[Any, str]]:
    if isinstance(node, pikepdf.Array):
        for child in node:
            yield from _elements(child, parent)
    elif isinstance(node, pikepdf.Dictionary) and "/S" in node:
        yield node, parent
        yield from _elements(node.get("/K"), str(node.S))


def _annotated(document: pikepdf.Pdf) -> Iterator[str]:
    """ISO 14289-1 section 7.18: none but the seal's, which shows nothing."""
    for page in document.pages:
        for note in page.get("/Annots", []):
            x, y, right, top = (float(number) for number in note.Rect)
            shown = not int(note.get("/F", 0)) & _HIDDEN and (right - x) * (top - y) > 0
            if shown or note.Subtype != "/Widget":
                yield "an annotation that shows"
            if page.get("/Tabs") != "/S":
                yield "a page with an annotation has no order of tabs"
