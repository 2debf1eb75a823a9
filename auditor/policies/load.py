"""Rule packs from their folders: the shipped ones, or a hospital's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from auditor.domain.artefact import Digest
from auditor.errors import PolicyError
from auditor.policies.pinning import listing, require_distinct, require_own_ids
from auditor.policies.rule import PackHead, Rule, RuleFile, RulePack
from auditor.policies.text import LARGEST_FILE, Path_, Text, read_text
from auditor.shipped import shipped

_HEAD = "pack.yaml"
_SUFFIX = ".yaml"
_OTHER = (".yml", ".YML", ".YAML", ".json")

T = TypeVar("T")


@cache
def load_packs() -> tuple[RulePack, ...]:
    """The shipped packs, by name; read once in a process.

    Raises:
        PolicyError: a shipped file is damaged.
    """
    folders = sorted(
        (item for item in shipped("policies").iterdir() if (item / _HEAD).is_file()),
        key=lambda item: item.name,
    )
    if not folders:
        raise PolicyError("the shipped rule packs are missing; install auditor again")
    return tuple(load_pack(folder) for folder in folders)


def load_pack(folder: Traversable | Path) -> RulePack:
    """Read one pack: `pack.yaml` and rule files beside it, in order of their names.

    Raises:
        PolicyError: no pack there, or a file that breaks the schema; names file, line and rule.
    """
    files = _read_files(folder)
    if _HEAD not in files:
        raise PolicyError(f"{folder}: no {_HEAD}; name the folder of a rule pack")
    return _pack(folder.name, files)


def is_shipped(pack: RulePack) -> bool:
    """Whether a pack is, by digest, as this version ships it."""
    return pack.digest in {known.digest for known in load_packs()}


def load_own_pack(folder: Path) -> RulePack:
    """Read a pack of a hospital's own, which goes by other names than the shipped ones.

    Raises:
        PolicyError: as `load_pack`, or its name or a rule's id is that of a shipped one, or begins
            like one.
    """
    pack, known = load_pack(folder), load_packs()
    if not is_shipped(pack):
        require_distinct((*known, pack))
        require_own_ids(pack.rules, known)
    return pack


def load_own_rules(path: Path) -> tuple[Rule, ...]:
    """Read one rule file of a hospital's own pack, or of a shipped one as it is.

    Raises:
        PolicyError: as `load_rules`, or a rule's id begins like a shipped one.
    """
    rules, known = load_rules(path), load_packs()
    shipped_ones = {rule for pack in known for rule in pack.rules}
    require_own_ids([rule for rule in rules if rule not in shipped_ones], known)
    return rules


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read one rule file.

    Raises:
        PolicyError: it can't be read, or breaks the schema; names line and rule.
    """
    return parse_file(RuleFile, path.name, _read_file(path)).rules


def load_head(path: Path) -> PackHead:
    """Read one `pack.yaml`.

    Raises:
        PolicyError: it can't be read, or breaks the schema.
    """
    return parse_file(PackHead, path.name, _read_file(path))


def _read_file(path: Traversable | Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)  # one more is refused for its size
    except OSError as error:
        raise PolicyError(f"{path}: can't be read: {error.strerror}") from None


def _pack(folder: str, files: Mapping[str, bytes]) -> RulePack:
    head = parse_file(PackHead, f"{folder}/{_HEAD}", files[_HEAD])
    rules: list[Rule] = []
    for name in sorted(set(files) - {_HEAD}):
        for rule in _rule_file(f"{folder}/{name}", files[name]).rules:
            if any(rule.id.casefold() == known.id.casefold() for known in rules):
                raise PolicyError(f"{folder}/{name}: rule {rule.id} appears twice in the pack")
            rules.append(rule)
    if not rules:
        raise PolicyError(f"{folder}: the pack holds no rules")
    return RulePack(
        name=head.name,
        title=head.title,
        version=head.version,
        digest=Digest.of(listing(files)),
        rules=tuple(rules),
        files=files,
    )


def pinned_packs(digest: Digest, read: Callable[[Digest], bytes]) -> tuple[RulePack, ...]:
    """The packs that were pinned by ``digest``, from what was kept of them (`pinning`).

    Args:
        digest: of the packs, as a request pins them.
        read: gives the bytes of a digest, or raises.

    Raises:
        PolicyError: the files break the schema.
    """
    packs = []
    for name, listed in _map(read(digest)).items():
        files = {
            file: read(Digest.parse(content))
            for file, content in _map(read(Digest.parse(listed))).items()
        }
        packs.append(_pack(name, files))
    return tuple(packs)


@lru_cache(maxsize=256)  # one home's cases pin few packs, each many times
def _rule_file(name: str, data: bytes) -> RuleFile:
    return parse_file(RuleFile, name, data)


def _map(data: bytes) -> dict[str, str]:
    return {str(key): str(value) for key, value in json.loads(data).items()}


def _read_files(folder: Traversable | Path) -> dict[str, bytes]:
    try:
        if not folder.is_dir():
            raise PolicyError(f"{folder}: no such folder; name the folder of a rule pack")
        found = [item for item in folder.iterdir() if item.is_file()]
        if other := next((item.name for item in found if item.name.endswith(_OTHER)), None):
            raise PolicyError(f"{folder}/{other}: rule files end in {_SUFFIX}; rename it")
        return {item.name: _read_file(item) for item in found if item.name.endswith(_SUFFIX)}
    except OSError as error:
        raise PolicyError(f"{folder}: can't be read: {error.strerror}") from None


def parse_file(kind: type[T], name: str, data: bytes) -> T:
    """Read a YAML file as what it is to hold.

    Raises:
        PolicyError: it breaks the schema; names file, line and rule.
    """
    text = read_text(name, data)
    try:
        return TypeAdapter(kind).validate_python(text.content)
    except ValidationError as error:
        raise PolicyError(_first_problem(name, text, error)) from None


def _first_problem(name: str, text: Text, error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    path = tuple(problem["loc"])
    at = f"{name}:{text.line_of(path)}"
    rule = _rule_at(text.content, path)
    key = str(path[-1]) if path else "the file"
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "unexpected_keyword_argument":
        said = "unknown key"
    elif problem["type"] == "missing" or problem["type"] == "missing_argument":
        said = "is missing"
    return f"{at}: {rule}{key}: {said}"


def _rule_at(content: object, path: Path_) -> str:
    """The id of the rule that ``path`` lies in, for the message."""
    if len(path) < 2 or path[0] != "rules" or not isinstance(content, dict):
        return ""
    rules, number = content["rules"], path[1]
    if isinstance(rules, list) and isinstance(number, int) and isinstance(rules[number], dict):
        identifier = rules[number].get("id")
        if isinstance(identifier, str):
            return f"rule {identifier[:40]}: "
    return f"rule number {number}: "
