"""Which packs a case is laid beside, and how they are held by one digest.

    packs digest = SHA-256 {name of pack: digest of pack}
    digest of pack = SHA-256 {name of file: SHA-256 of its bytes}

Both maps are canonical JSON, so whoever keeps bytes by digest can read the packs back from the
one digest that a request pins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.request import Regime
from auditor.errors import PolicyError
from auditor.policies.rule import Rule, RulePack


def concerning(packs: Sequence[RulePack], regime: Regime) -> tuple[RulePack, ...]:
    """The packs that say something about requests of a regime, that of its own law first."""
    found = (
        pack
        for pack in packs
        if any(not rule.applies.regimes or regime in rule.applies.regimes for rule in pack.rules)
    )
    return tuple(sorted(found, key=lambda pack: pack.name != regime.value))


def require_distinct(packs: Sequence[RulePack]) -> None:
    """Names of packs and ids of rules tell one from another.

    Raises:
        PolicyError: two packs of one name or with one rule id.
    """
    _listing_of(packs)
    seen: dict[str, str] = {}
    for pack in packs:
        for rule in pack.rules:
            other = seen.setdefault(rule.id.casefold(), pack.name)
            if other != pack.name:
                raise PolicyError(
                    f"the rule packs {other} and {pack.name} both hold a rule {rule.id}; rename one"
                )


def require_own_ids(rules: Sequence[Rule], shipped: Sequence[RulePack]) -> None:
    """See that nobody takes a rule of a hospital's own pack for a shipped one.

    Raises:
        PolicyError: an id begins like those of a shipped pack.
    """
    taken = {_beginning(rule.id) for known in shipped for rule in known.rules}
    for rule in rules:
        if _beginning(rule.id) in taken:
            raise PolicyError(
                f"rule {rule.id} begins like a shipped one; let it begin with a name of your own, "
                "as in OUR-HOSPITAL-1"
            )


def _beginning(rule: str) -> str:
    return rule.casefold().split("-")[0]


def packs_digest(packs: Sequence[RulePack]) -> Digest:
    """One digest over several packs, the one that a request pins on receipt.

    Raises:
        PolicyError: two packs of one name.
    """
    return Digest.of(_listing_of(packs))


def kept_files(packs: Sequence[RulePack]) -> Iterator[bytes]:
    """Everything that `load.pinned_packs` reads back, listings last.

    Raises:
        PolicyError: two packs of one name.
    """
    for pack in packs:
        yield from pack.files.values()
        yield listing(pack.files)
    yield _listing_of(packs)


def listing(files: Mapping[str, bytes]) -> bytes:
    """What the digest of a pack is taken over."""
    return canonical_bytes({name: str(Digest.of(data)) for name, data in files.items()})


def _listing_of(packs: Sequence[RulePack]) -> bytes:
    digests = {pack.name: str(pack.digest) for pack in packs}
    if len(digests) != len(packs):
        raise PolicyError("two rule packs carry the same name; rename one in its pack.yaml")
    return canonical_bytes(digests)
