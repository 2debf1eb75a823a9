"""`auditor verification`: an audit's evidence as one file, and its verdict repeated from it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.cli.output import emit, home_option, json_option
from auditor.errors import EvidenceError

_INVALID = 3


@click.group()
def verification() -> None:
    """Export the evidence of an audit, and repeat its verdict from it."""


@verification.command()
@click.argument("case")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option(
    "--with-scores",
    is_flag=True,
    help="Hand over every image's scores, too; they tell who was in the training set.",
)
@home_option
@json_option
def export(case: str, out: Path, with_scores: bool, home: Path | None, as_json: bool) -> None:
    """Write the bundle of the audit that decided a case.

    Without --with-scores it holds plan, evidence and proof, but nothing of an image or a patient,
    and can't be replayed.
    """
    from auditor.cli.opening import open_home
    from auditor.workflow.exporting import export_bundle
    from auditor.workflow.files import write_file

    content = export_bundle(open_home(home), case, with_scores=with_scores)
    write_file(out, content)
    emit({"bundle": str(out), "bytes": len(content), "scores": with_scores}, as_json)


@verification.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--trust", required=True, type=click.Path(path_type=Path), help="The trust file.")
@json_option
@click.pass_context
def replay(context: click.Context, bundle: Path, trust: Path, as_json: bool) -> None:
    """Repeat a verdict from the scores of a bundle, by numpy and scipy alone.

    Exit code 0: the ledger's verdict, bit for bit; 3: another one, or a bundle that isn't of the
    audit that the ledger holds.
    """
    from auditor.proof.trust import fingerprint, parse_trust
    from auditor.verification.bundle import LARGEST, read_bundle
    from auditor.verification.bundle import replay as replaying
    from auditor.workflow.bundling import verify_manifest

    trusted = _read(trust, LARGEST)
    manifest, arrays = read_bundle(_read(bundle, LARGEST))
    event = verify_manifest(manifest, parse_trust(trusted), datetime.now(UTC))
    found = replaying(manifest, arrays)
    emit(
        {
            "case": event.case,
            "trust": fingerprint(trusted),
            "recorded": event.verdict.value,
            "replayed": found.decision.verdict.value,
            "bit_for_bit": "yes" if found.identical else "no",
            "same_code": "yes" if found.same_code else "no",
            "reasons": [reason.text for reason in found.decision.reasons],
        },
        as_json,
    )
    context.exit(0 if found.identical else _INVALID)


def _read(path: Path, largest: int) -> bytes:
    try:
        if path.stat().st_size > largest:
            raise EvidenceError(f"{path} is larger than {largest} bytes")
        return path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"can't read {path}: {error.strerror}") from None
