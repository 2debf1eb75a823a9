"""The table of unlearning methods."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditor.unlearning.cadet2024reset import ResetAndHeal
from auditor.unlearning.guo2020newton import NewtonStep
from auditor.unlearning.koloskova2025noise import NoisyFineTuning
from auditor.unlearning.kurmanji2023negative import NegativeGradient
from auditor.unlearning.mirlach2026reference import ReferenceDistillation
from auditor.unlearning.retrain import Retrain
from auditor.unlearning.rewind import Rewind
from auditor.unlearning.task import Method

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            NewtonStep(),
            ResetAndHeal(),
            ReferenceDistillation(),
            NegativeGradient(),
            Rewind(),
            Retrain(),
        )
    }
)
"""What a case's ladder may hold: each is exact, or tuned on surrogates."""

WITH_GUARANTEE: Mapping[str, Method] = MappingProxyType(
    {method.name: method for method in (NoisyFineTuning(),)}
)
"""Offered to whoever runs it by hand. No case runs them: what they promise can't be tuned, and a
document would have to print it with what it assumes.
"""
