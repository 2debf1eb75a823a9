from __future__ import annotations

import re
import shutil
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from auditor.certificates.page import document_html
from auditor.domain.artefact import Digest
from auditor.domain.event import ErasureRequested
from auditor.domain.request import Ground, Regime
from auditor.policies.dates import eu_deadline
from auditor.policies.zone import TZDATA
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream, record
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor

PACKS = Path(__file__).parent.parent.parent / "policies"


HEADS = list(PACKS.glob("*/pack.yaml"))


def test_every_listed_rule_can_be_explained(auditor: Auditor) -> None:
    rules = auditor("policy", "list", "--json").json
    assert len(rules) >= 12
    assert {rule["pack"].split()[0] for rule in rules} == {path.parent.name for path in HEADS}
    assert {rule["checked"] for rule in rules} == {"unchecked"}
    for rule in rules:
        explained = auditor("policy", "explain", rule["rule"].lower(), "--json")
        assert explained.code == 0
        assert explained.json["citation"] == rule["citation"]
        assert explained.json["remedy"]


def test_every_hipaa_rule_says_that_there_is_no_general_right_of_erasure(auditor: Auditor) -> None:
    rules = auditor("policy", "list", "--json").json
    for rule in rules:
        if rule["pack"].startswith("hipaa"):
            explained = auditor("policy", "explain", rule["rule"], "--json").json
            assert "no general right" in " ".join(str(text) for text in explained.values())


def test_an_unknown_rule_is_misuse(auditor: Auditor) -> None:
    ran = auditor("policy", "explain", "GDPR-99-X")
    assert ran.code == 2
    assert "auditor policy list" in ran.err


def test_a_pack_of_ones_own_is_checked_as_the_shipped_are(auditor: Auditor, tmp_path: Path) -> None:
    checked = auditor("policy", "check", PACKS / "gdpr", "--json")
    assert checked.code == 0
    assert checked.json["pack"] == "gdpr"
    own = tmp_path / "own"
    own.mkdir()
    for path in (PACKS / "gdpr").glob("*.yaml"):
        (own / path.name).write_bytes(path.read_bytes())
    assert auditor("policy", "check", own, "--json").json["digest"] == checked.json["digest"]
    with (own / "pack.yaml").open("a", encoding="utf-8") as file:
        file.write("colour: blue\n")
    ran = auditor("policy", "check", own)
    assert ran.code == 1
    assert "colour" in ran.err and ran.err.count("\n") == 1


def filed(auditor: Auditor, home: Home) -> str:
    ran = auditor(
        *("request", "file", "--model", "detector", "--subject", "p1"),
        *("--home", home.root, "--json"),
    )
    return str(ran.json["case"])


def test_explaining_a_rule_in_a_case_says_what_is_there_and_what_is_missing(
    auditor: Auditor, stocked: Home
) -> None:
    case = filed(auditor, stocked)
    told = auditor("policy", "explain", case, "gdpr-17-1-b", "--home", stocked.root, "--json").json
    assert (told["status"], told["checked"]) == ("INSUFFICIENT", "unchecked")
    assert told["citation"] == "Article 17(1)(b) GDPR"
    assert told["asked"].startswith("The data subject withdraws the consent")
    assert told["missing"][-1] == "Not on file: withdrawal of consent."
    assert told["found"] == [] and told["by_when"] == ""
    answer = auditor(
        "policy", "explain", case, "GDPR-12-3-RESPOND", "--home", stocked.root, "--json"
    ).json
    received = stocked.ledger.replay(f"case:{case}")[0].event
    assert answer["by_when"] == str(eu_deadline(received.received, 1).day)
    assert answer["entries"] == [str(stocked.ledger.replay(f"case:{case}")[0].sequence)]
    silent = auditor(
        "policy", "explain", case, "GDPR-12-4-REFUSE", "--home", stocked.root, "--json"
    ).json
    assert silent["status"] == "NOT_APPLICABLE"
    assert silent["because"] == "Does not apply here: the request was not refused."
    plain = auditor("policy", "explain", case, "GDPR-35-DPIA", "--home", stocked.root)
    assert "missing           Not on file: impact assessment.\n" in plain.out


