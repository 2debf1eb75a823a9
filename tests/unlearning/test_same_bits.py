"""On one machine the same run gives the same weights, whatever process it runs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from auditor.unlearning.method import METHODS


def in_a_process(device: str, *, threads: int) -> dict[str, Any]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": str(threads),
        "PYTHONPATH": os.pathsep.join(path for path in ("", *sys.path) if path) or ".",
    }
    command = [sys.executable, "-m", "tests.unlearning.same_bits", device]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_two_processes_with_other_threads_and_hashes_give_the_same_bits() -> None:
    one, other = (in_a_process("cpu", threads=threads) for threads in (1, 2))
    assert one == other
    assert one.pop("without_kernel") == []
    assert set(one) == {"training", *METHODS} and len(set(one.values())) == len(one)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_too_or_the_record_names_the_operation_that_prevents_it() -> None:
    one, other = (in_a_process("cuda:0", threads=threads) for threads in (1, 2))
    lacking = one.pop("without_kernel")
    assert lacking == other.pop("without_kernel")
    assert lacking or one == other
