"""`auditor policy`: the rules that evidence is laid beside, with their citations."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.cli.request_desk import day_of, hand, key_option, role_option
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditor.domain.verdict import Finding
    from auditor.policies.limit import TimeLimit
    from auditor.policies.rule import Rule, RulePack

_HEAD = "pack.yaml"


@click.group()
def policy() -> None:
    """List, explain and check rule packs; lay an open case beside newer ones."""


@policy.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List the shipped rules pack by pack, and with --home the hospital's own as well."""
    rows = [
        {
            "rule": rule.id,
            "citation": rule.citation,
            "title": rule.title,
            "pack": f"{pack.name} {pack.version}",
            "checked": _checked(rule),
        }
        for pack in _packs(home)
        for rule in pack.rules
    ]
    emit(rows, as_json)


@policy.command()
@click.argument("names", nargs=-1, required=True, metavar="[CASE] RULE")
@home_option
@json_option
def explain(names: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Explain one rule, or what it found in a case.

    RULE alone: what the law says, what the record must show, what a person decides. With CASE:
    what was asked there, what was found in which entries, what is missing, and by when.
    """
    if len(names) > 2:
        raise MisuseError("name a rule, or a case and a rule")
    if len(names) == 2:
        _explain_case(*names, home, as_json)
        return
    pack, rule = _rule_named(_packs(home), names[0])
    banner = next((item.banner for item in pack.rules if item.banner), "")
    about = {"banner": banner} if banner else {}
    emit({"pack": f"{pack.name} {pack.version}", **about, **_row(rule)}, as_json)


@policy.command()
@click.argument("name", metavar="RULE")
@click.option("--from", "start", required=True, help="Day it runs from, YYYY-MM-DD.")
@click.option("--country", default="", help="Whose public holidays count, as in DE.  [weekends]")
@home_option
@json_option
def due(name: str, start: str, country: str, home: Path | None, as_json: bool) -> None:
    """Count the time limit of a rule, or of a law that no case is handled under yet (LGPD, DPDP).

    A case's own last day, with what extends or stops it, is told by policy explain CASE RULE.
    """
    from auditor.policies.counting import last_day

    day = day_of(start, "--from")
    about, limit = _limit_named(home, name)
    row = {**about, "time_limit": _limit(limit), "last_day": str(last_day(limit, day, country).day)}
    if limit.extended is not None:
        row["last_day_if_extended"] = str(last_day(limit, day, country, extended=True).day)
    emit(row, as_json)


@policy.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@home_option
@json_option
def check(path: Path, home: Path | None, as_json: bool) -> None:
    """Check rules of your own: a folder with pack.yaml and rule files beside it, or one file.

    A pack is laid beside the shipped ones, and with --home beside the hospital's others.
    """
    from auditor.policies.load import load_head, load_own_pack, load_own_rules
    from auditor.policies.pinning import require_distinct

    if path.is_file() and path.name == _HEAD:
        head = load_head(path)
        emit({"pack": head.name, "version": head.version}, as_json)
    elif path.is_file():
        rules = load_own_rules(path)
        emit({"file": path.name, "rules": len(rules), "unchecked": _unchecked(rules)}, as_json)
    else:
        pack = load_own_pack(path)
        others = () if home is None else _packs(home)
        require_distinct([pack, *(each for each in others if each.name != pack.name)])
        emit(
            {
                "pack": pack.name,
                "version": pack.version,
                "rules": len(pack.rules),
                "unchecked": _unchecked(pack.rules),
                "digest": str(pack.digest),
            },
            as_json,
        )


@policy.command()
@click.option("--head", is_flag=True, help="Of the file pack.yaml instead.")
def schema(head: bool) -> None:
    """Print the JSON Schema of a rule file, for an editor."""
    from auditor.shipped import shipped

    name = "rule-pack-v1.schema.json" if head else "rule-file-v1.schema.json"
    click.echo((shipped("templates") / name).read_text(encoding="utf-8"), nl=False)


@policy.command()
@click.argument("case")
@role_option
@key_option
@home_option
@json_option
def repin(case: str, role: str, key: Path | None, home: Path | None, as_json: bool) -> None:
    """Lay an open case beside the rule packs in use today, and say so in the ledger.

    Without this a case keeps to the packs of the day on which it was filed.
    """
    from auditor.workflow.desk.library import repin as lay_beside

    digest = lay_beside(open_home(home), case, hand(role, key))
    emit({"case": case, "policies": str(digest)}, as_json)


def _explain_case(case: str, rule_id: str, home: Path | None, as_json: bool) -> None:
    from auditor.policies.evaluate import evaluate
    from auditor.workflow.desk.library import case_facts, packs_of

    opened = open_home(home)
    packs = packs_of(opened, case)
    pack, rule = _rule_named(packs, rule_id)
    findings = {item.rule_id: item for item in evaluate(packs, case_facts(opened, case))}
    row = {"case": case, "pack": f"{pack.name} {pack.version}", **_found(rule, findings[rule.id])}
    if not as_json:
        row |= {key: " ".join(value) for key, value in row.items() if isinstance(value, list)}
    emit(row, as_json)


def _found(rule: Rule, finding: Finding) -> dict[str, object]:
    why = {} if finding.found or finding.missing else {"because": finding.explanation}
    return {
        "rule": rule.id,
        "citation": finding.citation,
        "title": finding.title,
        "asked": finding.asked,
        "status": finding.status.value,
        **why,
        "found": list(finding.found),
        "missing": list(finding.missing),
        "by_when": "" if finding.due == date.max else finding.due.isoformat(),
        "entries": [str(leaf) for leaf in finding.leaves],
        "left_to_a_person": rule.left_to_a_person,
        "remedy": rule.remedy,
        "checked": _checked(rule),
    }


def _packs(home: Path | None) -> tuple[RulePack, ...]:
    if home is None:
        from auditor.policies.load import load_packs

        return load_packs()
    from auditor.workflow.desk.library import packs_in_use

    return packs_in_use(open_home(home))


def _limit_named(home: Path | None, name: str) -> tuple[dict[str, str], TimeLimit]:
    """What is said of a rule or of a law without a pack, and its time limit."""
    from auditor.policies.elsewhere import load_elsewhere

    for found in load_elsewhere():
        if found.id.casefold() == name.casefold():
            in_force = f"{found.effective_from} to further notice"
            said = {"rule": found.id, "law": found.law, "citation": found.citation}
            return {**said, "in_force": in_force, "checked": "unchecked"}, found.time_limit
    pack, rule = _rule_named(_packs(home), name)
    if rule.time_limit is None:
        raise MisuseError(f"rule {rule.id} has no time limit")
    said = {"rule": rule.id, "pack": f"{pack.name} {pack.version}", "citation": rule.citation}
    return {**said, "checked": _checked(rule)}, rule.time_limit


def _rule_named(packs: Sequence[RulePack], name: str) -> tuple[RulePack, Rule]:
    for pack in packs:
        for rule in pack.rules:
            if rule.id.casefold() == name.casefold():
                return pack, rule
    raise MisuseError(f"no rule named {name} there; see `auditor policy list`")


def _row(rule: Rule) -> dict[str, str]:
    row = {
        "rule": rule.id,
        "citation": rule.citation,
        "title": rule.title,
        "text": rule.text,
        "regimes": ", ".join(regime.value for regime in rule.applies.regimes) or "every",
        "requires": ", ".join(check.value for check in rule.requires),
        "documents": ", ".join(kind.value for kind in rule.documents),
        "letters": ", ".join(kind.value for kind in rule.letters),
        "time_limit": "" if rule.time_limit is None else _limit(rule.time_limit),
        "judged_by": rule.judged_by.value,
        "left_to_a_person": rule.left_to_a_person,
        "remedy": rule.remedy,
        "in_force": f"{rule.effective_from} to {rule.effective_to or 'further notice'}",
        "checked": _checked(rule),
    }
    return row if rule.banner is None else row | {"banner": rule.banner}


def _checked(rule: Rule) -> str:
    if rule.checked is None:
        return "unchecked"
    return f"by {rule.checked.by}, beside {rule.checked.source}, {rule.checked.date}"


def _unchecked(rules: Sequence[Rule]) -> int:
    return sum(rule.unchecked for rule in rules)


def _limit(limit: TimeLimit) -> str:
    text = f"{limit.length} {limit.unit} from {limit.runs_from.value}"
    extended = "" if limit.extended is None else f", {limit.extended} {limit.unit} if extended"
    stops = ", stands still while the controller waits" if limit.stops else ""
    return f"{text}{extended} ({limit.counting.value}{stops})"
