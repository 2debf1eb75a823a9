from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from auditor.domain.artefact import Digest, digest_of
from auditor.domain.request import Regime
from auditor.errors import PolicyError
from auditor.policies.checks import CHECKS
from auditor.policies.load import load_own_pack, load_pack, load_packs, pinned_packs
from auditor.policies.pinning import concerning, kept_files, packs_digest
from auditor.policies.rule import Checked, Rule
from auditor.policies.text import LARGEST_FILE, read_text
from auditor.policies.vocabulary import Check
from auditor.shipped import shipped

SHIPPED = {pack.name: pack for pack in load_packs()}
RULES = [rule for pack in SHIPPED.values() for rule in pack.rules]

PACK = """\
name: st-elsewhere
title: Rules of our own hospital
version: 2026.11.1
"""
RULE = """\
rules:
  - id: OUR-1
    citation: House rule 1
    title: A request is granted
    text: The board decided so.
    applies:
      regimes: [gdpr]
    requires: [request-granted]
    judged_by: record
    left_to_a_person: nothing more.
    remedy: Decide it.
    effective_from: 2026-01-01
    unchecked: true
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "pack.yaml").write_text(PACK)
    (folder / "rules.yaml").write_text(RULE)
    return folder


def test_five_packs_are_shipped_and_each_concerns_one_body_of_law() -> None:
    assert list(SHIPPED) == ["ccpa", "eu-products", "gdpr", "hipaa", "uk-gdpr"]
    for pack in SHIPPED.values():
        assert len({rule.applies.regimes for rule in pack.rules}) == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_belongs_to_its_pack_and_says_what_it_does_not_show(rule: Rule) -> None:
    pack = next(pack for pack in SHIPPED.values() if rule in pack.rules)
    regime = {"eu-products": "gdpr"}.get(pack.name, pack.name)
    assert [regime.value for regime in rule.applies.regimes] == [regime]
    assert rule.unchecked, "say in pack.yaml and CHANGELOG.md who checked it"
    assert rule.left_to_a_person.endswith(".")
    assert rule.remedy.endswith(".")


def test_every_name_of_the_vocabulary_has_a_function_and_is_used_by_a_shipped_rule() -> None:
    assert set(CHECKS) == set(Check)
    assert {check for rule in RULES for check in rule.requires} == set(Check)


def test_a_hospital_loads_its_own_pack(pack: Path) -> None:
    loaded = load_pack(pack)
    assert (loaded.name, [rule.id for rule in loaded.rules]) == ("st-elsewhere", ["OUR-1"])


def test_a_pack_of_ones_own_is_not_taken_for_a_shipped_one(pack: Path) -> None:
    assert load_own_pack(pack) == load_pack(pack)
    assert load_own_pack(Path(str(shipped("policies") / "gdpr"))) == SHIPPED["gdpr"]
    for identifier, told in (
        ("GDPR-99", "begins like a shipped one"),
        ("HIPAA-OURS", "begins like a shipped one"),
        ("GDPR-17-3", "both hold a rule GDPR-17-3"),
    ):
        (pack / "rules.yaml").write_text(RULE.replace("OUR-1", identifier))
        with pytest.raises(PolicyError, match=told):
            load_own_pack(pack)
    (pack / "rules.yaml").write_text(RULE)
    (pack / "pack.yaml").write_text(PACK.replace("st-elsewhere", "gdpr"))
    with pytest.raises(PolicyError, match="same name"):
        load_own_pack(pack)


@pytest.mark.parametrize("name", ["more.yml", "more.YAML", "more.json"])
def test_a_rule_file_of_another_ending_is_not_passed_over(pack: Path, name: str) -> None:
    (pack / name).write_text(RULE.replace("OUR-1", "OUR-2"))
    with pytest.raises(PolicyError, match=rf"{name}: rule files end in .yaml; rename it"):
        load_pack(pack)


def test_no_more_of_a_file_is_read_than_rules_may_take(pack: Path) -> None:
    with (pack / "rules.yaml").open("ab") as file:
        file.truncate(1 << 40)  # no disk holds it, nor does memory
    with pytest.raises(PolicyError, match="larger than 65536 bytes"):
        load_pack(pack)


@pytest.mark.parametrize("day", ["2026-1-1", "1767225600", "2026-01-01T00:00:00", "1 May 2026"])
def test_a_day_is_written_out(pack: Path, day: str) -> None:
    (pack / "rules.yaml").write_text(RULE.replace("2026-01-01", day))
    with pytest.raises(PolicyError, match=r"effective_from: must be a day, as 2027-01-31"):
        load_pack(pack)


def test_the_digest_is_over_names_and_bytes_of_all_files(pack: Path) -> None:
    expected = digest_of(
        {name: str(Digest.of((pack / name).read_bytes())) for name in ("pack.yaml", "rules.yaml")}
    )
    assert load_pack(pack).digest == expected


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "rules.yaml").write_text(RULE + "# a comment\n"),
        lambda folder: (folder / "rules.yaml").rename(folder / "renamed.yaml"),
        lambda folder: (folder / "pack.yaml").write_text(PACK.replace("own", "very own")),
    ],
    ids=["a comment", "another file name", "another title"],
)
def test_any_change_changes_the_digest(pack: Path, edit: Callable[[Path], object]) -> None:
    before = load_pack(pack).digest
    edit(pack)
    assert load_pack(pack).digest != before


def test_editors_left_overs_are_not_rules(pack: Path) -> None:
    before = load_pack(pack)
    (pack / "rules.yaml~").write_text("{{{")
    assert load_pack(pack) == before


def test_an_edited_copy_of_a_shipped_pack_has_another_digest(tmp_path: Path) -> None:
    copy = tmp_path / "gdpr"
    shutil.copytree(Path(str(shipped("policies") / "gdpr")), copy)
    assert load_pack(copy).digest == SHIPPED["gdpr"].digest
    first = sorted(copy.glob("article*.yaml"))[0]
    first.write_text(first.read_text().replace("length: 1\n", "length: 2\n"))
    assert load_pack(copy).digest != SHIPPED["gdpr"].digest


def test_two_packs_of_one_name_are_refused(pack: Path) -> None:
    loaded = load_pack(pack)
    with pytest.raises(PolicyError, match="same name"):
        packs_digest([loaded, loaded])


def edited(old: str, new: str) -> str:
    assert old in RULE
    return RULE.replace(old, new)


TIMED = "time_limit: {length: 1, unit: %s, runs_from: %s, counting: %s}"
FORGED = {
    "an unknown key": (
        edited("    remedy:", "    remedie: x\n    remedy:"),
        r"remedie: unknown key",
    ),
    "an unknown key inside": (
        edited("regimes: [gdpr]", "regimes: [gdpr]\n      ground: [gdpr-17-1-b]"),
        r"rules.yaml:8: rule OUR-1: ground: unknown key",
    ),
    "a missing key": (edited("    remedy: Decide it.\n", ""), r"rule OUR-1: remedy: is missing"),
    "an unknown check": (
        edited("[request-granted]", "[request-grantd]"),
        r"rules.yaml:8: rule OUR-1: 0: Input should be 'request-granted'",
    ),
    "an expression for a check": (edited("[request-granted]", '["1 == 1"]'), r":8: rule OUR-1"),
    "an unknown ground": (
        edited("regimes: [gdpr]", "regimes: [gdpr]\n      grounds: [gdpr-17-1-g]"),
        r"rules.yaml:8: rule OUR-1",
    ),
    "a rule without evidence": (edited("[request-granted]", "[]"), r"must require at least one"),
    "a check twice": (
        edited("[request-granted]", "[request-granted, request-granted]"),
        r"required twice",
    ),
    "a timed check without a limit": (
        edited("request-granted", "answered-in-time"),
        r"needs a time_limit",
    ),
    "a timed check with a limit from elsewhere": (
        edited("request-granted", "answered-in-time")
        + f"    {TIMED % ('days', 'access-request', 'calendar')}\n",
        r"runs from receipt",
    ),
    "retention in days": (
        edited("request-granted", "kept-until")
        + f"    {TIMED % ('days', 'receipt', 'calendar')}\n",
        r"time_limit in months or years from last-record",
    ),
    "retention from receipt": (
        edited("request-granted", "kept-until")
        + f"    {TIMED % ('years', 'receipt', 'calendar')}\n",
        r"time_limit in months or years from last-record",
    ),
    "months of business days": (
        RULE + f"    {TIMED % ('months', 'receipt', 'business-days')}\n",
        r"months are counted by",
    ),
    "years of business days": (
        RULE + f"    {TIMED % ('years', 'receipt', 'business-days')}\n",
        r"business-days counts days",
    ),
    "what is kept, counted by working days": (
        RULE + f"    {TIMED % ('days', 'last-record', 'business-days')}\n",
        r"last record is counted by calendar",
    ),
    "a European clock that stops": (
        RULE
        + "    time_limit: {length: 1, unit: months, runs_from: receipt, stops: true,"
        + " counting: regulation-1182-71}\n",
        r"only a period counted by corresponding-date stops",
    ),
    "checked by nobody, and not said so": (edited("    unchecked: true\n", ""), r"unchecked: true"),
    "not unchecked, and checked by nobody": (
        edited("unchecked: true", "unchecked: no"),
        r"say who checked the rule",
    ),
    "checked and unchecked": (
        RULE + "    checked: {by: Dr. Lex, source: OJ L 119, date: 2026-11-01}\n",
        r"say who checked the rule",
    ),
    "checked on no day": (
        edited("unchecked: true", "checked: {by: Dr. Lex, source: OJ L 119}"),
        r"date: is missing",
    ),
    "a document without its check": (RULE + "    documents: [impact-assessment]\n", r"go together"),
    "its check without a document": (
        edited("[request-granted]", "[document-filed]"),
        r"document-filed and documents go together",
    ),
    "a document that nobody knows": (
        edited("[request-granted]", "[document-filed]") + "    documents: [horoscope]\n",
        r"rules.yaml:14: rule OUR-1: 0: Input should be",
    ),
    "a letter without its check": (
        RULE + "    letters: [granted]\n",
        r"letter-in-time and letters go together",
    ),
    "renewal of nothing": (RULE + "    renewed_within: 12\n", r"renewed_within needs documents"),
    "an exemption from anything": (
        edited("[request-granted]", "[exemption-reviewed]"),
        r"exemption-reviewed needs applies.reasons",
    ),
    "months counted as days are": (
        RULE + f"    {TIMED % ('months', 'receipt', 'calendar')}\n",
        r"months are counted by regulation-1182-71",
    ),
    "an extension shorter than the limit": (
        RULE
        + "    time_limit: {length: 3, extended: 1, unit: days, runs_from: receipt,"
        + " counting: calendar}\n",
        r"must exceed length",
    ),
    "a limit of no length": (
        RULE + "    time_limit: {length: 0, unit: days, runs_from: receipt, counting: calendar}\n",
        r"length: Input should be greater than or equal to 1",
    ),
    "a date that is none": (edited("2026-01-01", "2026-02-30"), r"effective_from"),
    "an end before its start": (RULE + "    effective_to: 2025-12-31\n", r"lies before"),
    "a promise": (edited("A request is granted", "We are compliant"), r'never says "compliant"'),
    "an empty text": (edited("The board decided so.", '"  "'), r"text: must be text of 1"),
    "text that runs backwards": (edited("Decide it.", '"Decide \\u202e it."'), r"control"),
    "an id that is a path": (edited("OUR-1", "../OUR"), r"rule ../OUR: id"),
    "a rule twice": (RULE + RULE.removeprefix("rules:\n"), r"rule OUR-1 appears twice in the pack"),
    "a rule twice in other letters": (
        RULE
        + RULE.removeprefix("rules:\n").replace("OUR-1", "OUR-1a")
        + RULE.removeprefix("rules:\n").replace("OUR-1", "OUR-1A"),
        r"rule OUR-1A appears twice",
    ),
    "a key twice": (RULE + "    remedy: Another.\n", r"rules.yaml:14: key remedy appears twice"),
    "an alias": (
        edited("left_to_a_person: nothing more.", "left_to_a_person: &x nothing.").replace(
            "Decide it.", "*x"
        ),
        r"rules.yaml:10: anchors and aliases",
    ),
    "a merge key": (edited("    remedy:", "    <<: {a: b}\n    remedy:"), r"<<: unknown key"),
    "a tag": (edited("Decide it.", "!!python/name:os.system x"), r"rules.yaml:11: YAML tags"),
    "a standard tag": (edited("Decide it.", "!!str x"), r"rules.yaml:11: YAML tags"),
    "a key that is a list": (RULE + "    ? [a]\n    : b\n", r"rules.yaml:14: a key must be a word"),
    "two documents": (RULE + "---\n" + RULE, r"rules.yaml:14: not YAML"),
    "a tab": (RULE + "\tremedy: x\n", r"not YAML"),
    "an open bracket": (edited("[request-granted]", "[request-granted"), r"not YAML"),
    "deep nesting": ("rules: " + "[" * 2000, r"nested more than 8 deep"),
    "a list instead of a mapping": ("- a\n- b\n", r"rules.yaml:1: the file: "),
    "a rule that is text": ("rules: [OUR-1]\n", r"rules.yaml:1: rule number 0: 0: "),
    "rules that are text": ("rules: OUR-1\n", r"rules.yaml:1: rules: "),
    "nothing at all": ("", r"rules.yaml:1: rules: is missing"),
    "a control character": (RULE + "\x00", r"not YAML"),
}


@pytest.mark.parametrize(("forged", "message"), FORGED.values(), ids=FORGED)
def test_a_forged_pack_is_refused_by_name_and_line(pack: Path, forged: str, message: str) -> None:
    (pack / "rules.yaml").write_text(forged)
    with pytest.raises(PolicyError, match=message) as refused:
        load_pack(pack)
    assert "ours/rules.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_genuine_twin_of_all_those_is_accepted(pack: Path) -> None:
    assert len(load_pack(pack).rules) == 1


def test_a_rule_says_who_read_it_beside_the_law(pack: Path) -> None:
    read = "checked: {by: Dr. Lex, source: OJ L 119, date: 2026-11-01}"
    (pack / "rules.yaml").write_text(edited("unchecked: true", read))
    (rule,) = load_pack(pack).rules
    assert rule.checked == Checked(by="Dr. Lex", source="OJ L 119", date=date(2026, 11, 1))
    assert not rule.unchecked


def docs() -> str:
    return (Path(__file__).parent.parent.parent / "docs" / "policies.md").read_text("utf-8")


def test_the_rule_that_the_docs_show_can_be_loaded(pack: Path) -> None:
    shown = docs().split("A rule:\n\n", 1)[1].split("\n\n", 1)[0]
    (pack / "rules.yaml").write_text("\n".join(line[4:] for line in shown.splitlines()) + "\n")
    (rule,) = load_pack(pack).rules
    assert rule.id == "OUR-TEN-DAYS" and rule.checked is not None


def test_the_docs_count_the_shipped_rules() -> None:
    counted = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (\d+) \| `", docs(), re.MULTILINE)
    assert dict(counted) == {name: str(len(pack.rules)) for name, pack in SHIPPED.items()}


def test_a_pack_comes_back_from_its_digest_byte_for_byte(pack: Path) -> None:
    packs = (load_pack(pack), SHIPPED["ccpa"])
    kept = {Digest.of(data): data for data in kept_files(packs)}
    assert pinned_packs(packs_digest(packs), kept.__getitem__) == tuple(
        sorted(packs, key=lambda loaded: loaded.name)
    )


def test_a_pack_of_no_regime_concerns_every_request(pack: Path) -> None:
    (pack / "rules.yaml").write_text(edited("      regimes: [gdpr]", "      grounds: []"))
    loaded = load_pack(pack)
    for regime in Regime:
        named = [item.name for item in concerning((loaded, *SHIPPED.values()), regime)]
        products = ["eu-products"] if regime is Regime.GDPR else []
        assert named == [regime.value, "st-elsewhere", *products]


def test_every_scalar_stays_text() -> None:
    content = read_text("x.yaml", b"a: no\nb: 1_0\nc: 2026-01-01\nd: ~\ne: 0o17\n").content
    assert content == {"a": "no", "b": "1_0", "c": "2026-01-01", "d": "~", "e": "0o17"}


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(PolicyError, match=r"x.yaml:1: anchors"):
        read_text("x.yaml", bomb.encode())


def test_the_largest_file_is_read_or_refused_quickly() -> None:
    started = time.process_time()
    with pytest.raises(PolicyError, match="nested"):
        read_text("x.yaml", b"[" * LARGEST_FILE)
    with pytest.raises(PolicyError, match="larger than"):
        read_text("x.yaml", b"a" * (LARGEST_FILE + 1))
    assert time.process_time() - started < 5


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"x.yaml: not UTF-8"):
        read_text("x.yaml", b"a: \xff")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda folder: (folder / "pack.yaml").unlink(), "no pack.yaml"),
        (lambda folder: (folder / "rules.yaml").unlink(), "holds no rules"),
        (shutil.rmtree, "no such folder"),
        (
            lambda folder: (folder / "pack.yaml").write_text(PACK + "signed: no\n"),
            "pack.yaml:4: signed: unknown key",
        ),
        (
            lambda folder: (folder / "pack.yaml").write_text(PACK.replace("2026.11.1", "latest")),
            "pack.yaml:3: version: ",
        ),
        (
            lambda folder: (folder / "pack.yaml").write_text(PACK.replace("st-", "../")),
            "pack.yaml:1: name: ",
        ),
    ],
)
def test_a_folder_that_is_no_pack_is_refused(
    pack: Path, edit: Callable[[Path], object], message: str
) -> None:
    edit(pack)
    with pytest.raises(PolicyError, match=message):
        load_pack(pack)
