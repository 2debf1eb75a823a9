"""`auditor verification`: an audit's evidence as one file, and its verdict repeated from it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.output import emit, home_option, json_option, progress_reporter
from auditor.errors import EvidenceError, MisuseError
from auditor.given import read_given

if TYPE_CHECKING:
    from auditor.verification.bundle import Bundle, Replayed
    from auditor.verification.scores import Scores


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
@click.option(
    "--with-weights",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Hand over the models, too, into a new folder, and say in the bundle which image was "
    "forgotten; for nobody but who holds the data.",
)
@home_option
@json_option
def export(
    case: str,
    out: Path,
    with_scores: bool,
    with_weights: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Write the bundle of the audit that decided a case.

    Without --with-scores and --with-weights it holds plan, evidence and proof, but nothing of an
    image or a patient, and can't be replayed. Models are there to be handed over until the run
    destroys them: `auditor run --until-verdict` stops before. The case isn't closed until
    `auditor verification taken-back`.
    """
    from auditor.cli.opening import open_home
    from auditor.verification.bundle import pack_bundle
    from auditor.workflow.documents.exporting import export_audit
    from auditor.workflow.homes.files import OWNER_ONLY, READABLE, write_file

    opened = open_home(home)
    exported = export_audit(opened, case, with_scores=with_scores)
    roles = None
    if with_weights is not None:
        from auditor.workflow.erasure.handing_over import hand_over

        with progress_reporter() as (progress, _):
            roles = hand_over(
                opened, case, with_weights, workers=os.cpu_count() or 1, progress=progress
            )
    content = pack_bundle(exported.manifest, scores=exported.scores, roles=roles)
    write_file(out, content, mode=OWNER_ONLY if with_scores or roles else READABLE)
    told = {"bundle": str(out), "bytes": len(content), "scores": with_scores}
    emit(told | ({} if roles is None else {"weights": str(with_weights)}), as_json)


@verification.command("forget-scores")
@click.argument("case")
@home_option
@json_option
def forget_scores(case: str, home: Path | None, as_json: bool) -> None:
    """Destroy the scores that were kept of a closed case; `auditor run` does on their last day."""
    from auditor.cli.opening import open_home
    from auditor.workflow.models.kept_scores import forget_scores as forget

    audits = forget(open_home(home), case)
    emit({"case": case, "audits": audits, "scores": "destroyed"}, as_json)


@verification.command("taken-back")
@click.argument("case")
@home_option
@json_option
def taken_back(case: str, home: Path | None, as_json: bool) -> None:
    """Say that no copy is left of the models that were handed over; the case can be closed."""
    from auditor.cli.opening import open_home
    from auditor.workflow.erasure.handing_over import take_back

    take_back(open_home(home), case)
    emit({"case": case, "copies": "none left"}, as_json)


@verification.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--trust", required=True, type=click.Path(path_type=Path), help="The trust file.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The models that were handed over: measure them again.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="MANIFEST", help="The data set's manifest."
)
@click.option(
    "--factory",
    "factories",
    multiple=True,
    metavar="MODULE:NAME",
    help="Code you trust that builds the network, where it isn't auditor's own.",
)
@json_option
@click.pass_context
def replay(
    context: click.Context,
    bundle: Path,
    trust: Path,
    weights: Path | None,
    data: Path | None,
    factories: tuple[str, ...],
    as_json: bool,
) -> None:
    """Repeat a verdict from the scores of a bundle, by numpy and scipy alone, or from the models.

    With --weights and --data every model is measured again, after its file and the data were held
    against the digests that the ledger binds. No home is needed.

    The same kind of processor, code and packages give the same bits. Others round otherwise.

    Exit code 0: the ledger's verdict, bit for bit; 4: the same verdict, and a residual influence
    within 0.01 or 1 % of the recorded one; 3: anything else, or files that aren't of the audit
    that the ledger holds. From scores by the same code it is 0 or 3.
    """
    from auditor.proof.trust import fingerprint, parse_trust
    from auditor.verification.archive import LARGEST
    from auditor.verification.bundle import Agreement, agreement, read_bundle
    from auditor.verification.bundle import replay as replaying
    from auditor.verification.scores import scores_from
    from auditor.workflow.audit.bundling import verify_manifest

    if (weights is None) != (data is None):
        raise MisuseError("to replay from the models name both, --weights and --data")
    trusted = _read(trust, LARGEST)
    read = read_bundle(_read(bundle, LARGEST))
    event = verify_manifest(read.manifest, parse_trust(trusted), datetime.now(UTC))
    if weights is None or data is None:
        scores, compared = scores_from(read.arrays), {}
    else:
        scores = _measured(read, weights, data, factories)
        compared = _compared(read, scores)
    found = replaying(read.manifest, scores)
    agreed = agreement(read.manifest, found, remeasured=weights is not None)
    emit(
        {
            "case": event.case,
            "trust": fingerprint(trusted),
            "recorded": event.verdict.value,
            "replayed": found.decision.verdict.value,
            "agreement": agreed.value,
            "same_code": "yes" if found.same_code else "no",
            **compared,
            **_influences(read, found),
            "reasons": [reason.text for reason in found.decision.reasons],
        },
        as_json,
    )
    codes = {Agreement.BIT_FOR_BIT: 0, Agreement.NEAR: 4, Agreement.OTHER: 3}
    context.exit(codes[agreed])


def _measured(bundle: Bundle, weights: Path, data: Path, factories: tuple[str, ...]) -> Scores:
    from auditor.learning.engine import require_engine

    require_engine()
    from auditor.workflow.erasure.remeasuring import measure_again

    with progress_reporter() as (progress, _):
        return measure_again(
            bundle, data=data, weights=weights, factories=factories, progress=progress
        )


def _compared(bundle: Bundle, scores: Scores) -> dict[str, str]:
    """What was measured here against the bundle's own scores, where it has them."""
    from auditor.verification.scores import compare_scores, scores_from

    if not bundle.arrays:
        return {"same_scores": "none in the bundle to compare"}
    found = compare_scores(scores_from(bundle.arrays), scores)
    return {
        "same_scores": "yes" if found.identical else "no",
        "largest_difference": f"{found.margin:.3g} (signed logit margin)",
    }


def _influences(bundle: Bundle, found: Replayed) -> dict[str, str]:
    """Residual influence as it was signed and as it is found, for whoever gets other bits."""
    return {
        f"influence_{name}": f"{each.influence.equivalence.point!r}"
        for name, each in (("recorded", bundle.manifest.evidence), ("replayed", found.evidence))
    }


def _read(path: Path, largest: int) -> bytes:
    try:
        return read_given(path, largest)
    except OSError as error:
        raise EvidenceError(f"can't read {path}: {error.strerror}") from None
