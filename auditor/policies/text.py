"""Strict reading of rule files: the part of YAML in which a text has one meaning.

Mappings, lists and plain text only. Anchors, aliases, tags, duplicate keys, several documents and
deep nesting are refused. Every scalar stays text (``no`` is the word no, not a boolean); what it
must be is for the schema to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from auditor.errors import PolicyError

LARGEST_FILE = 64 * 1024
_DEEPEST = 8

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a file says, and on which line (from 1) each part of it begins."""

    content: object
    lines: dict[Path_, int] = field(default_factory=dict)

    def line_of(self, path: Path_) -> int:
        """Line of the innermost known part that holds ``path``."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_text(name: str, data: bytes) -> Text:
    """Parse a rule file.

    Raises:
        PolicyError: too large, not UTF-8, not YAML, or YAML beyond the plain part; names the line.
    """
    if len(data) > LARGEST_FILE:
        raise PolicyError(f"{name}: larger than {LARGEST_FILE} bytes; split it into several files")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyError(f"{name}: not UTF-8 text") from None
    try:
        _refuse_magic(name, text)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise PolicyError(f"{name}:{line}: not YAML: {error.problem}") from None
    except YAMLError as error:
        raise PolicyError(f"{name}: not YAML: {str(error).splitlines()[0]}") from None
    lines: dict[Path_, int] = {}
    content = {} if node is None else _plain(name, node, (), lines)
    return Text(content=content, lines=lines)


def _refuse_magic(name: str, text: str) -> None:
    """Look at the event stream, which nothing nests or expands, before a tree is made of it."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        where = f"{name}:{event.start_mark.line + 1}"
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise PolicyError(f"{where}: anchors and aliases aren't allowed; write the text out")
        if isinstance(event, NodeEvent) and getattr(event, "tag", None) is not None:
            raise PolicyError(f"{where}: YAML tags aren't allowed; remove it")
        depth += isinstance(event, (MappingStartEvent, SequenceStartEvent))
        depth -= isinstance(event, (MappingEndEvent, SequenceEndEvent))
        if depth > _DEEPEST:
            raise PolicyError(f"{where}: nested more than {_DEEPEST} deep")


def _plain(name: str, node: Node, path: Path_, lines: dict[Path_, int]) -> object:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, ScalarNode):
        return str(node.value)
    if isinstance(node, SequenceNode):
        return [_plain(name, item, (*path, at), lines) for at, item in enumerate(node.value)]
    if not isinstance(node, MappingNode):
        raise PolicyError(f"{name}:{lines[path]}: neither mapping, list nor text")
    found: dict[str, object] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise PolicyError(f"{name}:{line}: a key must be a word")
        if key.value in found:
            raise PolicyError(f"{name}:{line}: key {key.value} appears twice")
        found[key.value] = _plain(name, value, (*path, key.value), lines)
        lines[(*path, key.value)] = line
    return found
