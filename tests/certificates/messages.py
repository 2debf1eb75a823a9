"""Every message that a document may be worded with, gathered from where it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType

import jinja2
from babel.messages.extract import extract_python
from jinja2.ext import extract_from_ast

import auditor
from auditor.certificates import labels, non_claims, wording
from auditor.domain import language
from auditor.domain.artefact import ArtefactFate
from auditor.domain.request import DecisionKind, Regime
from auditor.domain.verdict import Verdict
from auditor.policies import checks_erasure, evaluate, words
from auditor.policies.load import load_packs
from auditor.shipped import shipped

Message = str | tuple[str, str]  # a pair where there is a plural

_HOUSE = Path(auditor.__file__).parent
_ROOMS = ("certificates", "policies", "domain")
_TABLES = (labels, wording, non_claims, words, checks_erasure, evaluate, language)
_PAPERS = ("letter", "quarter")  # these have catalogues of their own
_GROUNDS = tuple(labels.REASONS)


def every_message() -> dict[Message, str]:
    """Each message, and where it stands."""
    found: dict[Message, str] = {}
    for room in _ROOMS:
        for path in sorted((_HOUSE / room).rglob("*.py")):
            if not path.name.startswith(_PAPERS):
                for message in said(path):
                    found.setdefault(message, path.name)
    for message in in_template("certificate.html.j2"):
        found.setdefault(message, "certificate.html.j2")
    for module in _TABLES:
        for message in constants(module):
            found.setdefault(message, module.__name__)
    for pack in load_packs():
        for rule in pack.rules:
            for text in (rule.citation, rule.title, rule.left_to_a_person, rule.remedy):
                found.setdefault(text, rule.id)
            if rule.banner is not None:
                found.setdefault(rule.banner, rule.id)
    regimes = (regime.upper() for regime in Regime)
    for token in (*DecisionKind, *ArtefactFate, *Verdict, *regimes, *_GROUNDS):
        found.setdefault(str(token), "a token")
    return found


def said(path: Path) -> Iterator[Message]:
    """First arguments of ``say`` and ``count``, where they are written out."""
    with path.open("rb") as file:
        keywords = ("say", "count")
        for _, name, given, _ in extract_python(file, keywords, (), {}):
            texts = (given,) if isinstance(given, str) else given
            if name == "count" and len(texts) > 1 and texts[0] and texts[1]:
                yield texts[0], texts[1]
            elif name == "say" and texts and texts[0]:
                yield texts[0]


def in_template(name: str) -> Iterator[Message]:
    """Arguments of ``_`` and ``count`` in a template."""
    source = (shipped("templates") / name).read_text(encoding="utf-8")
    tree = jinja2.Environment(autoescape=True).parse(source)
    for _, function, given in extract_from_ast(tree, ("_", "count")):
        texts = (given,) if isinstance(given, str) else given
        if function == "count":
            yield texts[0], texts[1]
        else:
            yield texts[0]


def constants(module: ModuleType) -> Iterator[Message]:
    """Texts of the tables that a module keeps."""
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    ]
    for name in names:
        yield from _texts(getattr(module, name))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and not isinstance(value, Enum):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)
