"""`verify.html` in a real browser: what holds, what is refused, and who can use it."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from auditor.certificates.render import render_certificate
from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.statement import ENVELOPE, PAYLOAD_TYPE, PROOF, parse_statement
from auditor.certificates.status import State, status_bytes
from auditor.domain.artefact import Digest
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.proof.trust import fingerprint, parse_trust, trust_bytes
from tests.browser import Browser, browsing, resize
from tests.certificates.checking import MADE, PAGE, Seen, check, choose, results, spoken
from tests.certificates.conftest import Issued
from tests.certificates.test_status import facts as status_facts
from tests.certificates.test_status import renamed
from tests.vectors.make_certificate_corpus import amended, with_files

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def files(issued: Issued, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The document, the trust file and the proof of issue, as files."""
    return laid_out(tmp_path_factory.mktemp("page"), issued.pdf, issued.trust, issued.sidecar)


def laid_out(folder: Path, pdf: bytes, trust: bytes, sidecar: str) -> tuple[Path, Path, Path]:
    made = folder / "a.pdf", folder / "trust.json", folder / "a.pdf.tlog-proof"
    for path, content in zip(made, (pdf, trust, sidecar.encode()), strict=True):
        path.write_bytes(content)
    return made


def test_its_policy_allows_its_own_script_and_style_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    inline = _INLINE.findall(page)
    assert [kind for kind, _ in inline] == ["style", "script"]
    for kind, content in inline:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy, f"write this hash into {PAGE.name}"
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy and "http" not in policy.replace("https", "http")
    assert not re.search(r"<(link|img|iframe|object|embed|base|form|a)\b|\bsrc=|\son\w+=", page)
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|\beval\b|Function\(", page)


def test_a_true_document_holds_and_gets_no_overall_verdict(
    browser: Browser, files: tuple[Path, Path, Path], issued: Issued
) -> None:
    seen = check(browser, files)
    unasked = dict.fromkeys(("approval", "serving", "status"), "open")
    assert seen.states == {**dict.fromkeys(MADE, "held"), **unasked}
    assert "This is not a full verification" in seen.said
    for left in ("ML-DSA", "seal’s signer", "pages", "Witnesses"):
        assert left in seen.text
    assert issued.case in seen.text and "Universitätsklinikum Lindenau" in seen.text
    assert fingerprint(issued.trust) in seen.text
    assert not re.search(r"\bVALID\b|is genuine\.|certificate is valid", seen.text)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_without_the_proof_of_issue_one_check_is_left_out(
    browser: Browser, files: tuple[Path, Path, Path]
) -> None:
    seen = check(browser, files[:2])
    assert seen.states["issue"] == "open" and "nothing at hand" in seen.details["issue"]
    assert not seen.failed


def test_a_strangers_trust_file_or_proof_is_refused(
    browser: Browser, files: tuple[Path, Path, Path], stranger: Issued, tmp_path: Path
) -> None:
    pdf, trust, sidecar = laid_out(tmp_path, stranger.pdf, stranger.trust, stranger.sidecar)
    for mixed, failing in (
        ((files[0], trust), "signature"),
        ((pdf, files[1]), "signature"),
        ((files[0], files[1], sidecar), "issue"),
    ):
        seen = check(browser, mixed)
        assert seen.failed == failing
        assert "FAILED" in seen.said and "Don’t rely on this document" in seen.said
        assert not browser.find_element(By.ID, "said").is_displayed()


def altered(trust: bytes, **changes: str) -> bytes:
    document = json.loads(trust)
    for key in document["statement_keys"]:
        key.update(changes)
    return json.dumps(document).encode()


PROOFS = Path(__file__).parents[1] / "vectors" / "proof"
# Of the golden proofs the page can't judge cosignatures, times, and what ML-DSA signed.
BEYOND_IT = {
    f"checkpoint-7-forged-{name}.txt"
    for name in (
        "04-in-a-06-line",
        "06-in-a-04-line",
        "601-seconds-ahead",
        "cosignature-of-8",
        "cosignature-twice",
        "cosignatures-time-changed",
        "ml-dsa-44-of-8",
        "time-of-2-to-63",
        "without-a-witness",
    )
} | {"3-of-7-forged-checkpoint-not-cosigned.tlog-proof"}
_JUDGE = """
const [items, policy, done] = arguments, trust = { log_policy: policy };
const judge = async (text, carried) => {
  if (!carried) return verifyCheckpoint(text, trust);
  const { entry, index, path, note } = parseProof(text), { size, root } = await verifyCheckpoint(note, trust);
  return verifyInclusion(entry, index, size, path, root);
};
Promise.all(items.map(([text, carried]) => judge(text, carried).then(() => "accepted", () => "refused"))).then(done);
"""  # noqa: E501  # a line of the page's script


def test_its_ledger_proofs_are_held_to_the_golden_files(browser: Browser) -> None:
    told = json.loads((PROOFS / "index.json").read_text(encoding="utf-8"))["files"]
    items = {}
    for name, item in told.items():
        text = (PROOFS / name).read_bytes().decode()
        if name.endswith(".tlog-proof") and "extra" not in name:
            entry = item["entry"].encode() if "entry" in item else bytes.fromhex(item["entry_hex"])
            header, _, rest = text.partition("\n")  # a document's proof carries its entry
            carried = base64.b64encode(entry).decode()
            items[name] = (f"{header}\nextra {carried}\n{rest}", True)
        elif name.startswith("checkpoint"):
            items[name] = (text, False)
    browser.get(PAGE.as_uri())
    policy = (PROOFS / "policy.txt").read_text(encoding="utf-8")
    found = browser.execute_async_script(_JUDGE, list(items.values()), policy)
    expected = {name: told[name]["expect"] for name in items} | dict.fromkeys(BEYOND_IT, "accepted")
    assert dict(zip(items, found, strict=True)) == expected
    assert list(expected.values()).count("refused") > 20


_CHECK = """
const [shared, variants, done] = arguments;
const raw = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
(async () => {
  const found = [];
  for (const variant of variants) {
    const files = Object.fromEntries(Object.entries({ ...shared, ...variant }).map(([k, v]) => [k, raw(v)]));
    const { made } = await check({ ...files, trust: await readTrust(files.trust), proof: undefined });
    found.push([(made.find(({ state }) => state === "failed") ?? { name: "" }).name, made.at(-1).detail]);
  }
  done(found);
})();
"""  # noqa: E501  # a line of the page's script


def found(browser: Browser, issued: Issued, *variants: dict[str, bytes]) -> list[tuple[str, str]]:
    """For each variant of a document and its status: the check that fails, and what was said of
    the status."""

    def encoded(files: dict[str, bytes]) -> dict[str, str]:
        return {name: base64.b64encode(content).decode() for name, content in files.items()}

    browser.get(PAGE.as_uri())
    shared = encoded({"pdf": issued.pdf, "trust": issued.trust})
    told = browser.execute_async_script(_CHECK, shared, [encoded(each) for each in variants])
    return [(failing, detail) for failing, detail in told]


def test_any_flipped_bit_is_refused(browser: Browser, issued: Issued) -> None:
    """But in the seal's own signature, of which it says that it isn't checked."""
    draw = random.Random(20261125)
    (_, before, after, _) = read_sealed_pdf(issued.pdf).signature.byte_range
    places = [each for each in draw.sample(range(len(issued.pdf)), 80) if not before < each < after]
    variants = []
    for place in (*places, 0, len(issued.pdf) - 1):
        forged = bytearray(issued.pdf)
        forged[place] ^= 1 << draw.randrange(8)
        variants.append({"pdf": bytes(forged)})
    refused = {failing for failing, _ in found(browser, issued, *variants)}
    assert "" not in refused and "bytes" in refused


def swapped(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(payload: bytes) -> bytes:
        assert old.encode() in payload
        return payload.replace(old.encode(), new.encode(), 1)

    return change


def test_what_the_true_keys_signed_must_be_a_statement_of_ours(
    browser: Browser, issued: Issued
) -> None:
    attached = read_sealed_pdf(issued.pdf).attachments
    keys = [key.verifier() for key in parse_trust(issued.trust).statement_keys]
    payload = verify_envelope(attached[ENVELOPE], keys).payload
    shown, digest = parse_statement(payload)["predicate"], str(Digest.of(payload))
    drawn = render_certificate(shown, digest, attached[ENVELOPE], attached[PROOF].decode())

    def twin(change: Callable[[bytes], bytes], kind: str = PAYLOAD_TYPE) -> dict[str, bytes]:
        envelope = sign_envelope(kind, change(payload), issued.home.statement_signers)
        return {"pdf": seal_pdf(amended(drawn, with_files((ENVELOPE, envelope), PROOF)), seal)}

    seal = issued.home.seal
    twins = (
        ("signature", twin(bytes, "text/plain")),
        ("statement", twin(swapped("erasure-certificate", "other"))),
        ("statement", twin(swapped('"record"', '"certificate"'))),
        ("statement", twin(swapped('{"_type"', '{ "_type"'))),
        ("statement", twin(swapped("DPO office", "DPO \u202eoffice"))),
        ("statement", twin(swapped('"outcome":', '"outcome":"certified","outcome":'))),
        ("ledger", twin(bytes)),  # ML-DSA signatures are randomised, so that it is another envelope
    )
    failing = [name for name, _ in found(browser, issued, *(pdf for _, pdf in twins))]
    assert failing == [name for name, _ in twins]


def test_a_status_tells_nothing_unless_it_is_one(browser: Browser, issued: Issued) -> None:
    def said(change: Callable[[bytes], bytes] = bytes, **changes: object) -> dict[str, bytes]:
        payload = change(status_bytes(status_facts(issued, **changes)))
        return {"status": sign_envelope(PAYLOAD_TYPE, payload, issued.home.statement_signers)}

    now = datetime.now(UTC).replace(microsecond=0)
    variants = {
        "good as of": said(),
        "it is no status": said(swapped("certificate-status", "other")),
        "not canonical": said(swapped('{"_type"', '{ "_type"')),
        "fresh for too long": said(swapped('"freshUntil":"20', '"freshUntil":"21')),
        "it has no dates": said(swapped("Z", "z")),
        "yet to come": said(as_of=now + timedelta(hours=2), fresh_until=now + timedelta(days=2)),
        "about another document": said(case="0f0f0f0f0f0f0f0f", pdf=Digest.of(b"another")),
        "was not in force": said(
            as_of=now - timedelta(days=80), fresh_until=now + timedelta(days=1)
        ),
    }
    for told, (failing, detail) in zip(
        variants, found(browser, issued, *variants.values()), strict=True
    ):
        assert not failing and told in detail
    withdrawn = said(state=State.WITHDRAWN, reason="issued-in-error")
    assert found(browser, issued, withdrawn) == [("status", "withdrawn by its issuer")]


def test_no_twin_of_a_document_escapes_what_is_said_of_it(browser: Browser, issued: Issued) -> None:
    (_, before, after, _) = read_sealed_pdf(issued.pdf).signature.byte_range
    hole = issued.pdf[before:after]
    status = sign_envelope(
        PAYLOAD_TYPE,
        status_bytes(status_facts(issued, state=State.WITHDRAWN, reason="issued-in-error")),
        issued.home.statement_signers,
    )
    told = found(
        browser,
        issued,
        *(
            {"pdf": issued.pdf[:before] + twin + issued.pdf[after:], "status": status}
            for twin in (hole, hole.lower(), hole[:-2] + b"1>", hole.replace(b"A", b"a", 1))
        ),
    )
    assert [failing for failing, _ in told] == ["status", "status", "form", "form"]
    assert "another file" in told[1][1]


def test_origins_of_one_trust_file_are_one_ledger(browser: Browser, issued: Issued) -> None:
    """After `ledger recover --new-origin` statuses speak under the new name, and a good one of
    before is stale."""
    went_on = "ledger.example/went-on"
    later = replace(status_facts(issued).ledger, origin=went_on)
    trust = trust_bytes(renamed(parse_trust(issued.trust), went_on))

    def said(**changes: object) -> dict[str, bytes]:
        payload = status_bytes(status_facts(issued, **changes))
        status = sign_envelope(PAYLOAD_TYPE, payload, issued.home.statement_signers)
        return {"trust": trust, "status": status}

    gone, twin = {"state": State.WITHDRAWN, "reason": "issued-in-error"}, Digest.of(b"twin")
    told = found(
        browser,
        issued,
        said(ledger=later),
        said(ledger=later, **gone),
        said(ledger=later, pdf=twin),
        said(ledger=later, pdf=twin, **gone),
        said(),
        said(**gone),
    )
    assert [failing for failing, _ in told] == ["", "status", "status", "status", "", "status"]
    good, withdrawn, another, twins, stale, old = (detail for _, detail in told)
    assert good.startswith("good as of") and withdrawn == old == "withdrawn by its issuer"
    assert another == twins == "the issuer’s status of this case is about another file"
    assert "went on under another name" in stale


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"revoked_at": "2099-01-01T00:00:00Z"}, "signature"),
        ({"role": "approval"}, "signature"),
        ({"valid_from": "2099-01-01T00:00:00Z"}, "statement"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "statement"),
    ],
)
def test_keys_count_in_their_role_and_on_their_days_only(
    browser: Browser, issued: Issued, tmp_path: Path, changes: dict[str, str], failing: str
) -> None:
    made = laid_out(tmp_path, issued.pdf, altered(issued.trust, **changes), issued.sidecar)
    assert check(browser, made).failed == failing


