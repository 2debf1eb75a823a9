"""The entry point. Commands are imported when they are called, so that each loads only its own."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress

import click

from auditor import __version__
from auditor.domain.printable import shown
from auditor.errors import AuditorError

_COMMANDS = {
    "backup": "Copy the home into one file, without its keys.",
    "bank": "Keep reference models that serve several requests.",
    "certificate": "List, show and export certificates and signed records.",
    "demo": "Walk the whole road once, in a home of its own.",
    "init": "Create a home: settings, keys, ledger and the trust file.",
    "keys": "List the home's keys.",
    "ledger": "Audit the ledger, sign checkpoints and prove entries.",
    "model": "Train, register, list and show models.",
    "policy": "List, explain and check the rules.",
    "qualify": "Qualify an unlearning method on a model and its data.",
    "report": "Report on a quarter, and export the ledger.",
    "request": "File, import, list and decide erasure requests; write letters.",
    "run": "Unlearn, verify, decide and certify granted cases.",
    "verification": "Export an audit's evidence, and repeat its verdict from it.",
    "verify": "Verify a certificate offline, against a trust file.",
}


class _Lazy(click.Group):
    """A group that knows its commands' names and one line about each without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"auditor.cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.command(cls=_Lazy)
@click.version_option(__version__, prog_name="auditor")
def cli() -> None:
    """Make a medical-imaging model forget a patient, prove it, and certify it."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; our own errors become one line on stderr and their exit code.

    So do those of the system, as a full disk, and text in another encoding. What else is raised is
    a mistake of this software and stays a traceback.
    """
    try:
        code = cli.main(args=arguments, prog_name="auditor", standalone_mode=False)
    except AuditorError as error:
        click.echo(f"auditor: {shown(str(error))}", err=True)
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("auditor: interrupted", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except UnicodeError:  # its own words would quote what came in
        click.echo("auditor: a file or a word of the command line isn't text in UTF-8", err=True)
        return 1
    except OSError as error:
        _let_go_of_output()
        if not isinstance(error, BrokenPipeError):
            where = "" if error.filename is None else f": {shown(str(error.filename))}"
            click.echo(f"auditor: {error.strerror or type(error).__name__}{where}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _let_go_of_output() -> None:
    """Where standard output takes no more, send what is left of it nowhere.

    Python flushes it once more when it ends, and would complain over our line and exit code.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
