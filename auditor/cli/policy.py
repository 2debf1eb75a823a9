"""`auditor policy`: the rules that evidence is laid beside, with their citations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.output import emit, json_option
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.policies.limit import TimeLimit
    from auditor.policies.rule import Rule


@click.group()
def policy() -> None:
    """List, explain and check rule packs."""


@policy.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the shipped rules, pack by pack."""
    from auditor.policies.load import load_packs

    rows = [
        {
            "rule": rule.id,
            "citation": rule.citation,
            "title": rule.title,
            "pack": f"{pack.name} {pack.version}",
        }
        for pack in load_packs()
        for rule in pack.rules
    ]
    emit(rows, as_json)


@policy.command()
@click.argument("rule_id", metavar="RULE")
@json_option
def explain(rule_id: str, as_json: bool) -> None:
    """Explain one rule: what the law says, what the record must show, what a person decides."""
    from auditor.policies.load import load_packs

    for pack in load_packs():
        for rule in pack.rules:
            if rule.id.casefold() == rule_id.casefold():
                banner = next((item.banner for item in pack.rules if item.banner), "")
                about = {"banner": banner} if banner else {}
                emit({"pack": f"{pack.name} {pack.version}", **about, **_row(rule)}, as_json)
                return
    raise MisuseError(f"no rule named {rule_id}; see `auditor policy list`")


@policy.command()
@click.argument("folder", metavar="PACK", type=click.Path(path_type=Path))
@json_option
def check(folder: Path, as_json: bool) -> None:
    """Check a rule pack of your own: a folder with pack.yaml and rule files beside it."""
    from auditor.policies.load import load_pack

    pack = load_pack(folder)
    emit(
        {
            "pack": pack.name,
            "version": pack.version,
            "rules": len(pack.rules),
            "digest": str(pack.digest),
        },
        as_json,
    )


def _row(rule: Rule) -> dict[str, str]:
    row = {
        "rule": rule.id,
        "citation": rule.citation,
        "title": rule.title,
        "text": rule.text,
        "regimes": ", ".join(regime.value for regime in rule.applies.regimes),
        "requires": ", ".join(check.value for check in rule.requires),
        "time_limit": "" if rule.time_limit is None else _limit(rule.time_limit),
        "judged_by": rule.judged_by.value,
        "left_to_a_person": rule.left_to_a_person,
        "remedy": rule.remedy,
        "in_force": f"{rule.effective_from} to {rule.effective_to or 'further notice'}",
    }
    return row if rule.banner is None else row | {"banner": rule.banner}


def _limit(limit: TimeLimit) -> str:
    text = f"{limit.length} {limit.unit} from {limit.runs_from.value}"
    extended = "" if limit.extended is None else f", {limit.extended} {limit.unit} if extended"
    return f"{text}{extended} ({limit.counting.value})"