def test_what_is_no_document_of_ours_is_said_to_be_unreadable(
    browser: Browser, issued: Issued, tmp_path: Path
) -> None:
    twisted = issued.pdf.replace(b"%PDF-1.7", b"%PDF-1.4", 1)
    for pdf in (b"%PDF-1.7\n%%EOF\n", issued.pdf[:-20], issued.pdf + b"\n", twisted):
        seen = check(browser, laid_out(tmp_path, pdf, issued.trust, issued.sidecar))
        assert seen.failed == "form" and "can’t be read here" in seen.details["form"]
    odd = tmp_path / "odd.json"
    for content in (b"", b"{}", b"\xff\xfe", b'{"format": "auditor-trust/v2"}', b"[" * 100_000):
        odd.write_bytes(content)
        assert "neither a PDF nor a trust file" in choose(browser, [odd])


def test_files_can_be_dropped(browser: Browser, files: tuple[Path, Path, Path]) -> None:
    browser.get(PAGE.as_uri())
    contents = [base64.b64encode(path.read_bytes()).decode() for path in files]
    browser.execute_script(
        """const moved = new DataTransfer();
        arguments[0].forEach((content, i) => moved.items.add(new File(
            [Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], `dropped-${i}`)));
        document.body.dispatchEvent(new DragEvent("drop",
            { dataTransfer: moved, bubbles: true, cancelable: true }));""",
        contents,
    )
    assert spoken(browser) == "Ready to check."
    browser.find_element(By.ID, "check").click()
    assert not results(browser).failed


