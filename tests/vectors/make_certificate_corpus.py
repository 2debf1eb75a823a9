"""Makes ``tests/vectors/certificates/``: `python -m tests.vectors.make_certificate_corpus`.

One true document, what a regulator has beside it, and a twin for every attack of which we know.
``index.json`` says what each verifier has to find; it is written here by hand, never taken over
from what a verifier found. Where the issuer's own seal is on a forgery, the attack is the issuer's
(or of whoever has the seal): else the seal would refuse it before what it is there to show.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from auditor.certificates.facts import Approval, DocumentFacts, SealFacts, ServedFacts
from auditor.certificates.render import render_certificate
from auditor.certificates.seal import Seal, load_seal, make_test_seal
from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.sealing import TrustedTime, seal_pdf
from auditor.certificates.served import ANSWER_TYPE, answer_bytes, challenge_of
from auditor.certificates.statement import (
    ENVELOPE,
    PAYLOAD_TYPE,
    PROOF,
    parse_statement,
    statement_bytes,
)
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.event import CertificateIssued, CertificatePrepared
from auditor.domain.paper_events import WithdrawalReason
from auditor.domain.verdict import Verdict
from auditor.proof.checkpoint import parse_checkpoint, sign_checkpoint
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.proof.note import COSIGNATURE_ED25519, note_key
from auditor.proof.signing import ED25519, ML_DSA_65, Signer, generate_private_key, load_signer
from auditor.proof.tlog_proof import carried_note
from auditor.proof.trust import StatementKey, TrustFile, parse_trust, trust_bytes
from auditor.workflow.documents.certificate_life import sign_status, supersede, withdraw
from auditor.workflow.documents.notary import prove_event
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, record
from tests.certificates.conftest import Issued, issue_record
from tests.certificates.examples import exact, failed, refused
from tests.certificates.sealers import Sealer, sealer
from tests.certificates.test_seal_levels import ABOVE, _unstamped, _with_cms
from tests.cli.conftest import stock

FOLDER = Path(__file__).parent / "certificates"
CONTROLLER = "Universitätsklinikum Lindenau"

VALID, UNKNOWN, INVALID = "VALID", "VALID_STATUS_UNKNOWN", "INVALID"
_STARTXREF = re.compile(rb"startxref\n(\d+)\n%%EOF\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """A document and what lies beside it."""

    pdf: bytes
    payload: bytes
    envelope: bytes
    proof: str
    sidecar: str

    @property
    def predicate(self) -> Mapping[str, Any]:
        return parse_statement(self.payload)["predicate"]


@dataclass(slots=True)
class Corpus:
    """Files by name, and the index."""

    now: datetime
    files: dict[str, bytes] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        name: str,
        attack: str,
        pdf: bytes,
        *,
        auditor: tuple[str, str],
        page: str,
        trust: str = "trust.json",
        proof: str = "",
        status: str = "",
        status_held: bool = False,
    ) -> None:
        """One case.

        Args:
            auditor: status that `auditor verify` has to give, and the check that fails, if any.
            page: the check that fails in `verify.html`, if any.
            trust, proof, status: names of files beside the document.
            status_held: whether the page can tell that the document is good.
        """
        same = next((known for known, content in self.files.items() if content == pdf), "")
        file = same or f"{name}.pdf"
        self.files[file] = pdf
        self.cases.append(
            {
                "name": name,
                "attack": attack,
                "pdf": file,
                "trust": trust,
                "proof": proof,
                "status": status,
                "auditor": {"status": auditor[0], "failed": auditor[1]},
                "page": {"failed": page, "status": "held" if status_held else "open"},
            }
        )

    def write(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        index = {"now": self.now.isoformat(), "cases": self.cases}
        text = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
        (folder / "index.json").write_text(text, encoding="utf-8")
        (folder / ".gitattributes").write_text("* -text\n", encoding="utf-8")


# Making documents -----------------------------------------------------------------------------


def _home(folder: Path) -> Home:
    """A home whose keys are old enough for a status of two months ago."""
    long_ago = datetime.now(UTC) - timedelta(days=90)
    create_home(folder, controller=CONTROLLER, dpo="DPO office", clock=lambda: long_ago).close()
    return open_home(folder)


def papers_of(issued: Issued) -> Papers:
    attached = read_sealed_pdf(issued.pdf).attachments
    keys = [key.verifier() for key in issued.home.trust.statement_keys if key.role == "statement"]
    return Papers(
        pdf=issued.pdf,
        payload=verify_envelope(attached[ENVELOPE], keys).payload,
        envelope=attached[ENVELOPE],
        proof=attached[PROOF].decode(),
        sidecar=issued.sidecar,
    )


def issued_of(
    home: Home,
    facts: DocumentFacts,
    *,
    signers: tuple[Signer, ...] = (),
    seal: Seal | None = None,
    trusted: TrustedTime | None = None,
) -> Papers:
    """A document of these facts, put on the books like any other."""
    payload = statement_bytes(facts)
    envelope = sign_envelope(PAYLOAD_TYPE, payload, signers or home.statement_signers)
    case, outcome = facts.request.case, facts.outcome
    prepared = CertificatePrepared(case=case, outcome=outcome, envelope=Digest.of(envelope))
    record(home, case_stream(case), prepared, "prepared")
    proof = prove_event(home, case, prepared)
    pdf = seal_pdf(drawn(payload, envelope, proof), seal or home.seal, trusted)
    issued = CertificateIssued(case=case, outcome=outcome, pdf=Digest.of(pdf))
    record(home, case_stream(case), issued, "issued")
    sidecar = prove_event(home, case, issued)
    return Papers(pdf=pdf, payload=payload, envelope=envelope, proof=proof, sidecar=sidecar)


def drawn(payload: bytes, envelope: bytes, proof: str, **changes: object) -> bytes:
    """The pages of a statement, changed at will, with these attachments; not sealed."""
    shown = json.loads(payload)["predicate"] | changes
    return render_certificate(shown, str(Digest.of(payload)), envelope, proof)


def facts_of(facts: DocumentFacts, home: Home, number: int) -> DocumentFacts:
    """An example's facts, as of a case of its own, today."""
    today = datetime.now(UTC).date()
    return replace(
        facts,
        issued=today,
        request=replace(facts.request, case=f"{number:016x}"),
        parties=replace(facts.parties, controller=home.config.controller),
    )