def test_a_case_knows_the_rules_of_its_own_law_alone(auditor: Auditor, stocked: Home) -> None:
    case = filed(auditor, stocked)
    ran = auditor("policy", "explain", case, "HIPAA-524", "--home", stocked.root)
    assert ran.code == 2 and "no rule named HIPAA-524" in ran.err
    ran = auditor("policy", "explain", "0" * 16, "GDPR-17-3", "--home", stocked.root)
    assert ran.code == 2 and "no case" in ran.err
    ran = auditor("policy", "explain", case, "GDPR-17-3", "x", "--home", stocked.root)
    assert ran.code == 2


def own_pack(home: Home, days: int) -> None:
    """A pack of the hospital's own, beside the home's other files, and named by its settings."""
    folder = home.root / "rules"
    folder.mkdir(exist_ok=True)
    (folder / "pack.yaml").write_text("name: own\ntitle: House rules\nversion: 2026.12.1\n")
    (folder / "rules.yaml").write_text(OWN.format(days=days))
    settings = home.root / "auditor.toml"
    settings.write_text(settings.read_text().replace("packs = []", 'packs = ["rules"]'))


def test_a_rule_of_ones_own_is_marked_on_what_is_signed(stocked: Home) -> None:
    own_pack(stocked, 5)
    with closing(open_home(stocked.root)) as home:
        predicate = issue_record(home).verify().predicate
    assert predicate is not None
    marked = {item["rule"] for item in predicate["findings"] if item.get("shipped") == "no"}
    assert marked == {"OWN-DAYS"}
    packs = {item["name"]: item.get("shipped", "") for item in predicate["policyPacks"]}
    assert packs == {"gdpr": "", "eu-products": "", "own": "no"}
    page = document_html(predicate, "sha256:" + "0" * 64)
    text = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "House rule 1 (not shipped)" in text and "own (not shipped)" in text
    assert text.count("(not shipped)") == 2 and "is the controller’s word" in text


