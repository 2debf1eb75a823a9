"""Which code decides: a digest over the engine's sources and the numerical packages it runs on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable

from auditor.domain.artefact import Digest, digest_of

ROOMS = ("domain", "learning", "unlearning", "verification")
PACKAGES = ("numpy", "scipy", "torch")


@cache
def engine_digest() -> Digest:
    """Digest of all that a verdict is computed by, taken once per process.

    A plan pins it, so that neither the rules nor the arithmetic can change between the plan and
    the verdict. Rooms that only carry things (ledger, certificates, command line) don't count.
    """
    return sources_digest(files("auditor"))


def sources_digest(package: Traversable) -> Digest:
    """Digest over the engine's rooms below ``package``, Python's version and `PACKAGES`."""
    sources = {
        f"{room}/{name}": str(Digest.of(data))
        for room in ROOMS
        for name, data in _sources(package / room, "")
    }
    versions = {name: _version(name) for name in PACKAGES}
    return digest_of(
        {"python": platform.python_version(), "packages": versions, "sources": sources}
    )


def _sources(folder: Traversable, before: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _sources(item, f"{before}{item.name}/")
        elif item.name.endswith(".py"):
            yield before + item.name, item.read_bytes()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
