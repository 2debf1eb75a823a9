"""Run every command of a Markdown file's fenced bash blocks, in order, in one shell.

A command of the README that doesn't run is a defect of the README. Commands given with ``--done``
have been run already; each must stand in the file, or the list here has gone stale.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> list[str]:
    """Lines of all fenced bash blocks; comments are dropped, continued lines kept as they are."""
    lines = "".join(_BLOCK.findall(text)).splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def script_of(text: str, done: Collection[str]) -> str:
    """A shell script of what is left to run, stopping at the first failure.

    Raises:
        ValueError: the file has no command, or one of ``done`` isn't in it.
    """
    commands = [line.partition("  #")[0].rstrip() for line in commands_of(text)]
    if not commands:
        raise ValueError("no fenced bash block found")
    if missing := sorted(set(done) - set(commands)):
        raise ValueError(f"not a command of the file: {missing[0]}")
    left = [line for line in commands if line not in done]
    return "\n".join(["set -euo pipefail", *left, ""])


def main() -> int:
    """Run the file's commands in the current folder; the exit code is the shell's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--done", action="append", default=[])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    script = script_of(arguments.file.read_text(encoding="utf-8"), arguments.done)
    return subprocess.run(["bash", "-xc", script], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