# Changing PDFs --------------------------------------------------------------------------------


def flipped(pdf: bytes, place: int, bit: int = 0x10) -> bytes:
    changed = bytearray(pdf)
    changed[place] ^= bit
    return bytes(changed)


def _digit_before(pdf: bytes, place: int) -> int:
    """The nearest place before this one with a digit of 0 to 9, which stays one under a flip."""
    return next(at for at in range(place, 0, -1) if pdf[at : at + 1].isdigit())


def amended(pdf: bytes, change: Callable[[IncrementalPdfFileWriter], object]) -> bytes:
    """A further revision at the end of the file."""
    writer = IncrementalPdfFileWriter(BytesIO(pdf))
    change(writer)
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


def _script(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/OpenAction"] = generic.DictionaryObject(
        {
            generic.NameObject("/S"): generic.NameObject("/JavaScript"),
            generic.NameObject("/JS"): generic.TextStringObject("app.alert(1)"),
        }
    )
    writer.update_root()


def _launch(writer: IncrementalPdfFileWriter) -> None:
    action = generic.DictionaryObject(
        {
            generic.NameObject("/S"): generic.NameObject("/Launch"),
            generic.NameObject("/F"): generic.TextStringObject("calc.exe"),
        }
    )
    place = writer.root["/Pages"]["/Kids"].raw_get(0)
    place.get_object()[generic.NameObject("/Next")] = action
    writer.mark_update(place)


def _layers(writer: IncrementalPdfFileWriter) -> None:
    group = writer.add_object(
        generic.DictionaryObject(
            {
                generic.NameObject("/Type"): generic.NameObject("/OCG"),
                generic.NameObject("/Name"): generic.TextStringObject("hidden"),
            }
        )
    )
    off = generic.DictionaryObject({generic.NameObject("/OFF"): generic.ArrayObject([group])})
    writer.root["/OCProperties"] = generic.DictionaryObject(
        {
            generic.NameObject("/OCGs"): generic.ArrayObject([group]),
            generic.NameObject("/D"): off,
        }
    )
    writer.update_root()


def _overlay(writer: IncrementalPdfFileWriter) -> None:
    note = generic.DictionaryObject(
        {
            generic.NameObject("/Type"): generic.NameObject("/Annot"),
            generic.NameObject("/Subtype"): generic.NameObject("/FreeText"),
            generic.NameObject("/Rect"): generic.ArrayObject(
                [generic.NumberObject(each) for each in (100, 600, 500, 700)]
            ),
            generic.NameObject("/Contents"): generic.TextStringObject("PASSED"),
            generic.NameObject("/DA"): generic.TextStringObject("/Helv 40 Tf 0 g"),
        }
    )
    place = writer.root["/Pages"]["/Kids"].raw_get(0)
    place.get_object()[generic.NameObject("/Annots")] = generic.ArrayObject(
        [writer.add_object(note)]
    )
    writer.mark_update(place)