def pressed(browser: Browser, key: str) -> None:
    ActionChains(browser).send_keys(key).perform()


def step_back(browser: Browser) -> None:
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()


def focused(browser: Browser) -> tuple[str, str]:
    """Which element has the focus, and how it is outlined."""
    return tuple(  # type: ignore[return-value]  # of as many as are unpacked
        browser.execute_script(
            """const here = document.activeElement;
            return [here.id, getComputedStyle(here).outlineStyle]"""
        )
    )


def test_it_works_without_a_mouse(browser: Browser, files: tuple[Path, Path, Path]) -> None:
    browser.get(PAGE.as_uri())
    browser.execute_script(
        """window.opened = 0;
        document.getElementById("choose").addEventListener("click", (event) => {
            window.opened += 1; event.preventDefault(); });"""
    )
    for stop in ("choose", "check", "clear"):
        pressed(browser, Keys.TAB)
        assert focused(browser) == (stop, "solid")
    step_back(browser)
    pressed(browser, Keys.ENTER)  # nothing chosen: said, and led back to where to choose
    assert spoken(browser) == "Choose the certificate first."
    assert focused(browser)[0] == "choose"
    pressed(browser, Keys.SPACE)
    assert browser.execute_script("return window.opened") == 1  # the dialogue would open
    browser.find_element(By.ID, "choose").send_keys("\n".join(str(path) for path in files))
    pressed(browser, Keys.TAB)
    pressed(browser, Keys.ENTER)
    assert not results(browser).failed
    assert focused(browser)[0] == "heading"
    step_back(browser)
    assert focused(browser)[0] == "clear"
    pressed(browser, Keys.ENTER)
    assert focused(browser)[0] == "choose"
    assert not browser.find_element(By.ID, "results").is_displayed()


