"""Killing a process in the middle of its work, at every place that matters, one after another."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any


def killed_before(call: int, functions: frozenset[str], act: Callable[[], object]) -> bool:
    """Do something in a process of its own, which is killed before it calls for the n-th time.

    Args:
        call: of those to any of the functions, from 1 on.
        functions: names of functions of auditor.
        act: opens what it needs itself.

    Returns:
        Whether it came that far; else it did what it had to, and the test fails if it couldn't.
    """
    child = os.fork()
    if child == 0:
        _work(call, functions, act)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _work(call: int, functions: frozenset[str], act: Callable[[], object]) -> None:
    seen = 0

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal seen
        if event != "call" or frame.f_code.co_name not in functions:
            return
        if str(frame.f_globals.get("__name__", "")).startswith("auditor."):
            seen += 1
            if seen == call:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.setprofile(watch)
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
