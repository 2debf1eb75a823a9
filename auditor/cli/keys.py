"""`auditor keys`: prints public halves only; private keys never leave keys folder or token."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.errors import MisuseError


@click.group()
def keys() -> None:
    """List the home's public keys, publish the trust file, rotate keys."""


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
    """Write the trust file anew, with a fresh checkpoint, and print its fingerprint."""
    from auditor.workflow.checkpoints import record_checkpoint
    from auditor.workflow.files import write_file

    opened = open_home(home)
    if target is not None and not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    record_checkpoint(opened)
    content = opened.trust_path.read_bytes()
    if target is not None:
        write_file(target, content)
    emit(
        {"trust": str(target or opened.trust_path), "fingerprint": opened.trust_fingerprint},
        as_json,
    )


@keys.group()
def rotate() -> None:
    """Put new keys in the place of old ones."""


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
    from auditor.workflow.rotation import rotate_vault

    done = rotate_vault(open_home(home), retired_key)
    emit(
        {"key": done.key, "keys_wrapped": done.wrapped, "old_keys_destroyed": done.destroyed},
        as_json,
    )