def test_a_screen_reader_is_told_everything(
    browser: Browser, files: tuple[Path, Path, Path]
) -> None:
    check(browser, files)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    heard = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    roles = [role for role, _ in heard]
    assert ("list", "Checks made") in heard and (
        "list",
        "Checks that this page can’t make",
    ) in heard
    assert ("button", "Check") in heard and ("button", "Start over") in heard
    assert {"main", "status", "term", "definition"} <= set(roles)
    chooser = [name for role, name in heard if role == "button" and "certificate (PDF)" in name]
    assert chooser and "trust file" in chooser[0]
    assert not [role for role, name in heard if role in ("button", "textbox", "link") and not name]
    language = browser.execute_script("return document.documentElement.lang")
    assert language == "en"


_CONTRAST = """
const light = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
  const [r, g, b] = parts.map((p) => p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
};
return [...document.querySelectorAll("body *")]
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .filter((e) => e.checkVisibility())
  .map((e) => [getComputedStyle(e).color, ground(e)].map(light).sort((a, b) => b - a))
  .map(([most, least]) => (most + 0.05) / (least + 0.05));
"""


def shown(browser: Browser, seen: Seen) -> None:
    """Readable by contrast (WCAG 2.2 criterion 1.4.3) and without scrolling sideways (1.4.10)."""
    ratios = browser.execute_script(_CONTRAST)
    assert len(ratios) > 40 and min(ratios) >= 4.5
    wide, room = browser.execute_script(
        """const all = document.documentElement; return [all.scrollWidth, all.clientWidth]"""
    )
    assert wide <= room
    for state, word in (("held", "held"), ("failed", "FAILED"), ("open", "not checked")):
        if state in seen.states.values():
            assert word in seen.text  # told by a word, not by colour alone


