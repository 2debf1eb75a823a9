"""Many documents at once: one process per core, each of which reads fonts and templates once.

Only pages are drawn there. Whoever asks keeps the keys, and seals what comes back.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from auditor.certificates.render import render_certificate

FEWEST = 8
"""Documents below which starting processes takes longer than they save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What one document is printed from; as `render_certificate` takes it."""

    predicate: Mapping[str, Any]
    statement_digest: str
    envelope: bytes
    proof: str


def render_all(sheets: Sequence[Sheet], workers: int) -> Iterator[bytes]:
    """Print documents, in the order given; each comes as soon as those before it are there.

    Args:
        sheets: what to print; the same bytes come of each, however many there are.
        workers: processes. With fewer than two, or few sheets, it is done in this one.

    Raises:
        CertificateError: a page can't be drawn.
    """
    if workers < 2 or len(sheets) < FEWEST:
        yield from map(_render, sheets)
        return
    with ProcessPoolExecutor(
        min(workers, len(sheets)), mp_context=get_context("spawn"), initializer=_start
    ) as pool:
        try:
            yield from pool.map(_render, sheets)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start() -> None:
    """Let the collector of garbage pass over what was imported, which is never garbage."""
    gc.freeze()


def _render(sheet: Sheet) -> bytes:
    return render_certificate(sheet.predicate, sheet.statement_digest, sheet.envelope, sheet.proof)
