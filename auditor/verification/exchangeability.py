"""Rank tests: exact for a candidate exchangeable with OUT models, whatever their distribution."""

from __future__ import annotations

from math import ceil

from auditor.verification.layout import Numbers


def rank_p_value(value: float, others: Numbers) -> float:
    """Two-sided p-value of ``value`` among K others, at least 2 / (K + 1).

    Of K + 1 exchangeable numbers each has the same chance of every rank; ties count against a
    rejection.
    """
    share = min((others >= value).sum(), (others <= value).sum()) + 1
    return min(1.0, 2 * float(share) / (len(others) + 1))


def references_needed(tests: int, alpha: float) -> int:
    """OUT models from which ranks alone can reject, ``tests`` comparisons sharing ``alpha``.

    >>> references_needed(1, 0.05), references_needed(18, 0.05 / 3)
    (39, 2159)
    """
    return ceil(2 * tests / alpha - 1e-9) - 1