@pytest.mark.parametrize("width", [320, 1100])
def test_it_can_be_read_at_any_width(
    browser: Browser, files: tuple[Path, Path, Path], stranger: Issued, tmp_path: Path, width: int
) -> None:
    resize(browser, width, 1400)
    try:
        shown(browser, check(browser, files))
        foreign = tmp_path / "foreign.json"
        foreign.write_bytes(stranger.trust)
        shown(browser, check(browser, [files[0], foreign]))
    finally:
        resize(browser, 1100, 1400)


_WAYS = ("fetch", "beacon", "image", "script", "style", "frame", "socket", "events", "form")
_REACH = """
const done = arguments[arguments.length - 1], to = arguments[0];
const tries = [
  () => fetch(`${to}/fetch`, { mode: "no-cors" }),
  () => navigator.sendBeacon(`${to}/beacon`, "x"),
  () => { new Image().src = `${to}/image`; },
  () => { const s = document.createElement("script"); s.src = `${to}/script`; document.head.append(s); },
  () => { const l = document.createElement("link"); l.rel = "stylesheet"; l.href = `${to}/style`; document.head.append(l); },
  () => { const f = document.createElement("iframe"); f.src = `${to}/frame`; document.body.append(f); },
  () => { const f = document.createElement("iframe"); f.name = "hole"; document.body.append(f); },
  () => { new WebSocket(to.replace("http", "ws") + "/socket"); },
  () => { new EventSource(`${to}/events`); },
  () => { const f = document.createElement("form"); f.action = `${to}/form`; f.target = "hole"; document.body.append(f); f.submit(); },
];
for (const attempt of tries) { try { Promise.resolve(attempt()).catch(() => {}); } catch {} }
setTimeout(done, 400);
"""  # noqa: E501  # a line of the page's script


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that writes down what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(self.path.rstrip("?"))
            self.send_response(204)
            self.end_headers()

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def seconds_until(wanted: set[str], asked: list[str]) -> float:
    """How long it takes until all of these have been asked for."""
    start = time.monotonic()
    while not wanted <= set(asked):
        assert time.monotonic() - start < 30, f"not asked for: {wanted - set(asked)}"
        time.sleep(0.05)
    return time.monotonic() - start


def fetched(browser: Browser) -> set[str]:
    """Every address the browser asked for since it was last asked here."""
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }


def test_nothing_leaves_the_page_even_if_its_script_wanted_to(
    browser: Browser, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    open_page = tmp_path / "open.html"
    open_page.write_text("<!DOCTYPE html><title>x</title><body></body>", encoding="utf-8")
    with listening() as (address, asked):
        browser.get(open_page.as_uri())
        browser.execute_async_script(_REACH, address)
        taken = seconds_until({f"/{way}" for way in _WAYS}, asked)
        asked.clear()
        fetched(browser)
        check(browser, files)
        assert fetched(browser) == {PAGE.as_uri()}
        browser.execute_async_script(_REACH, address)
        time.sleep(2 * taken)  # as a busy machine may need
        assert not asked
