"""The automatic choice of layers: where a step gains most for what its parameters cost."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from auditor.unlearning.curvature import Rows

_SHARE = 0.9  # of the gain below the head


def most_telling(rows: Rows, gradient: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Few layers that hold most of what the step gains on the forgotten images, and the head.

    A step on one layer alone raises their loss by g^T (H + lambda I)^-1 g to first order, with g
    and H the layer's own, which by Jensen's inequality is at least |g|^2 / (c + lambda), with
    c = |A g|^2 / |g|^2 the curvature along g. That bound is the layer's gain. In the place of
    lambda stands c of the whole network, so that one choice serves every damping. Layers are
    taken by gain per parameter, since the cost goes by parameters, until they hold nine tenths of
    the gain below the head. The head, the last layer, is cheap and always among them, but counts
    for nothing: a step on it alone forgets nothing.

    Args:
        rows: of a small sample, over all layers.
        gradient: of the forgotten images' summed loss.

    Returns:
        Names of layers and tokens, in the network's order.
    """
    names = rows.units.names
    unit_of = {name: unit for unit in names for name in rows.units.parameters[unit]}
    along = {unit: torch.zeros(1, dtype=torch.float64) for unit in names}
    squared = dict.fromkeys(names, 0.0)
    sizes = dict.fromkeys(names, 0)
    for name, value in gradient.items():
        squared[unit_of[name]] += float(value.double().square().sum())
        sizes[unit_of[name]] += value.numel()
    for stacked in rows.by_parameter():
        unit = unit_of[stacked.parameter]
        along[unit] = along[unit] + stacked.product(gradient[stacked.parameter]).cpu()
    total = sum(squared.values())
    if not total > 0:
        return names
    overall = float(sum(along.values(), torch.zeros(1)).square().sum()) / total
    gains = {
        unit: squared[unit] ** 2 / (float(along[unit].square().sum()) + overall * squared[unit])
        for unit in names
        if squared[unit] > 0
    }
    head = list(rows.units.layers)[-1]
    body = {unit: gain for unit, gain in gains.items() if unit != head}
    chosen = {head}
    for unit in sorted(body, key=lambda unit: (-body[unit] / sizes[unit], unit)):
        if sum(body[name] for name in chosen & set(body)) >= _SHARE * sum(body.values()):
            break
        chosen.add(unit)
    return tuple(unit for unit in names if unit in chosen)
