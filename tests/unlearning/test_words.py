"""Who may say "certified" or "guaranteed": the noise mechanism, and nobody else of a method."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import auditor

HOUSE = Path(auditor.__file__).parent
SHIPPED = (HOUSE.parent / "templates", HOUSE.parent / "policies")
SAID = re.compile(r"certified|guarante", re.IGNORECASE)
MECHANISM = {"koloskova2025noise.py", "shifted_noise.py"}
NOT_OF_A_METHOD = (
    # the outcome of a case whose document is a certificate, by its token
    re.compile(r"^certified$"),
    re.compile(r"with outcome ``certified`` is a certificate"),
    re.compile(r"the certified weights"),
    re.compile(r"no weights are certified"),
    re.compile(r"other weights (are served )?than are (to be )?certified"),
    re.compile(r"stored otherwise than certified"),
    # a seal that certifies a PDF (ISO 32000-2 section 12.8.2.2), by the page's name for it
    re.compile(r"\bcertified(?= = \(await| instanceof Ref|\.number)"),
    re.compile(r"a failed verdict, or one without a basis, is never certified"),
    # what is denied
    re.compile(
        r"No formal privacy guarantee [^:]*: no noise mechanism with such a guarantee was run"
    ),
    re.compile(r"No \(epsilon, delta\) guarantee is claimed"),
    # the title of a paper
    re.compile(r'"Certified Data Removal from Machine Learning Models"'),
)


def left_of(text: str) -> str:
    """What is left of a text without what may be said."""
    text = " ".join(text.split())
    for allowed in NOT_OF_A_METHOD:
        text = allowed.sub("", text)
    return text


def strings(path: Path) -> list[str]:
    """Messages and docstrings of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [value for value in found if isinstance(value, str)]


def test_no_other_method_is_called_certified_or_guaranteed() -> None:
    modules = [path for path in HOUSE.rglob("*.py") if path.name not in MECHANISM]
    assert len(modules) > 100
    said = [
        (path.name, text)
        for path in modules
        for text in strings(path)
        if SAID.search(left_of(text))
    ]
    assert said == []


def test_nothing_that_is_printed_says_so() -> None:
    files = [path for folder in SHIPPED for path in folder.rglob("*") if path.is_file()]
    texts = {}
    for path in files:
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a font or a picture
            continue
    assert len(texts) > 10
    said = {
        name
        for name, text in texts.items()
        if SAID.search(left_of(text.replace('"certified"', "")))
    }
    assert said == set()


def test_the_search_finds_what_it_looks_for() -> None:
    assert SAID.search(left_of("This step guarantees that the model has forgotten."))
    assert SAID.search(left_of("Certified unlearning by a Newton step"))
    assert not SAID.search(left_of("certified"))
    assert any(
        SAID.search(text) for name in MECHANISM for text in strings(HOUSE / "unlearning" / name)
    )
