"""Same bits: settings put back, and operations without a deterministic kernel told, not hidden."""

from __future__ import annotations

import os
import warnings

import pytest
import torch

from auditor.domain.run_record import Determinism
from auditor.learning import determinism
from auditor.learning.determinism import deterministic, one_thread

CPU = torch.device("cpu")


def lacking() -> None:
    """An operation that has no deterministic kernel on any device."""
    torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


def settings() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )


def test_an_operation_without_a_deterministic_kernel_is_refused_in_a_training() -> None:
    with one_thread(), pytest.raises(RuntimeError, match="put_"):
        lacking()


def test_and_in_a_recorded_run_it_is_noted_also_inside_a_training() -> None:
    with deterministic(CPU) as noted:
        torch.ones(2, 2) @ torch.ones(2, 2)
        assert noted.found().without_kernel == ()
        with one_thread():
            lacking()
            lacking()
    assert noted.found() == Determinism(
        enforced=True, threads=1, tf32=False, without_kernel=("put_",)
    )


def test_settings_are_put_back_whatever_happens() -> None:
    before = settings()
    with pytest.raises(ZeroDivisionError), deterministic(CPU), one_thread():
        assert settings() == (1, True, True, False)
        raise ZeroDivisionError
    assert settings() == before


def test_other_warnings_reach_the_caller() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with deterministic(CPU):
            lacking()
            warnings.warn("the weather changes", UserWarning, stacklevel=1)
    assert [str(item.message) for item in caught] == ["the weather changes"]


def test_a_gpu_that_was_at_work_before_we_could_set_its_workspace_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = torch.device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    with deterministic(gpu) as noted:
        pass
    assert noted.found().without_kernel == ()
    monkeypatch.setattr(determinism, "_late", True)
    with deterministic(gpu) as noted, deterministic(CPU) as other:
        pass
    assert noted.found().without_kernel == ("cublas",)
    assert other.found().without_kernel == ()
