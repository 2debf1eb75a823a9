"""Is the engine here? One clear sentence where it isn't."""

from __future__ import annotations

from auditor.errors import EngineMissingError


def require_engine() -> None:
    """See that torch and torchvision are installed and match.

    Raises:
        EngineMissingError: they aren't, or they don't.
    """
    try:
        import torch  # noqa: F401  # whether it can be imported is the question
        import torchvision  # noqa: F401  # the same
    except ImportError as error:
        raise EngineMissingError(
            f"this command needs the engine ({error.name or 'torch'} is missing); "
            "install it: pip install 'auditor[engine]'"
        ) from None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        raise EngineMissingError(
            "torch and torchvision don't match (operator torchvision::nms does not exist); "
            "install a matching pair: pip install --force-reinstall torch torchvision"
        ) from None
