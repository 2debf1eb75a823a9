from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.printable import flaw_of, undrawn
from auditor.errors import HomeError
from auditor.workflow.homes.config import _TABLES, Config, read_config, write_config

PRINTABLE = st.text(min_size=1, max_size=40).filter(lambda s: not flaw_of(s) and not undrawn(s))
SHARE = st.floats(min_value=0.001, max_value=0.5)
CONFIGS = st.builds(
    Config,
    controller=PRINTABLE,
    dpo=PRINTABLE,
    country=st.sampled_from(["", "DE", "FR"]),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]),
    packs=st.lists(PRINTABLE, max_size=2).map(tuple),
    factories=st.lists(st.sampled_from(["a:b", "my.nets:make"]), max_size=2).map(tuple),
    checkpoint_spacing=st.integers(0, 1000),
    margin=SHARE.map(lambda share: round(share, 4)),
    required_power=SHARE,
    out_models=st.integers(8, 1000),
    in_models=st.integers(5, 1000),
    bank_days=st.integers(0, 1000),
    keep_erased=st.booleans(),
    locale=st.sampled_from(["en", "de", "fr", "es"]),
    four_eyes=st.booleans(),
    status_days=st.integers(1, 92),
    seal_roots=PRINTABLE,
    seal_revoked=PRINTABLE,
    challenge=st.lists(PRINTABLE, max_size=3).map(tuple),
)


@given(config=CONFIGS)
def test_what_is_written_is_read_back(
    config: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("config") / "auditor.toml"
    write_config(path, config)
    assert read_config(path) == config


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "auditor.toml"
    write_config(path, Config(controller='St. "Example"', dpo="Büro\\DSB"))
    return path


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("margin =", "margins =", "unknown key margins in [audit]"),
        ("[audit]", "[audits]", "unknown key audits in the file"),
        ("margin = 0.35", "", "margin is missing in [audit]"),
        ("margin = 0.35", 'margin = "0.35"', "margin must be a number"),
        ("margin = 0.35", "margin = 0.51", "at most at 0.5"),
        ("margin = 0.35", "margin = 0.35004", "at most four decimals"),
        ("margin = 0.35", "margin = 0.0", "above 0"),
        ("margin = 0.35", "margin = nan", "above 0"),
        ("required_power = 0.8", "required_power = 1.0", "between 0 and 1"),
        ("out_models = 16", "out_models = true", "out_models must be a count"),
        ("out_models = 16", "out_models = 7", "at least 8"),
        ("in_models = 16", "in_models = 4", "at least 5"),
        ("bank_days = 0", "bank_days = -1", "bank_days must be at least 0"),
        ('locale = "en"', 'locale = "it"', "locale must be one of en, de, fr, es"),
        ('level = "B-B"', 'level = "B-X"', "level must be one of B-B, B-T, B-LT, B-LTA"),
        ('level = "B-B"', 'level = "B-T"', "level B-T needs [ledger] timestamps"),
        ("four_eyes = false", "four_eyes = 0", "four_eyes must be true or false"),
        ("challenge = []", 'challenge = "ask"', "challenge must be a list of texts"),
        ("status_days = 7", "status_days = 0", "status_days must lie between 1 and 92"),
        ("status_days = 7", "status_days = 93", "status_days must lie between 1 and 92"),
        ("keep_erased = false", "keep_erased = 0", "keep_erased must be true or false"),
        ("factories = []", 'factories = "a:b"', "factories must be a list of texts"),
        ("factories = []", "factories = [1]", "factories must be a list of texts"),
        ("factories = []", 'factories = ["os"]', "factories are \"module:factory\"; found 'os'"),
        ("factories = []", 'factories = ["a b:c"]', "found 'a b:c'"),
        ("checkpoint_spacing = 50", "checkpoint_spacing = -1", "at least 0"),
        ("checkpoint_spacing = 50", "", "checkpoint_spacing is missing in [models]"),
        ('country = ""', 'country = "Germany"', "country must be a code"),
        ('time_zone = "UTC"', 'time_zone = "CET/Berlin"', "no time zone 'CET/Berlin'"),
        ("packs = []", 'packs = "rules"', "packs must be a list of texts"),
        ("[controller]", "[controller", "is not TOML"),
        ("[controller]\n", "audit = 1\n[controller]\n", "is not TOML"),
    ],
)
def test_a_mistake_is_named_and_never_a_default(
    written: Path, old: str, new: str, complaint: str
) -> None:
    text = written.read_text(encoding="utf-8")
    assert old in text
    written.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(HomeError) as caught:
        read_config(written)
    assert complaint in str(caught.value)
    assert str(written) in str(caught.value)


def test_all_that_an_older_home_lacks_is_named_and_what_to_write_there(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    lacking = (
        *('timestamps = ""', "checkpoint_spacing = 50", "in_models = 16", "keep_erased = false"),
        *("challenge = []", 'level = "B-B"', 'methods = ["newton", "reset-and-heal"]'),
    )
    older = [line for line in text.splitlines() if line not in lacking]
    assert len(older) == len(text.splitlines()) - len(lacking)
    written.write_text("\n".join(older), encoding="utf-8")
    with pytest.raises(HomeError) as caught:
        read_config(written)
    complaint = str(caught.value)
    assert "\n" not in complaint and complaint.count("is missing in") == len(lacking)
    for line in lacking:
        assert f", add {line}" in complaint
    assert "timestamps is missing in [ledger], add timestamps" in complaint
    for part in complaint.removeprefix(f"{written}: ").split("; "):  # what it says helps
        table, line = part.split(" is missing in ")[1].split(", add ")
        older.insert(older.index(table) + 1, line)
    written.write_text("\n".join(older), encoding="utf-8")
    assert read_config(written) == Config(controller='St. "Example"', dpo="Büro\\DSB")


def test_what_only_the_hospital_can_say_is_not_suggested(written: Path) -> None:
    written.write_text("[controller]\n", encoding="utf-8")
    with pytest.raises(HomeError) as caught:
        read_config(written)
    told = str(caught.value)
    assert "name is missing in [controller]; dpo is missing in [controller]; country" in told
    assert "margin is missing in [audit], add margin = 0.35" in told


def test_what_is_suggested_is_what_a_new_home_has(written: Path) -> None:
    tables = tomllib.loads(written.read_text(encoding="utf-8"))
    for name, keys in _TABLES.items():
        usual = {key: value for key, value in keys.items() if value is not None}
        assert {key: tables[name][key] for key in usual} == usual
        assert set(tables[name]) == set(keys)


def test_a_table_given_as_a_value_is_named(written: Path) -> None:
    written.write_text('controller = 1\naudit = "x"\n', encoding="utf-8")
    with pytest.raises(HomeError, match="controller must be a table"):
        read_config(written)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "tab\there", "St.\u202eExample", "=1"])
def test_names_are_what_they_seem(name: str) -> None:
    with pytest.raises(HomeError, match=r"one line|invisible or control|formula"):
        Config(controller=name, dpo="DPO")


@pytest.mark.parametrize("name", ["東京病院", "مستشفى", "St. ไทย"])
def test_names_that_no_document_could_show_are_refused_before_one_is_signed(name: str) -> None:
    for names in ({"controller": name, "dpo": "DPO"}, {"controller": "St. Example", "dpo": name}):
        with pytest.raises(HomeError, match="Latin, Greek or Cyrillic"):
            Config(**names)


def test_a_missing_file_is_an_error_of_the_home(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="can't read"):
        read_config(tmp_path / "auditor.toml")