def _other_page(writer: IncrementalPdfFileWriter) -> None:
    content = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    place = writer.root["/Pages"]["/Kids"].raw_get(0)
    place.get_object()[generic.NameObject("/Contents")] = content
    writer.mark_update(place)


def _no_seal(writer: IncrementalPdfFileWriter) -> None:
    for name in ("/AcroForm", "/Perms"):
        del writer.root[name]
    writer.update_root()


def _file(writer: IncrementalPdfFileWriter, content: bytes, name: str) -> generic.PdfObject:
    stream = generic.StreamObject(
        {generic.NameObject("/Type"): generic.NameObject("/EmbeddedFile")}, stream_data=content
    )
    stream.compress()
    embedded = generic.DictionaryObject({generic.NameObject("/F"): writer.add_object(stream)})
    return writer.add_object(
        generic.DictionaryObject(
            {
                generic.NameObject("/Type"): generic.NameObject("/Filespec"),
                generic.NameObject("/F"): generic.TextStringObject(name),
                generic.NameObject("/UF"): generic.TextStringObject(name),
                generic.NameObject("/EF"): embedded,
            }
        )
    )


def with_files(*files: tuple[str, bytes] | str) -> Callable[[IncrementalPdfFileWriter], None]:
    """Set the list of attachments; one named without content is kept as it is."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        tree = writer.root["/Names"]["/EmbeddedFiles"]
        names = tree["/Names"]
        kept = {str(names[at]): names.raw_get(at + 1) for at in range(0, len(names), 2)}
        listed: list[generic.PdfObject] = []
        for file in files:
            name, content = (file, None) if isinstance(file, str) else file
            place = kept[name] if content is None else _file(writer, content, name)
            listed += [generic.TextStringObject(name), place]
        tree[generic.NameObject("/Names")] = generic.ArrayObject(listed)
        writer.mark_update(writer.root["/Names"].raw_get("/EmbeddedFiles"))

    return change


def with_object_twice(pdf: bytes) -> bytes:
    """The first revision once more, with its first object given again just before the table."""
    (tail,) = _STARTXREF.finditer(pdf)
    table = int(tail[1])
    again = re.search(rb"(\d+) 0 obj.*?endobj\n", pdf, re.DOTALL)
    assert again is not None
    header, packed = pdf[table:].split(b"stream\n", 1)
    size = int(re.findall(rb"/Length (\d+)", header)[0])
    rows = bytearray(zlib.decompress(packed[:size]))
    widths = [int(width) for width in re.findall(rb"/W \[([\d ]+)\]", header)[0].split()]
    number, moved = int(header.split(b" ", 1)[0]), table + len(again[0])
    row = number * sum(widths)  # of the table itself, which is moved by what stands before it now
    rows[row + 1 : row + 1 + widths[1]] = moved.to_bytes(widths[1], "big")
    content = zlib.compress(bytes(rows), 9)
    header = re.sub(rb"/Length \d+", b"/Length %d" % len(content), header)
    closing_words = packed[size:].replace(b"%d" % table, b"%d" % moved)
    return pdf[:table] + again[0] + header + b"stream\n" + content + closing_words


def with_huge_table(pdf: bytes) -> bytes:
    """A further revision whose cross-reference claims two thousand million entries."""
    last = int(_STARTXREF.findall(pdf)[-1])
    rows = zlib.compress(bytes(11))
    here = len(pdf)
    return pdf + (
        b"900 0 obj\n<</Type /XRef/Index [0 2000000000]/W [1 8 2]/Size 2000000001/Root 2 0 R"
        b"/Prev %d/Filter /FlateDecode/Length %d>>\nstream\n%s\nendstream\nendobj\n"
        b"startxref\n%d\n%%%%EOF\n" % (last, len(rows), rows, here)
    )


# The corpus -----------------------------------------------------------------------------------


def make(folder: Path) -> Corpus:
    """Issue the documents in homes of their own, and forge their twins."""
    corpus = Corpus(now=datetime.now(UTC).replace(microsecond=0))
    with (
        closing(_home(folder / "home")) as home,
        closing(_home(folder / "other")) as other,
    ):
        stock(home)
        stock(other)
        good, second = issue_record(home), issue_record(home)
        stranger = issued_of(other, facts_of(brief(), other, 0x5403))
        one, two = papers_of(good), papers_of(second)
        short = issued_of(home, facts_of(brief(), home, 0x5403))
        attempt = issued_of(home, facts_of(trimmed(failed()), home, 0xFA11ED))
        corpus.files["trust.json"] = home.trust_path.read_bytes()
        corpus.files["good.tlog-proof"] = one.sidecar.encode()
        trust = parse_trust(corpus.files["trust.json"])
        _good(corpus, one, short, attempt)
        _bytes(corpus, short)
        _attachments(corpus, home, short, two)
        _added(corpus, home, short)
        _levels(corpus, home, trust, sealer(folder))
        _evidence(corpus, home, short, two, attempt)
        _strangers(corpus, one, short, stranger)
        _trust_files(corpus, home, one, trust)
        _approvals(corpus, home, one, trust)
        _served(corpus, home, trust)
        _statuses(corpus, home, good, second)
    return corpus


def brief() -> DocumentFacts:
    """Facts of a document that is kept short, as most files here are twins of one."""
    return trimmed(refused())


def trimmed(facts: DocumentFacts) -> DocumentFacts:
    """The same without what only adds to its length."""
    return replace(facts, findings=(), inventory=(), controls=())


def _good(corpus: Corpus, one: Papers, short: Papers, attempt: Papers) -> None:
    corpus.add(
        "good", "none: a true document with its proof of issue", one.pdf,
        proof="good.tlog-proof", auditor=(UNKNOWN, ""), page="",
    )  # fmt: skip
    corpus.add("good-alone", "none: a true document alone", one.pdf, auditor=(UNKNOWN, ""), page="")
    corpus.files["short.tlog-proof"] = short.sidecar.encode()
    corpus.add(
        "short", "none: a true document with little to say", short.pdf,
        proof="short.tlog-proof", auditor=(UNKNOWN, ""), page="",
    )  # fmt: skip
    corpus.files["failed.tlog-proof"] = attempt.sidecar.encode()
    corpus.add(
        "failed", "none: the true record of an attempt that FAILED", attempt.pdf,
        proof="failed.tlog-proof", auditor=(UNKNOWN, ""), page="",
    )  # fmt: skip


def _bytes(corpus: Corpus, one: Papers) -> None:
    """Bytes exchanged, added or cut off after sealing."""
    pdf = one.pdf
    places = {
        "page": pdf.index(b"stream\n", pdf.index(b"stream\n") + 9) + 500,
        "statement": pdf.index(b"/EmbeddedFile") + 2_000,
        "catalog": pdf.rindex(b"/Lang"),
    }
    for part, place in places.items():
        corpus.add(
            f"bit-flip-{part}", f"one bit of the {part} flipped", flipped(pdf, place),
            auditor=(INVALID, "form"), page="form" if part == "catalog" else "bytes",
        )  # fmt: skip
    corpus.add(
        "bit-flip-seal", "one bit of the seal's signature flipped; a proof of issue shows it",
        flipped(pdf, _digit_before(pdf, pdf.index(b"00000000000000000000") - 40), 0x01),
        proof="short.tlog-proof", auditor=(INVALID, "seal"), page="issue",
    )  # fmt: skip
    first_end = _STARTXREF.search(pdf)
    assert first_end is not None
    for name, attack, twin in (
        ("trailing-bytes", "bytes added after the end", pdf + b"% A\n%%EOF\n"),
        ("cut-off", "the last bytes cut off", pdf[:-200]),
        ("rolled-back", "cut back to the revision before the seal", pdf[: first_end.end()]),
        ("empty", "an empty PDF", b"%PDF-1.7\n%%EOF\n"),
        ("revision-added", "an empty revision added after the seal", amended(pdf, _touched)),
        ("seal-stripped", "a revision added that drops the seal", amended(pdf, _no_seal)),
        ("overlay-added", "a note laid over the page after sealing", amended(pdf, _overlay)),
        ("page-replaced", "the page's content replaced after sealing", amended(pdf, _other_page)),
        ("huge-table", "a revision whose table claims 2,000,000,000 entries", with_huge_table(pdf)),
    ):
        corpus.add(name, attack, twin, auditor=(INVALID, "form"), page="form")


def _touched(writer: IncrementalPdfFileWriter) -> None:
    writer.update_root()


def _attachments(corpus: Corpus, home: Home, one: Papers, two: Papers) -> None:
    plain = drawn(one.payload, one.envelope, one.proof)
    bomb = bytes(5 << 20)
    other = (ENVELOPE, two.envelope)
    corpus.add(
        "attachment-replaced", "another statement attached after sealing",
        amended(one.pdf, with_files(other, PROOF)), auditor=(INVALID, "form"), page="form",
    )  # fmt: skip
    for name, attack, files, check in (
        ("attachment-stripped", "without its ledger proof", (ENVELOPE,), "attachments"),
        ("attachment-added", "a third attachment", (ENVELOPE, PROOF, ("a", b"A")), "attachments"),
        ("attachment-twice", "two attachments of one name", (ENVELOPE, PROOF, other), "form"),
        ("flate-bomb", "an attachment that unpacks to 5 MiB", ((ENVELOPE, bomb), PROOF), "form"),
    ):
        sealed = seal_pdf(amended(plain, with_files(*files)), home.seal)
        page = "attachments"
        corpus.add(name, f"{attack}, sealed", sealed, auditor=(INVALID, check), page=page)


def _added(corpus: Corpus, home: Home, one: Papers) -> None:
    """What a certificate never holds, put in before it was sealed."""
    plain = drawn(one.payload, one.envelope, one.proof)
    for name, attack, twin in (
        ("script", "a script that runs on opening", amended(plain, _script)),
        ("launch", "an action that starts a program", amended(plain, _launch)),
        ("layers", "a layer that is switched off", amended(plain, _layers)),
        ("overlay", "a note laid over the page", amended(plain, _overlay)),
        ("object-twice", "two objects of one number", with_object_twice(plain)),
    ):
        sealed = seal_pdf(twin, home.seal)
        corpus.add(name, f"{attack}, sealed", sealed, auditor=(INVALID, "form"), page="form")


def _evidence(corpus: Corpus, home: Home, one: Papers, two: Papers, attempt: Papers) -> None:
    """The issuer's own seal over something that wasn't signed, or isn't in the ledger."""

    def sealed(payload: bytes, envelope: bytes, proof: str, **changes: object) -> bytes:
        return seal_pdf(drawn(payload, envelope, proof, **changes), home.seal)

    corpus.files["second.tlog-proof"] = two.sidecar.encode()
    pasted = seal_pdf(
        render_certificate(one.predicate, str(Digest.of(one.payload)), two.envelope, two.proof),
        home.seal,
    )
    corpus.add(
        "pasted", "pages of one document, evidence of another, sealed", pasted,
        proof="second.tlog-proof", auditor=(INVALID, "pages"), page="issue",
    )  # fmt: skip
    corpus.add(
        "pasted-alone", "the same, without a proof of issue: the page can't see it", pasted,
        auditor=(INVALID, "pages"), page="",
    )  # fmt: skip
    conclusion = dict(attempt.predicate["conclusion"]) | {"verdict": Verdict.PASSED.value}
    corpus.add(
        "verdict-edited", "FAILED made PASSED on the pages only, sealed",
        sealed(attempt.payload, attempt.envelope, attempt.proof, conclusion=conclusion),
        proof="failed.tlog-proof", auditor=(INVALID, "pages"), page="issue",
    )  # fmt: skip
    statement = json.loads(attempt.payload)
    statement["predicate"]["conclusion"] = conclusion
    forged = canonical_bytes(statement)
    signatures = json.loads(attempt.envelope)
    unsigned = json.loads(sign_envelope(PAYLOAD_TYPE, forged, home.statement_signers))
    unsigned["signatures"] = signatures["signatures"]
    envelope = json.dumps(unsigned, separators=(",", ":")).encode()
    corpus.add(
        "statement-edited", "FAILED made PASSED in the statement, its signatures kept, sealed",
        sealed(forged, envelope, attempt.proof), auditor=(INVALID, "signatures"), page="signature",
    )  # fmt: skip
    envelope = sign_envelope(PAYLOAD_TYPE, forged, home.statement_signers)
    corpus.add(
        "statement-not-in-ledger", "FAILED made PASSED, signed anew, sealed; not in the ledger",
        sealed(forged, envelope, attempt.proof), auditor=(INVALID, "ledger"), page="ledger",
    )  # fmt: skip
    newer = sign_checkpoint(
        replace(parse_checkpoint(carried_note(one.proof)), size=9_999), home.log_signers, 1
    )
    corpus.add(
        "proof-of-another-size", "a checkpoint of another size in the proof, sealed",
        sealed(one.payload, one.envelope, one.proof.partition("\n\n")[0] + "\n\n" + newer),
        auditor=(INVALID, "ledger"), page="ledger",
    )  # fmt: skip
    own = sign_checkpoint(
        parse_checkpoint(carried_note(one.proof)), [_stranger_of(s) for s in home.log_signers], 1
    )
    corpus.add(
        "checkpoint-of-a-stranger", "the checkpoint signed by keys that aren't the log's, sealed",
        sealed(one.payload, one.envelope, one.proof.partition("\n\n")[0] + "\n\n" + own),
        auditor=(INVALID, "ledger"), page="ledger",
    )  # fmt: skip
    corpus.add(
        "proof-of-another-entry", "the proof of another document, sealed",
        sealed(one.payload, one.envelope, two.proof), auditor=(INVALID, "ledger"), page="ledger",
    )  # fmt: skip
    dropped = facts_of(brief(), home, 0xD0D)
    for number, signer in enumerate(home.statement_signers):
        made = issued_of(
            home,
            replace(dropped, request=replace(dropped.request, case=f"{0xD0D + number:016x}")),
            signers=(signer,),
        )
        corpus.add(
            f"without-{'ml-dsa' if signer.algorithm == ED25519 else 'ed25519'}",
            "one of the two signatures never made, in the ledger, sealed",
            made.pdf, auditor=(INVALID, "signatures"), page="signature",
        )  # fmt: skip
    lesser = issued_of(
        home, replace(facts_of(brief(), home, 0x5EA1), seal=SealFacts(level="B-LTA"))
    )
    corpus.add(
        "seal-stripped-down", "the statement declares a seal of level B-LTA, the file has B-B",
        lesser.pdf, auditor=(INVALID, "level"), page="level",
    )  # fmt: skip


