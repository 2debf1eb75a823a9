"""`auditor keys`: prints public halves only; private keys never leave their file or token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, read_input
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.proof.trust import StatementKey
    from auditor.workflow.homes.home import Home


@click.group()
def keys() -> None:
    """List, add, rotate, revoke and publish keys; check a newer trust file against an older."""


@keys.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List what the trust file tells regulators to trust."""
    trust = open_home(home).trust
    rows = [
        {
            "role": key.role,
            "algorithm": key.algorithm,
            "key_id": key.key_id,
            "valid_from": key.valid_from,
            "valid_until": key.valid_until,
            "revoked_at": key.revoked_at,
        }
        for key in trust.statement_keys
    ]
    policy = trust.policy
    named = [("log", key) for key in policy.logs]
    named += [("witness", witness.key) for witness in policy.witnesses]
    others = [
        {
            "role": role,
            "algorithm": key.verifier.algorithm,
            "key_id": f"{key.name}+{key.key_id.hex()}",
            "valid_from": "",
            "valid_until": "",
            "revoked_at": "",
        }
        for role, key in named
    ]
    emit([*rows, *others], as_json)


@keys.command()
@click.option("--to", "target", type=click.Path(path_type=Path), help="A copy for the regulator.")
@home_option
@json_option
def publish(target: Path | None, home: Path | None, as_json: bool) -> None:
    """Write the trust file anew, with a fresh checkpoint, and print its fingerprint.

    Beside a copy lies the proof that the ledger lists its keys: who holds an older trust file
    checks the newer one with `auditor keys check`.
    """
    from auditor.workflow.documents.key_publishing import publish_keys
    from auditor.workflow.homes.files import write_file

    opened = open_home(home)
    if target is not None and not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    published = publish_keys(opened)
    row = {"trust": str(target or opened.trust_path), "fingerprint": opened.trust_fingerprint}
    if target is not None:
        write_file(target, published.trust)
        beside = target.with_name(f"{target.name}.tlog-proof")
        row["proof"] = str(beside) if published.proof else f"none: {published.unproved}"
        if published.proof:
            write_file(beside, published.proof.encode("utf-8"))
    emit(row, as_json)


@keys.command()
@click.argument("newer", type=click.Path(path_type=Path))
@click.option("--against", "held", required=True, type=click.Path(path_type=Path), help="Yours.")
@json_option
def check(newer: Path, held: Path, as_json: bool) -> None:
    """Check that a newer trust file follows from the one you hold. Needs no home and no network.

    The ledger's keys in the one you hold must vouch for it (NEWER.tlog-proof, beside it), it must
    stand in the ledger after yours, and no key that has ended or is revoked may have come back.
    What else it asks for otherwise (witnesses, quorum, roots, seal level) is told line by line.
    """
    from datetime import UTC, datetime

    from auditor.certificates.key_list import verify_key_list
    from auditor.proof.trust import fingerprint, parse_trust

    content, proof = read_input(newer), read_input(newer.with_name(f"{newer.name}.tlog-proof"))
    changes = verify_key_list(
        parse_trust(read_input(held)),
        parse_trust(content),
        proof.decode("utf-8", "replace"),
        datetime.now(UTC),
    )
    for line in changes.asked:
        click.echo(f"auditor: {line}", err=True)
    emit(
        {
            "follows": "yes",
            "fingerprint": fingerprint(content),
            "entry": changes.entry,
            "added": list(changes.added),
            "ended": list(changes.ended),
            "revoked": list(changes.revoked),
            "asked_otherwise": list(changes.asked),
        },
        as_json,
    )


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def new(file: Path, as_json: bool) -> None:
    """Make keys for one person or endpoint: FILE keeps them, FILE.pub goes to the home.

    For whoever is to sign with them alone, away from whoever runs cases. FILE is under a passphrase
    where AUDITOR_KEY_PASSPHRASE is set; its name is part of what the passphrase opens.
    """
    from auditor.workflow.log.statement_keys import make_pair

    emit({"private": str(file), "public": str(make_pair(file))}, as_json)


@keys.command()
@click.argument("public", type=click.Path(path_type=Path))
@click.option(
    "--role", required=True, type=click.Choice(["approval", "serving", "desk"]), help="For what."
)
@home_option
@json_option
def add(public: Path, role: str, home: Path | None, as_json: bool) -> None:
    """Add public keys (FILE.pub) to the trust file: an approver's, an endpoint's, the desk's.

    From the first key of the desk on, every decision needs one: auditor request decide --key. From
    the first of an approver or an endpoint on, no document of that day is valid without it, so it
    isn't added on a day on which some were issued.
    """
    from auditor.workflow.documents.key_adding import add_keys

    opened = open_home(home)
    _emit_changed(opened, add_keys(opened, read_input(public), role), as_json)


@keys.command()
@click.argument("key_id")
@click.option("--yes", is_flag=True, help="Revoke it, and all that it ever signed.")
@home_option
@json_option
def revoke(key_id: str, yes: bool, home: Path | None, as_json: bool) -> None:
    """Revoke a key, and all that it signed. Then: auditor keys publish, and tell regulators."""
    from auditor.workflow.log.statement_keys import revoke_key

    if not yes:
        raise MisuseError(
            "every document that this key has signed becomes INVALID, whatever its date; if that "
            "is meant, add --yes"
        )
    opened = open_home(home)
    _emit_changed(opened, (revoke_key(opened, key_id),), as_json)


@keys.command()
@home_option
@json_option
def seal(home: Path | None, as_json: bool) -> None:
    """Let the trust file name the roots of the seal and of its time stamps that [seal] has.

    Run it after a change in [seal] of auditor.toml, and publish the trust file afterwards.
    """
    from auditor.workflow.log.seals import trust_seal

    opened = open_home(home)
    changed = trust_seal(opened)
    emit({"changed": changed, "fingerprint": opened.trust_fingerprint}, as_json)


@keys.group()
def rotate() -> None:
    """Put new keys in the place of old ones."""


@rotate.command()
@home_option
@json_option
def statement(home: Path | None, as_json: bool) -> None:
    """Sign statements with new keys from now on; documents signed before stay as good as they are.

    The old private keys are destroyed. Publish the trust file afterwards.
    """
    from auditor.workflow.log.statement_keys import rotate_statement_keys

    opened = open_home(home)
    _emit_changed(opened, rotate_statement_keys(opened), as_json)


@rotate.command()
@click.option(
    "--retired-key",
    default="",
    help="Label of the token's key of before, where pkcs11_key now names another.",
)
@home_option
@json_option
def vault(retired_key: str, home: Path | None, as_json: bool) -> None:
    """Wrap every subject's key under a new key-encryption key, and destroy the old one.

    No entry of the ledger changes. Payloads in backups made before open no more: make a new one.
    """
    from auditor.workflow.log.rotation import rotate_vault

    done = rotate_vault(open_home(home), retired_key)
    emit(
        {"key": done.key, "keys_wrapped": done.wrapped, "old_keys_destroyed": done.destroyed},
        as_json,
    )


def _emit_changed(home: Home, changed: Sequence[StatementKey], as_json: bool) -> None:
    named = [
        {"role": key.role, "algorithm": key.algorithm, "key_id": key.key_id} for key in changed
    ]
    fingerprint = home.trust_fingerprint
    emit([{**row, "fingerprint": fingerprint} for row in named], as_json)
