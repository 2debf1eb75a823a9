from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditor.errors import HomeError
from auditor.workflow.homes.files import OWNER_ONLY, write_file


def test_the_file_has_its_mode_and_content_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_file(path, b"first")
    write_file(path, b"second", mode=OWNER_ONLY)
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == OWNER_ONLY
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "occupied"
    path.mkdir()
    (path / "inside").write_text("kept")
    with pytest.raises(HomeError, match="can't write"):
        write_file(path, b"new")
    assert (path / "inside").read_text() == "kept"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"first", b"second"):
        write_file(link, content)
        assert link.is_symlink() and target.read_bytes() == content
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(HomeError, match="can't write"):
        write_file(loop, b"x")


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "null"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(HomeError, match="is no file; name another"):
            write_file(path, b"x")
    assert pipe.is_fifo() and link.is_symlink()
    assert not list(tmp_path.glob(".*.part"))


@contextmanager
def small_files_only() -> Iterator[None]:
    """The system refuses to let any file grow past 8 bytes, as a full disk would.

    For as short as can be: the test runner's own log is a file too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_file(path, b"old")
    with pytest.raises(HomeError, match=f"can't write {path}"), small_files_only():
        write_file(path, b"x" * 4096)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