def _levels(corpus: Corpus, home: Home, trust: TrustFile, office: Sealer) -> None:
    """Seals with time stamps and lists of revoked certificates, and what is taken out of them."""

    def issued(number: int, declared: str, sealed: str) -> Papers:
        facts = replace(
            facts_of(brief(), home, number),
            seal=SealFacts(level=declared, trusted_time="time-stamp"),
        )
        return issued_of(home, facts, seal=office.seal, trusted=office.trusted(sealed))

    stamped = replace(trust, seal_roots=(office.root_pem,), timestamp_roots=(office.tsa.root_pem,))
    asking = replace(stamped, minimum_seal_level="B-LTA")
    for name, file in (
        ("stamped", stamped),
        ("stamped-asking", asking),
        ("no-stamp-roots", replace(stamped, timestamp_roots=())),
    ):
        corpus.files[f"{name}.json"] = trust_bytes(file)
    good = {level: issued(0x5EA2 + at, level, level) for at, level in enumerate(ABOVE)}
    for level, papers in good.items():
        name = level.lower()
        corpus.files[f"{name}.tlog-proof"] = papers.sidecar.encode()
        corpus.add(
            name, f"none: a true document sealed at level {level}", papers.pdf,
            trust="stamped.json", proof=f"{name}.tlog-proof", auditor=(UNKNOWN, ""), page="",
        )  # fmt: skip
    archived = good["B-LTA"].pdf
    cut = archived[: archived[:-6].rindex(b"%%EOF") + len(b"%%EOF\n")]
    unstamped = {level: _with_cms(good[level].pdf, _unstamped) for level in ("B-T", "B-LT")}
    undated = issued(0x5EAA, "B-LT", "B-T").pdf
    for name, attack, pdf, file, check, page in (
        ("b-t-unstamped", "the time stamp taken out of a seal of level B-T", unstamped["B-T"],
         "stamped", "level", "level"),
        ("b-lt-unstamped", "the time stamp taken out of a seal of level B-LT", unstamped["B-LT"],
         "stamped", "seal", "form"),
        ("b-lt-without-lists", "B-LT declared, sealed without any list of revoked certificates",
         undated, "stamped", "level", "level"),
        ("b-lta-cut-back", "the time stamp over a file of level B-LTA cut off with its revision",
         cut, "stamped", "level", "level"),
        ("b-lta-lists-hidden", "the name of the lists of revoked certificates changed",
         archived.replace(b"/DSS ", b"/DSX ", 1), "stamped", "seal", "bytes"),
        ("b-lt-too-low", "true, but the trust file asks for level B-LTA", good["B-LT"].pdf,
         "stamped-asking", "level", "level"),
        ("b-lta-of-a-stranger", "stamps by an authority that the trust file doesn't name", archived,
         "no-stamp-roots", "seal", ""),
    ):  # fmt: skip
        corpus.add(
            name, attack, pdf, trust=f"{file}.json", auditor=(INVALID, check), page=page,
        )  # fmt: skip
    corpus.add(
        "b-lta-as-asked", "none: sealed at the level that the trust file asks for", archived,
        trust="stamped-asking.json", auditor=(UNKNOWN, ""), page="",
    )  # fmt: skip


