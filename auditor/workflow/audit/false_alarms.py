"""How often a shared bank fails a true retrain, as its trials have shown, and what it may decide.

Trials may go on until they show enough, so the bound is one that holds however often one looks.
What counts as FAILED hangs on the margin: by a wider one fewer are. So a case goes by trials at its
own margin or a narrower one alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from auditor.domain import event as ev
from auditor.errors import EvidenceError
from auditor.verification.anytime import anytime_upper

ALPHA = 0.05  # a plan's, so also the false alarms that trials have to rule out
_MOST = 1 << 20  # retrains that are looked for


def millionths(margin: float) -> int:
    """A margin as trials keep it on the books.

    >>> millionths(0.35)
    350000
    """
    return round(margin * 1_000_000)


def false_alarm_bound(tried: Sequence[ev.SharedBankTried], margin: float) -> float:
    """Upper bound at 95 % on the share of true retrains that a bank fails; 1 if untried."""
    failed, retrains = _counts(tried, margin)
    return anytime_upper(failed, retrains)


def require_decisive(tried: Sequence[ev.SharedBankTried], alpha: float, margin: float) -> None:
    """Refuse a verdict by random subsets of which it isn't shown how often they fail a retrain.

    Args:
        tried: all trials of the bank.
        alpha: share of true retrains that it may fail.
        margin: of the case.

    Raises:
        EvidenceError: naming what was shown, and how many retrains would do.
    """
    bound = false_alarm_bound(tried, margin)
    if bound > alpha:
        needed = retrains_needed(alpha, *_counts(tried, margin))
        raise EvidenceError(
            "a bank of random subsets decides nothing until true retrains have shown that it fails "
            f"at most {alpha:.0%} of them at a margin of {margin} or a narrower one; so far it may "
            f"be {bound:.1%}; try {needed} more (`auditor bank try`), of which none fails"
        )


def retrains_needed(alpha: float, failed: int = 0, retrains: int = 0) -> int:
    """Further true retrains that show a false-alarm rate of at most alpha if none of them FAILED.

    >>> retrains_needed(0.05), retrains_needed(0.05, failed=1, retrains=74)
    (74, 57)
    """
    return bisect_left(
        range(_MOST), True, key=lambda more: anytime_upper(failed, retrains + more) <= alpha
    )


def _counts(tried: Sequence[ev.SharedBankTried], margin: float) -> tuple[int, int]:
    """FAILED, and all, of the trials that say something of cases at this margin."""
    counted = [item for item in tried if item.margin_millionths <= millionths(margin)]
    return sum(item.failed for item in counted), sum(item.retrains for item in counted)
