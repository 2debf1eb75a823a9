"""Weights as bytes: safetensors out, safetensors or plain tensors in, never a pickle."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from auditor.errors import ModelError, UnsafeWeightsError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe


def weights_bytes(module: nn.Module) -> bytes:
    """Weights and buffers of a module in safetensors form; the same weights give the same bytes."""
    return save_tensors({name: value.detach().cpu() for name, value in module.state_dict().items()})


def load_weights(recipe: Recipe, data: bytes) -> nn.Module:
    """A module of the recipe's architecture with these weights, in evaluation mode.

    Raises:
        ModelError: not safetensors, NaN or infinite values, or weights of another architecture.
    """
    state = load_tensors(data)
    if bad := [name for name, value in state.items() if not bool(torch.isfinite(value).all())]:
        raise ModelError(f"weights hold NaN or infinite values in {bad[0]}")
    module = build(recipe, seed=0)
    try:
        module.load_state_dict(state)
    except RuntimeError:
        raise ModelError(
            f"recipe mismatch: the weights don't fit architecture {recipe.architecture}"
        ) from None
    return module.eval()


def convert_checkpoint(path: Path) -> bytes:
    """Safetensors bytes of a weights file, which may be safetensors or a plain ``torch.save``.

    Raises:
        UnsafeWeightsError: reading it would mean running a pickle.
        ModelError: unreadable, or no table of tensors.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"can't read {path}: {error.strerror}") from None
    if data[8:9] == b"{":  # safetensors: 8 bytes of length, then a JSON header
        return save_tensors(load_tensors(data))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch only doubts is refused or checked below
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UnsafeWeightsError(
            f"{path} holds more than tensors and would run code when read; save its state_dict()"
        ) from None
    except (RuntimeError, EOFError, ValueError, OSError):
        raise ModelError(f"{path} is no weights file") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path} is no table of tensors; save the model's state_dict()")
    return save_tensors(state)


def save_tensors(state: Mapping[str, Tensor]) -> bytes:
    """Tensors by name in safetensors form; the same tensors give the same bytes."""
    from safetensors.torch import save

    return save({name: state[name].contiguous() for name in sorted(state)})


def load_tensors(data: bytes) -> dict[str, Tensor]:
    """What `save_tensors` was given.

    Raises:
        ModelError: not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except SafetensorError:
        raise ModelError("not a safetensors file, or a damaged one") from None