def test_a_pack_is_checked_beside_those_of_the_home(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    own_pack(stocked, 5)
    at_home = ("--home", stocked.root)
    assert auditor("policy", "check", stocked.root / "rules", *at_home).code == 0
    newer = Path(shutil.copytree(stocked.root / "rules", tmp_path / "newer"))
    (newer / "rules.yaml").write_text(OWN.format(days=9))
    assert auditor("policy", "check", newer, *at_home).code == 0  # it takes the other's place
    (newer / "pack.yaml").write_text("name: more\ntitle: More rules\nversion: 2026.12.1\n")
    assert auditor("policy", "check", newer).code == 0
    ran = auditor("policy", "check", newer, *at_home)
    assert ran.code == 1 and "both hold a rule OWN-DAYS" in ran.err
    file = newer / "rules.yaml"
    file.write_text(OWN.format(days=9).replace("OWN-DAYS", "GDPR-OWN"))
    ran = auditor("policy", "check", file)
    assert ran.code == 1 and "rule GDPR-OWN begins like a shipped one" in ran.err


OWN = """\
rules:
  - id: OWN-DAYS
    citation: House rule 1
    title: Answered soon
    text: We answer soon.
    applies: {{}}
    requires: [answered-in-time]
    time_limit: {{length: {days}, unit: days, runs_from: receipt, counting: calendar}}
    judged_by: record
    left_to_a_person: nothing.
    remedy: Answer.
    effective_from: 2026-01-01
    checked: {{by: our counsel, source: house rules, date: 2026-11-01}}
"""


def test_a_later_edit_changes_no_open_case_until_it_is_repinned(
    auditor: Auditor, stocked: Home
) -> None:
    own_pack(stocked, 5)
    case = filed(auditor, stocked)
    received = stocked.ledger.replay(f"case:{case}")[0].event.received

    def told() -> dict[str, str]:
        words = ("policy", "explain", case, "OWN-DAYS", "--home", stocked.root, "--json")
        return dict(auditor(*words).json)

    assert told()["by_when"] == str(received + timedelta(5))
    assert told()["checked"] == "by our counsel, beside house rules, 2026-11-01"
    own_pack(stocked, 9)
    assert told()["by_when"] == str(received + timedelta(5))
    assert "House rule 1" in auditor("policy", "list", "--home", stocked.root).out
    done = auditor("policy", "repin", case, "--home", stocked.root, "--json")
    assert done.code == 0
    assert told()["by_when"] == str(received + timedelta(9))
    last = stocked.ledger.replay(f"case:{case}")[-1].event
    assert (last.kind, str(last.after)) == ("policies-repinned/v1", done.json["policies"])
    account = auditor(
        "policy", "explain", case, "GDPR-5-2-ACCOUNT", "--home", stocked.root, "--json"
    ).json
    assert any("took the place of the ones pinned" in said for said in account["found"])
    again = auditor("policy", "repin", case, "--home", stocked.root)
    assert again.code == 2 and "already" in again.err


def test_a_pack_that_is_gone_or_broken_holds_up_new_requests_alone(
    auditor: Auditor, stocked: Home
) -> None:
    own_pack(stocked, 5)
    case = filed(auditor, stocked)
    (stocked.root / "rules" / "rules.yaml").write_text("rules: no\n")
    words = ("--home", stocked.root)
    assert auditor("policy", "explain", case, "OWN-DAYS", *words).code == 0
    assert auditor("policy", "repin", case, *words).code == 1
    ran = auditor("request", "file", "--model", "detector", "--subject", "p2", *words)
    assert ran.code == 1 and "rules.yaml:1" in ran.err


def test_a_rule_id_that_is_taken_is_refused_before_anything_is_filed(
    auditor: Auditor, stocked: Home
) -> None:
    own_pack(stocked, 5)
    rules = stocked.root / "rules" / "rules.yaml"
    rules.write_text(rules.read_text().replace("OWN-DAYS", "GDPR-17-SCOPE"))
    size = stocked.ledger.size
    ran = auditor(
        *("request", "file", "--model", "detector", "--subject", "p1"),
        *("--home", stocked.root),
    )
    assert ran.code == 1 and "gdpr and own both hold a rule GDPR-17-SCOPE" in ran.err
    assert stocked.ledger.size == size


@pytest.mark.parametrize("taken", ["GDPR-17-ANONYMOUS", "HIPAA-HOUSE", "UK-1", "STATE-RECORDS-2"])
def test_ids_that_read_like_those_of_shipped_rules_are_refused(
    auditor: Auditor, stocked: Home, taken: str
) -> None:
    own_pack(stocked, 5)
    case, rules = filed(auditor, stocked), stocked.root / "rules" / "rules.yaml"
    rules.write_text(rules.read_text().replace("OWN-DAYS", taken))
    size, words = stocked.ledger.size, ("--home", stocked.root)
    for ran in (
        auditor("policy", "check", stocked.root / "rules"),
        auditor("policy", "check", rules),
        auditor("request", "file", "--model", "detector", "--subject", "p2", *words),
        auditor("policy", "repin", case, *words),
    ):
        assert ran.code == 1 and ran.err.count("\n") == 1
        assert f"rule {taken} begins like a shipped one" in ran.err
    assert stocked.ledger.size == size
    assert auditor("policy", "explain", case, "OWN-DAYS", *words).code == 0


def test_a_case_of_version_0_1_is_laid_beside_the_shipped_rules_and_that_shows(
    auditor: Auditor, stocked: Home
) -> None:
    """That version kept no bytes of the packs that it pinned."""
    event = ErasureRequested(
        case="0123456789abcdef",
        regime=Regime.GDPR,
        ground=Ground.NO_LONGER_NECESSARY,
        received=date(2026, 11, 3),
        model="detector",
        subjects=1,
        payload=Digest.of(b"payload"),
        policies=Digest.of(b"packs of then"),
    )
    record(stocked, case_stream(event.case), event, "requested")
    words = ("--home", stocked.root, "--json")
    told = auditor("policy", "explain", event.case, "GDPR-5-2-ACCOUNT", *words).json
    assert told["status"] == "NOT_MET"
    assert "not those pinned on receipt" in told["missing"][0]
    assert auditor("policy", "repin", event.case, *words).code == 0
    told = auditor("policy", "explain", event.case, "GDPR-5-2-ACCOUNT", *words).json
    assert told["status"] == "INSUFFICIENT"


def test_packs_that_went_missing_are_an_error_and_not_other_rules(
    auditor: Auditor, stocked: Home
) -> None:
    own_pack(stocked, 5)
    case = filed(auditor, stocked)
    stocked.store.destroy(stocked.ledger.replay(f"case:{case}")[0].event.policies)
    ran = auditor("policy", "explain", case, "OWN-DAYS", "--home", stocked.root)
    assert ran.code == 1 and "isn't in the store" in ran.err


def test_one_rule_file_or_head_can_be_checked(auditor: Auditor, tmp_path: Path) -> None:
    file = PACKS / "ccpa" / "deletion.yaml"
    rules = auditor("policy", "check", file, "--json").json
    assert rules == {"file": "deletion.yaml", "rules": 13, "unchecked": 13}
    assert auditor("policy", "check", PACKS / "ccpa" / "pack.yaml", "--json").json["pack"] == "ccpa"
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(file.read_bytes() + b"colour: blue\n")
    ran = auditor("policy", "check", broken)
    assert ran.code == 1 and "broken.yaml" in ran.err and "colour" in ran.err
    assert auditor("policy", "check", tmp_path / "none.yaml").code == 1
    broken.write_bytes(b"#" * (1 << 20))
    assert "larger than" in auditor("policy", "check", broken).err


def test_the_schemas_can_be_printed(auditor: Auditor) -> None:
    assert "Rule" in auditor("policy", "schema").json["$defs"]
    assert set(auditor("policy", "schema", "--head").json["properties"]) == {
        *("name", "title", "version")
    }


def test_a_country_without_a_calendar_is_refused_before_anything_is_filed(
    auditor: Auditor, stocked: Home
) -> None:
    settings = stocked.root / "auditor.toml"
    settings.write_text(settings.read_text().replace('country = ""', 'country = "XX"'))
    size = stocked.ledger.size
    words = ("request", "file", "--model", "detector", "--subject", "p1", "--home", stocked.root)
    ran = auditor(*words)
    assert ran.code == 1 and 'country "XX"' in ran.err
    assert stocked.ledger.size == size


def test_a_request_pins_what_its_days_are_counted_by(auditor: Auditor, stocked: Home) -> None:
    settings = stocked.root / "auditor.toml"
    for country, zone, pinned in (("", "UTC", "none"), ("DE", "Europe/Berlin", "DE")):
        text = settings.read_text().replace('country = ""', f'country = "{country}"')
        settings.write_text(text.replace('time_zone = "UTC"', f'time_zone = "{zone}"'))
        event = stocked.ledger.replay(f"case:{filed(auditor, stocked)}")[0].event
        assert isinstance(event, ErasureRequested)
        assert (event.holidays, event.time_zone, event.tzdata) == (pinned, zone, TZDATA)


def test_a_time_limit_is_counted_from_any_day(auditor: Auditor) -> None:
    counted = auditor(
        "policy", "due", "gdpr-12-3-respond", "--from", "2027-01-31", "--country", "DE", "--json"
    )
    assert counted.code == 0
    assert counted.json["last_day"] == "2027-03-01"
    assert counted.json["last_day_if_extended"] == "2027-04-30"
    elsewhere = auditor("policy", "due", "LGPD-18-CONFIRM", "--from", "2027-01-31", "--json").json
    assert (elsewhere["last_day"], elsewhere["checked"]) == ("2027-02-15", "unchecked")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("GDPR-17-1-a", "--from", "2027-01-31"), 2, "has no time limit"),
        (("NO-SUCH-RULE", "--from", "2027-01-31"), 2, "no rule named"),
        (("GDPR-12-3-RESPOND", "--from", "31.1.2027"), 2, "YYYY-MM-DD"),
        (("GDPR-12-3-RESPOND", "--from", "9999-12-31"), 1, "past the calendar"),
        (("UK-12-3-RESPOND", "--from", "9999-12-31"), 1, "past the calendar"),
        (("CCPA-130-RESPOND", "--from", "9999-12-31"), 1, "past the calendar"),
        (("GDPR-12-3-RESPOND", "--from", "2027-01-31", "--country", "XX"), 1, "public holidays"),
    ],
)
def test_what_cannot_be_counted_is_told(
    auditor: Auditor, words: tuple[str, ...], code: int, told: str
) -> None:
    ran = auditor("policy", "due", *words)
    assert ran.code == code
    assert told in ran.err
    assert ran.err.count("\n") == 1
