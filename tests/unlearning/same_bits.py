"""Prints the weight digest of a training and of every method, for a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import torch

from auditor.domain.artefact import Digest
from auditor.learning.determinism import deterministic
from auditor.learning.history import Checkpoint, History, Keeping, Saved
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Task
from tests.learning.noise import DROPPING, noise

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "newton": {"damping": "10"},
    "reset-and-heal": {"share": "0.5", "epochs": "1", "learning_rate": "0.004"},
    "reference-distillation": {"epochs": "1", "learning_rate": "0.004"},
    "negative-gradient": {"epochs": "1", "learning_rate": "0.004", "beta": "0.3"},
    "rewind": {},
    "retrain": {},
}
RECIPE = Recipe(
    architecture=DROPPING, factories=(DROPPING,), input_size=16, epochs=2, batch_size=4, slices=2
)
SEED = 5


def digests(device: torch.device) -> dict[str, object]:
    """By name; and the operations that have no deterministic kernel here."""
    images, indices = noise(), tuple(range(24))
    kept: dict[Digest, bytes] = {}
    saved: list[Saved] = []

    def keep(checkpoint: Checkpoint) -> None:
        digest = Digest.of(checkpoint.data)
        kept[digest] = checkpoint.data
        saved.append(Saved(step=checkpoint.step, digest=digest))

    with deterministic(device) as noted:
        keeping = Keeping(spacing=2, keep=keep)
        module = train(RECIPE, images, indices, SEED, keeping=keeping, device=device)
        found: dict[str, object] = {"training": str(Digest.of(weights_bytes(module)))}
        task = Task(
            recipe=RECIPE,
            module=module,
            images=images,
            forget=indices[20:],
            retain=indices[:20],
            unseen=tuple(range(24, 31)),
            seed=1,
            history=History(
                seed=SEED,
                indices=indices,
                without=frozenset(),
                checkpoints=tuple(saved),
                read=kept.__getitem__,
            ),
        )
        for name, method in METHODS.items():
            made = method.run(task, PARAMETERS[name])
            found[name] = str(Digest.of(weights_bytes(made)))
    return found | {"without_kernel": noted.found().without_kernel}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(digests(torch.device(sys.argv[1]))))
