"""The certificate's speed and memory, as ratios within one run.

    python benchmarks/certificates.py [--documents 32] [--blocks 5]

Contestants of one race take turns block by block, so that a machine that grows slower meanwhile
slows them all. Documents are certificates of three pages in four languages, with numbers like those
of real runs. Prints a table in Markdown, and how it was measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from weasyprint import HTML

from auditor.certificates.catalogue import LOCALES
from auditor.certificates.page import document_html, shipped_text
from auditor.certificates.predicate import predicate_of
from auditor.certificates.press import Sheet, render_all
from auditor.certificates.render import _ShippedOnly
from auditor.certificates.seal import Seal
from auditor.certificates.sealing import seal_pdf
from auditor.workflow.homes.home import create_home
from tests.certificates.examples import in_language, passed
from tests.cli.conftest import stock
from tests.vectors.make_certificate_corpus import Papers, facts_of, issued_of

BLOCK = 8
COLD = 7
FURTHER = 32

# The console script, and at its end what the system says of its memory, in KiB.
_VERIFIER = """
import sys
from auditor.cli.main import main
code = main()
told = open("/proc/self/status").read().splitlines()
print(next(line for line in told if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""

Line = tuple[str, str, str, str, str]
"""Of the table: the measure, ours, the reference, the ratio, the goal."""


def sheets(count: int, papers: Papers) -> list[Sheet]:
    """So many certificates, of as many cases, the languages in turn."""
    said = [predicate_of(in_language(passed(), locale)) for locale in LOCALES]
    return [
        Sheet(
            predicate={
                **said[number % len(said)],
                "request": {**said[number % len(said)]["request"], "case": f"{number:016x}"},
            },
            statement_digest=f"sha256:{number:064x}",
            envelope=papers.envelope,
            proof=papers.proof,
        )
        for number in range(count)
    ]


def printing(pages: Sequence[Sheet], seal: Seal, blocks: int) -> list[Line]:
    """Drawn and sealed by us, against the renderer alone on the same HTML, untagged and tagged."""
    styled = [_styled(sheet) for sheet in pages[:BLOCK]]
    archival = {"pdf_variant": "pdf/a-3a", "pdf_tags": True}
    race: dict[str, Callable[[], object]] = {
        "ours": lambda: [seal_pdf(pdf, seal) for pdf in render_all(pages[:BLOCK], workers=1)],
        "alone": lambda: [_alone(html) for html in styled],
        "archival": lambda: [_alone(html, **archival) for html in styled],
    }
    seconds: dict[str, list[float]] = {name: [] for name in race}
    for block in range(blocks + 1):
        for name, run in race.items():
            taken = _timed(run)
            if block:  # the first is for what is loaded once
                seconds[name].append(taken / BLOCK)
    took = {name: median(each) for name, each in seconds.items()}
    return [
        _ratio("drawing and sealing a certificate", took["ours"], what, took[name], goal)
        for name, what, goal in (
            ("alone", "WeasyPrint alone", "<= 1.3"),
            ("archival", "WeasyPrint alone, tagged PDF/A-3a", "-"),
        )
    ]


def scaling(pages: Sequence[Sheet], seal: Seal) -> list[Line]:
    """A batch in one process and in one per core; starting them is part of it."""
    cores = len(os.sched_getaffinity(0))

    def batch(workers: int) -> float:
        return _timed(lambda: [seal_pdf(pdf, seal) for pdf in render_all(pages, workers)])

    batch(1)
    pairs = [(batch(1), batch(cores)) for _ in range(2)]
    one, many = (median(each) for each in zip(*pairs, strict=True))
    return [
        (
            f"{len(pages)} certificates over {cores} processes",
            f"{many:.1f} s",
            f"in one: {one:.1f} s",
            f"{one / many / cores:.2f} of linear",
            ">= 0.8",
        )
    ]


def verifying(folder: Path, papers: Papers, trust: bytes) -> list[Line]:
    """`auditor verify` as a regulator starts it: one file, and what each further one adds."""
    (folder / "trust.json").write_bytes(trust)
    files = [folder / f"{number}.pdf" for number in range(FURTHER + 1)]
    for file in files:
        file.write_bytes(papers.pdf)
        file.with_name(f"{file.name}.tlog-proof").write_text(papers.sidecar, encoding="utf-8")
    cold, many = [], []
    for _ in range(COLD):
        cold.append(_verified(files[:1], folder))
        many.append(_verified(files, folder))
    alone, peak = (median(each) for each in zip(*cold, strict=True))
    together, more = (median(each) for each in zip(*many, strict=True))
    return [
        ("auditor verify, cold, one file", f"{alone:.2f} s", "-", "-", "<= 1.5 s"),
        (
            "each further file of one call",
            f"{(together - alone) / FURTHER * 1e3:.0f} ms",
            "-",
            "-",
            "<= 100 ms",
        ),
        ("its peak memory, one file", f"{peak:.0f} MiB", "-", "-", "-"),
        (f"its peak memory, {FURTHER + 1} files", f"{more:.0f} MiB", "-", "-", "-"),
    ]


def _verified(files: Sequence[Path], folder: Path) -> tuple[float, float]:
    """Seconds, and MiB at the peak, of one process."""
    words = ["verify", *map(str, files), "--trust", str(folder / "trust.json"), "--json"]
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", _VERIFIER, *words], capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - start
    told = json.loads(ran.stdout)
    found = {row["status"] for row in (told if isinstance(told, list) else [told])}
    assert (ran.returncode, found) == (0, {"VALID_STATUS_UNKNOWN"})
    return taken, int(ran.stderr.split()[1]) / 1024


def _styled(sheet: Sheet) -> str:
    """The page with its style sheet in it, as WeasyPrint alone is handed it."""
    html = document_html(sheet.predicate, sheet.statement_digest)
    return html.replace("</head>", f"<style>{shipped_text('certificate.css')}</style></head>", 1)


def _alone(html: str, **options: Any) -> bytes:
    page = HTML(string=html, url_fetcher=_ShippedOnly(), base_url="shipped:")
    return bytes(page.write_pdf(**options))


def _ratio(measure: str, ours: float, what: str, theirs: float, goal: str) -> Line:
    reference = f"{what}: {theirs * 1e3:.0f} ms"
    return measure, f"{ours * 1e3:.0f} ms", reference, f"{ours / theirs:.2f}", goal


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description="The certificate's speed, as ratios of one run.")
    parser.add_argument("--documents", type=int, default=32, help="of the batch")
    parser.add_argument("--blocks", type=int, default=5, help="turns of the race")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        with closing(create_home(folder / "home", controller="St. Example", dpo="DPO")) as home:
            stock(home)
            papers = issued_of(home, facts_of(passed(), home, 0x5EED))
            seal, trust = home.seal, home.trust_path.read_bytes()
        pages = sheets(options.documents, papers)
        lines = verifying(folder, papers, trust)
        lines += printing(pages, seal, options.blocks)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines += scaling(pages, seal)
    lines.append(("peak memory of drawing and sealing", f"{peak:.0f} MiB", "-", "-", "-"))
    table = [("measure", "ours", "reference", "ratio", "goal"), ("---",) * 5, *lines]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in table)
    packages = ", ".join(f"{each} {version(each)}" for each in ("weasyprint", "pyhanko"))
    notes = (
        f"Python {platform.python_version()}, {packages}; {platform.system()}, "
        f"{len(os.sched_getaffinity(0))} cores; a certificate of {len(papers.pdf)} bytes."
    )
    sys.stdout.write(f"{rows}\n\n{notes}\n")


if __name__ == "__main__":
    main()