def _stranger_of(signer: Signer) -> Signer:
    return load_signer(generate_private_key(signer.algorithm))


def _strangers(corpus: Corpus, one: Papers, short: Papers, stranger: Papers) -> None:
    corpus.files["stranger.tlog-proof"] = stranger.sidecar.encode()
    corpus.add(
        "look-alike", "the same document by somebody of the same name", stranger.pdf,
        proof="stranger.tlog-proof", auditor=(INVALID, "seal"), page="signature",
    )  # fmt: skip
    seal = load_seal(make_test_seal(CONTROLLER, corpus.now).private_pem)
    plain = drawn(short.payload, short.envelope, short.proof)
    corpus.add(
        "sealed-by-another", "true pages and evidence under the seal of a stranger",
        seal_pdf(plain, seal), proof="short.tlog-proof", auditor=(INVALID, "seal"), page="issue",
    )  # fmt: skip
    corpus.add(
        "proof-of-issue-of-another", "the proof of issue of another document", one.pdf,
        proof="second.tlog-proof", auditor=(INVALID, "issue"), page="issue",
    )  # fmt: skip
    corpus.files["cut.tlog-proof"] = one.sidecar.encode()[:-9]
    corpus.add(
        "proof-of-issue-cut-off", "the proof of issue cut off", one.pdf,
        proof="cut.tlog-proof", auditor=(INVALID, "issue"), page="issue",
    )  # fmt: skip


