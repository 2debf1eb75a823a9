"""The table of unlearning methods."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditor.unlearning.cadet2024reset import ResetAndHeal
from auditor.unlearning.guo2020newton import NewtonStep
from auditor.unlearning.retrain import Retrain
from auditor.unlearning.rewind import Rewind
from auditor.unlearning.task import Method

METHODS: Mapping[str, Method] = MappingProxyType(
    {method.name: method for method in (NewtonStep(), ResetAndHeal(), Rewind(), Retrain())}
)
