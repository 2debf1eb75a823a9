"""Where the files that travel with the package are: `templates/` and `policies/`.

In a wheel they lie inside the package; in a working copy they lie beside it.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


def shipped(name: str) -> Traversable:
    """Folder of shipped data, e.g. ``shipped("templates") / "certificate.html.j2"``."""
    package = files("auditor")
    inside = package / "shipped" / name
    if inside.is_dir():
        return inside
    return package / ".." / name