def _trust_files(corpus: Corpus, home: Home, one: Papers, trust: TrustFile) -> None:
    """What the trust file says of keys, logs and witnesses decides."""

    def keys(**changes: str) -> TrustFile:
        return replace(
            trust, statement_keys=tuple(replace(key, **changes) for key in trust.statement_keys)
        )

    ours = parse_checkpoint(carried_note(one.proof))
    fork = sign_checkpoint(replace(ours, root=bytes(32)), home.log_signers, 1)
    lone = load_signer(generate_private_key(ED25519))
    witness = note_key("witness.example", COSIGNATURE_ED25519, lone.public_bytes())
    asked = trust.log_policy.replace("quorum none", f"witness w {witness.vkey}\nquorum w")
    later = (corpus.now + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name, attack, changed, check, page in (
        ("key-revoked", "signed by keys revoked since, dated before", keys(revoked_at=later),
         "signatures", "signature"),
        ("key-of-another-role", "signed by keys of another role", keys(role="approval"),
         "signatures", "signature"),
        ("key-not-yet-valid", "signed before its keys were valid", keys(valid_from=later),
         "statement", "statement"),
        ("key-expired", "signed after its keys were valid",
         keys(valid_until="2026-01-01T00:00:00Z"), "statement", "statement"),
        ("forked", "the ledger signed another root for that size",
         replace(trust, checkpoint=fork), "history", "history"),
        ("seal-too-low", "the trust file asks for a higher seal",
         replace(trust, minimum_seal_level="B-T"), "level", "level"),
        ("witness-missing", "a witness that is asked for has not cosigned: the page can't see it",
         replace(trust, log_policy=asked), "witnesses", ""),
    ):  # fmt: skip
        corpus.files[f"{name}.json"] = trust_bytes(changed)
        corpus.add(name, attack, one.pdf, trust=f"{name}.json", auditor=(INVALID, check), page=page)


def _naming(trust: TrustFile, signers: tuple[Signer, ...], role: str) -> TrustFile:
    """The trust file with further keys."""
    listed = (
        StatementKey(
            key_id=signer.key_id,
            algorithm=signer.algorithm,
            public=b64encode(signer.public_bytes()).decode(),
            role=role,
            valid_from=trust.statement_keys[0].valid_from,
        )
        for signer in signers
    )
    return replace(trust, statement_keys=(*trust.statement_keys, *listed))


def _approvals(corpus: Corpus, home: Home, one: Papers, trust: TrustFile) -> None:
    """Four eyes: an approver with keys of their own signs, too."""
    approver = tuple(_stranger_of(signer) for signer in home.statement_signers)
    corpus.files["approvers.json"] = trust_bytes(_naming(trust, approver, "approval"))
    asked = replace(facts_of(brief(), home, 0xA9901), approval=Approval.FOUR_EYES)
    both = issued_of(home, asked, signers=home.statement_signers + approver)
    alone = issued_of(home, replace(asked, request=replace(asked.request, case=f"{0xA9902:016x}")))
    for name, attack, pdf, auditor, page in (
        ("approved", "none: signed by performer and approver", both.pdf, (UNKNOWN, ""), ""),
        ("not-approved", "four eyes declared, the approver's signatures missing", alone.pdf,
         (INVALID, "approval"), "approval"),
        ("approval-not-asked", "the trust file names approvers, the statement asks for none",
         one.pdf, (INVALID, "approval"), "approval"),
    ):  # fmt: skip
        corpus.add(name, attack, pdf, trust="approvers.json", auditor=auditor, page=page)


def _served(corpus: Corpus, home: Home, trust: TrustFile) -> None:
    """Certificates with an endpoint's answer, without one, and with that to another question."""
    endpoint = tuple(load_signer(generate_private_key(name)) for name in (ED25519, ML_DSA_65))
    corpus.files["endpoint.json"] = trust_bytes(_naming(trust, endpoint, "serving"))
    asked = corpus.now

    def issued(number: int, answers: int | None) -> bytes:
        facts = replace(facts_of(trimmed(exact()), home, number), served=None)
        weights = facts.model.after.weights if facts.model.after else Digest.of(b"")
        if answers is not None:
            challenge = challenge_of(f"{answers:016x}", weights, asked)
            said = answer_bytes(facts.model.name, challenge, weights)
            answer = sign_envelope(ANSWER_TYPE, said, endpoint)
            facts = replace(facts, served=ServedFacts(asked=asked, weights=weights, answer=answer))
        return issued_of(home, facts).pdf

    good = issued(0x5E1, answers=0x5E1)
    corpus.add(
        "served", "none: the endpoint serves the certified weights", good,
        trust="endpoint.json", auditor=(UNKNOWN, ""), page="",
    )  # fmt: skip
    for name, attack, pdf, file in (
        ("served-by-a-stranger", "an answer by keys that the trust file doesn't name", good,
         "trust.json"),
        ("served-to-another", "the endpoint's answer to a question about another case",
         issued(0x5E2, answers=0x5E1), "endpoint.json"),
        ("served-not-asked", "the trust file names an endpoint, the statement holds no answer",
         issued(0x5E3, answers=None), "endpoint.json"),
    ):  # fmt: skip
        corpus.add(
            name, attack, pdf, trust=file, auditor=(INVALID, "serving"), page="serving",
        )  # fmt: skip


def _statuses(corpus: Corpus, home: Home, good: Issued, second: Issued) -> None:
    """Statements of the issuer about a document, signed later."""

    def said(case: str, when: datetime) -> bytes:
        return sign_status(home, case, when)[1]

    now = corpus.now
    corpus.files["good.status"] = said(good.case, now)
    corpus.files["stale.status"] = said(good.case, now - timedelta(days=60))
    corpus.files["second.status"] = said(second.case, now)

    def forged(change: Callable[[list[dict[str, str]]], object]) -> bytes:
        fields = json.loads(corpus.files["good.status"])
        change(fields["signatures"])
        return json.dumps(fields, separators=(",", ":")).encode()

    def exchange(signatures: list[dict[str, str]]) -> None:
        one, two = signatures
        one["keyid"], two["keyid"] = two["keyid"], one["keyid"]

    corpus.files["forged.status"] = forged(lambda signatures: signatures.pop())
    corpus.files["exchanged.status"] = forged(exchange)
    corpus.files["doubled.status"] = forged(lambda signatures: signatures.append(signatures[0]))
    supersede(home, good.case, second.case)
    corpus.files["superseded.status"] = said(good.case, now)
    withdraw(home, good.case, WithdrawalReason.EVIDENCE_DISPROVED)
    corpus.files["withdrawn.status"] = said(good.case, now)
    corpus.files["newest.json"] = home.trust_path.read_bytes()
    for name, attack, auditor, page, held in (
        ("good", "none: a fresh good status", (VALID, ""), "", True),
        ("stale", "a good status that has grown old", (UNKNOWN, ""), "", False),
        ("second", "a good status of another document", (UNKNOWN, ""), "", False),
        ("forged", "a good status without its ML-DSA signature", (UNKNOWN, ""), "", False),
        ("exchanged", "a good status whose key ids are exchanged", (UNKNOWN, ""), "", False),
        ("doubled", "a good status with one of its signatures twice", (UNKNOWN, ""), "", False),
        ("superseded", "superseded by another document", (INVALID, "status"), "status", False),
        ("withdrawn", "withdrawn by its issuer", (INVALID, "status"), "status", False),
    ):
        corpus.add(
            f"status-{name}", attack, good.pdf, proof="good.tlog-proof", status=f"{name}.status",
            auditor=auditor, page=page, status_held=held,
        )  # fmt: skip
    corpus.add(
        "status-replayed", "the good status of before it was withdrawn, shown again", good.pdf,
        trust="newest.json", status="good.status", auditor=(UNKNOWN, ""), page="",
    )  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder)).write(FOLDER)


if __name__ == "__main__":
    main()
