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
from auditor.given import read_given
from auditor.learning.models import build
from auditor.learning.recipe import Recipe

_WEIGHTS, _OPTIMISER = "weights", "optimiser"


def weights_bytes(module: nn.Module) -> bytes:
    """Weights and buffers of a module in safetensors form; the same weights give the same bytes."""
    return save_tensors(module.state_dict())


def load_weights(recipe: Recipe, data: bytes) -> nn.Module:
    """A module of the recipe's architecture with these weights, in evaluation mode.

    Raises:
        ModelError: not safetensors, NaN or infinite values, weights of another architecture, or two
            values of what the network holds once: what is audited would be no model of that digest.
    """
    state = load_tensors(data)
    module = build(recipe, seed=0)
    require_fit(
        module.state_dict(), state, f"the weights don't fit architecture {recipe.architecture}"
    )
    module.load_state_dict(state)
    for name, value in module.state_dict().items():
        if not torch.equal(value, state[name]):
            raise ModelError(
                f"the weights hold two values of what the network ties into one, in {name[:80]!r}; "
                "save them from the network itself"
            )
    return module.eval()


def checkpoint_bytes(module: nn.Module, optimiser: torch.optim.Optimizer) -> bytes:
    """Weights, buffers and optimiser state of a training under way, in safetensors form."""
    moments = {
        f"{_OPTIMISER}.{number}.{name}": value
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }
    weights = {f"{_WEIGHTS}.{name}": value for name, value in module.state_dict().items()}
    return save_tensors({**weights, **moments})


def restore_checkpoint(data: bytes, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put a training back to where `checkpoint_bytes` was taken.

    Raises:
        ModelError: not safetensors, NaN or infinite values, or a checkpoint of another network.
    """
    tensors = load_tensors(data)
    moments: dict[int, dict[str, Tensor]] = {}
    weights: dict[str, Tensor] = {}
    for key, value in tensors.items():
        kind, _, name = key.partition(".")
        if kind == _OPTIMISER:
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = value
        elif kind == _WEIGHTS:
            weights[name] = value
    require_fit(module.state_dict(), weights, "the checkpoint is of another network")
    module.load_state_dict(weights)
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})


def convert_checkpoint(path: Path) -> bytes:
    """Safetensors bytes of a weights file, which may be safetensors or a plain ``torch.save``.

    Raises:
        UnsafeWeightsError: reading it would mean running a pickle.
        ModelError: unreadable, or no table of tensors.
    """
    try:
        data = read_given(path)
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
    except Exception:  # on damaged input torch's reader raises whatever it stumbles over
        raise ModelError(f"{path} is no weights file") from None
    if not isinstance(state, dict) or not all(_is_plain(*item) for item in state.items()):
        raise ModelError(f"{path} is no table of plain tensors; save the model's state_dict()")
    return save_tensors(state)


def _is_plain(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def require_fit(own: Mapping[str, Tensor], found: Mapping[str, Tensor], otherwise: str) -> None:
    """Names, shapes and types are the network's own, so that loading converts nothing unseen.

    Args:
        own: the network's.
        otherwise: what is wrong where they aren't.

    Raises:
        ModelError: they aren't, or a value is NaN or infinite.
    """
    names = sorted(own.keys() | found.keys())
    for name in names:
        if name not in own or name not in found or _form(own[name]) != _form(found[name]):
            raise ModelError(f"recipe mismatch: {otherwise}; the first to differ is {name[:80]!r}")
    if bad := [name for name, value in found.items() if not bool(torch.isfinite(value).all())]:
        raise ModelError(f"weights hold NaN or infinite values in {bad[0]}")


def _form(value: Tensor) -> tuple[torch.Size, torch.dtype]:
    return value.shape, value.dtype


def save_tensors(state: Mapping[str, Tensor]) -> bytes:
    """Tensors by name in safetensors form; the same tensors give the same bytes.

    Those that share memory are written apart.
    """
    from safetensors.torch import save

    return save({name: state[name].detach().cpu().contiguous().clone() for name in sorted(state)})


def load_tensors(data: bytes) -> dict[str, Tensor]:
    """What `save_tensors` was given.

    Raises:
        ModelError: not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError):  # KeyError: a type torch lacks
        raise ModelError("not a safetensors file, or a damaged one") from None
