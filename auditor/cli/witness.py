"""`auditor ledger witness`: be a witness, or ask some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.errors import MisuseError
from auditor.given import read_given

if TYPE_CHECKING:
    from auditor.proof.log_policy import LogPolicy
    from auditor.workflow.homes.home import Home

_folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("witness"),
    show_default=True,
    help="The witness's own folder.",
)
_quorum_option = click.option(
    "--quorum",
    default="all",
    show_default=True,
    help="How many witnesses a certificate needs: all, any, a number, or none.",
)


_LARGEST_POLICY = 1 << 20  # bytes


@click.group()
def witness() -> None:
    """Be a witness for other ledgers, or have this one witnessed."""


@witness.command()
@click.option("--name", required=True, help='A name like "witness.example.org/dpo", no spaces.')
@_folder_option
@json_option
def init(name: str, folder: Path, as_json: bool) -> None:
    """Make a witness: a folder with two keys, whose verifier keys are printed."""
    from auditor.workflow.log.witness import create_witness

    made = create_witness(folder, name)
    emit({"folder": str(folder), "vkeys": list(made.vkeys)}, as_json)


@witness.command()
@click.option(
    "--log",
    "logs",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Trust file or log policy of a ledger to witness; may be repeated.",
)
@click.option("--listen", default="127.0.0.1:8722", show_default=True, help="Address and port.")
@_folder_option
def serve(logs: tuple[Path, ...], listen: str, folder: Path) -> None:
    """Cosign the checkpoints of these ledgers, as long as each extends the one before."""
    from auditor.workflow.log.comparing import read_policy
    from auditor.workflow.log.witness import WitnessService, known_logs, listening, open_witness

    opened = open_witness(folder)
    service = WitnessService(
        opened, known_logs([read_policy(path) for path in logs]), journal=click.echo
    )
    server, addresses = listening(service, listen)
    click.echo(f"witness {opened.name} listens on {' and '.join(addresses)}")
    try:
        server.run()
    finally:
        server.close()
        opened.book.close()


@witness.command()
@click.argument("name")
@click.argument("vkey")
@click.argument("url")
@_quorum_option
@home_option
@json_option
def add(name: str, vkey: str, url: str, quorum: str, home: Path | None, as_json: bool) -> None:
    """Ask one more witness to cosign this ledger's checkpoints.

    The trust file changes with it: publish it again, and tell its new fingerprint.
    """
    from auditor.workflow.log.witnesses import add_witness

    opened = open_home(home)
    _told(opened, add_witness(opened, name, vkey, url, quorum), as_json)


@witness.command()
@click.argument("name")
@_quorum_option
@home_option
@json_option
def remove(name: str, quorum: str, home: Path | None, as_json: bool) -> None:
    """Ask a witness no more."""
    from auditor.workflow.log.witnesses import remove_witness

    opened = open_home(home)
    _told(opened, remove_witness(opened, name, quorum), as_json)


@witness.command()
@click.argument("file", type=click.Path(path_type=Path))
@home_option
@json_option
def policy(file: Path, home: Path | None, as_json: bool) -> None:
    """Take witnesses, groups and quorum from a C2SP tlog-policy file."""
    from auditor.workflow.log.witnesses import set_policy

    opened = open_home(home)
    try:
        text = read_given(file, _LARGEST_POLICY).decode("utf-8")
    except OSError as error:
        raise MisuseError(f"can't read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MisuseError(f"can't read {file}: it is not UTF-8 text") from None
    _told(opened, set_policy(opened, text), as_json)


@witness.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List the witnesses, and what each has cosigned of the newest checkpoint."""
    from auditor.workflow.homes.guard import newest_checkpoint

    opened = open_home(home)
    newest = newest_checkpoint(opened.root)
    cosigned = {} if newest is None else newest.witnesses
    rows = [
        {
            "name": each.name,
            "algorithm": each.key.verifier.algorithm,
            "url": each.url,
            "cosigned": newest.checkpoint.size if newest and each.name in cosigned else "",
        }
        for each in opened.trust.policy.witnesses
    ]
    emit(rows, as_json)


def _told(home: Home, policy: LogPolicy, as_json: bool) -> None:
    emit(
        {
            "witnesses": [each.name for each in policy.witnesses],
            "quorum": policy.quorum,
            "fingerprint": home.trust_fingerprint,
        },
        as_json,
    )
