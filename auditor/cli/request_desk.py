"""The desk's acts under `auditor request`: decisions, and what may come before and after them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.domain.event import DecisionProposed
from auditor.domain.request import DecisionKind, DecisionReason
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.proof.signing import Signer

_DECISIONS = {
    "grant": DecisionKind.GRANTED,
    "refuse": DecisionKind.REFUSED,
    "extend": DecisionKind.EXTENDED,
    "hold": DecisionKind.HELD,
    "withdraw": DecisionKind.WITHDRAWN,
}

key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="Your key file (auditor keys new); needed once the trust file lists keys of the desk.",
)
role_option = click.option(
    "--by", "role", default="dpo", show_default=True, help="Role, never a name."
)


@click.command()
@click.argument("case")
@click.option("--grant", "decision", flag_value="grant", help="Erase.")
@click.option("--refuse", "decision", flag_value="refuse", help="Close with a signed record.")
@click.option("--extend", "decision", flag_value="extend", help="Take the extension of time.")
@click.option("--hold", "decision", flag_value="hold", help="Stop until something is resolved.")
@click.option("--withdraw", "decision", flag_value="withdraw", help="The subject took it back.")
@click.option(
    "--because",
    "reason",
    type=click.Choice([reason.value for reason in DecisionReason]),
    default=DecisionReason.NONE.value,
    help="Reason, where the law asks for one.",
)
@click.option("--review", help="Day by which an exemption is looked at again, YYYY-MM-DD.")
@role_option
@key_option
@home_option
@json_option
def decide(
    case: str,
    decision: str | None,
    reason: str,
    review: str | None,
    role: str,
    key: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Record the desk's decision on a case.

    Where four eyes are asked for ([desk] of auditor.toml), the first person proposes to grant or
    refuse, and the case moves when another person's key says the same.
    """
    from auditor.workflow.desk import decide as record_decision
    from auditor.workflow.desk_rules import NO_REVIEW

    if decision is None:
        raise MisuseError("say what was decided: --grant, --refuse, --extend, --hold, --withdraw")
    recorded = record_decision(
        open_home(home),
        case,
        _DECISIONS[decision],
        role,
        reason=DecisionReason(reason),
        review=NO_REVIEW if review is None else day_of(review, "--review"),
        signers=signers_in(key),
    )
    proposed = isinstance(recorded.event, DecisionProposed)
    emit(
        {
            "case": case,
            "decision": _DECISIONS[decision].value,
            "waits_for": "second pair of eyes" if proposed else "",
            "sequence": recorded.sequence,
        },
        as_json,
    )


def signers_in(key: Path | None) -> Sequence[Signer]:
    """The keys in the file named on the command line; none without one."""
    from auditor.workflow.statement_keys import read_pair

    return () if key is None else read_pair(key)


def day_of(text: str, option: str) -> date:
    """A day named on the command line.

    Raises:
        MisuseError: no such day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"{option} {text!r} is no day; write it as YYYY-MM-DD") from None
