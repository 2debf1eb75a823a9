"""Which methods a case tries, in which order, and why not the others. Pure; reads nothing.

Everything here is known before the plan is pinned and comes from reference models and surrogate
patients: no method has touched the request's own images yet, so none of it peeks at a result.

The level alpha is split over the approximate rungs (DESIGN section 4 point 9), so there are few of
them: as many as leave the declared power above what is required, and two at most. Exact methods
come last and need no share of it: they earn their basis by replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.evidence import Power
from auditor.domain.route import Due, LeftOut
from auditor.unlearning.task import Cost

MOST_RUNGS = 2  # approximate ones; a third would have a third of alpha
_COSTS = tuple(Cost)  # from the least to the most


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFacts:
    """A method of the table, as this case may use it.

    Attributes:
        met: all it needs is at hand.
        share: of a whole training that it has to run here; of consequence for exact methods.
    """

    name: str
    exact: bool
    cost: Cost
    met: bool = True
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What the bank says beforehand, with alpha split over so many approximate rungs.

    Attributes:
        reach: largest residual influence that would still pass; negative where none would.
    """

    power: Power
    reach: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts:
    """What is known of a case before its plan is pinned.

    Attributes:
        memorisation: of each of the request's patients, as scouts tell it (`scouting.Scouts`).
        cohort: the request names several subjects.
        tail_from: memorisation from which on a patient belongs to the tail.
        methods: exact and approximate ones.
        prospects: for one approximate rung, for two, up to `MOST_RUNGS`.
        qualified: methods whose qualification for cohorts is current.
        surrogates: some could be matched.
        due: why this erasure has to be exact.
        measure_anyway: take the cheapest approximate rung even where it can't earn a certificate.
    """

    memorisation: tuple[float, ...]
    cohort: bool
    tail_from: float
    methods: tuple[MethodFacts, ...]
    prospects: tuple[Prospect, ...]
    required_power: float
    recipe_fits: bool
    auc_margin_refused: bool
    qualified: frozenset[str] = frozenset()
    surrogates: bool = True
    due: tuple[Due, ...] = ()
    measure_anyway: bool = False

    @property
    def tail(self) -> int:
        """How many of the patients belong to the tail."""
        return sum(value >= self.tail_from for value in self.memorisation)

    @property
    def room(self) -> int:
        """Approximate rungs among which alpha can be split at the required power."""
        powers = (min(p.power.detect_untouched, p.power.pass_retrain) for p in self.prospects)
        enough = [power >= self.required_power for power in powers]
        return enough.index(False) if False in enough else len(enough)


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """A method that is no rung, and why."""

    method: str
    reason: LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortlist:
    """Approximate methods worth tuning, cheapest first, and those that aren't."""

    methods: tuple[str, ...]
    left_out: tuple[Omission, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning a method on surrogates gave.

    Attributes:
        found: parameters inside the bounds were found.
        residual: rho they left on the surrogates; None where these show no gap to tune on.
    """

    found: bool
    residual: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The ladder: ``approximate`` rungs, then ``exact`` ones, in order; and what was left out."""

    approximate: tuple[str, ...]
    exact: tuple[str, ...]
    left_out: tuple[Omission, ...]

    @property
    def ladder(self) -> tuple[str, ...]:
        """All rungs in order."""
        return (*self.approximate, *self.exact)

    @property
    def rungs(self) -> int:
        """What alpha is split over; audits of exact rungs and controls spend it, too."""
        return max(1, len(self.approximate))


def shortlist(facts: RouteFacts) -> Shortlist:
    """Approximate methods that could earn something, before any of them is tuned."""
    listed: list[str] = []
    left_out: list[Omission] = []
    for method in _by_cost(facts, exact=False):
        reason = _hopeless(facts, method)
        if reason is None and _anyway(facts) and listed:
            reason = LeftOut.NO_ROOM  # one measurement is enough
        if reason is None:
            listed.append(method.name)
        else:
            left_out.append(Omission(method=method.name, reason=reason))
    return Shortlist(methods=tuple(listed), left_out=tuple(left_out))


def route(facts: RouteFacts, tuned: Mapping[str, Tuned]) -> Route:
    """The ladder, once each method of the `shortlist` is tuned.

    Of the methods that could pass, those that left the least on the surrogates are taken, as many
    as there is room for; they are tried from the cheapest on.
    """
    before = shortlist(facts)
    left_out = list(before.left_out)
    able: list[str] = []
    for method in before.methods:
        if not tuned[method].found:
            left_out.append(Omission(method=method, reason=LeftOut.NO_PARAMETERS))
        elif not _passable(facts, tuned[method], 1):
            left_out.append(Omission(method=method, reason=LeftOut.RESIDUAL))
        else:
            able.append(method)
    taken = _taken(facts, able, tuned)
    spare = [name for name in able if name not in taken]
    left_out += [Omission(method=name, reason=LeftOut.NO_ROOM) for name in spare]
    exact, dearer = _exact(facts)
    return Route(
        approximate=tuple(name for name in able if name in taken),
        exact=exact,
        left_out=(*left_out, *dearer),
    )


def _hopeless(facts: RouteFacts, method: MethodFacts) -> LeftOut | None:
    """Why tuning the method would be in vain, the gravest reason first."""
    if facts.due:
        return LeftOut.EXACT_DUE
    if not method.met:
        return LeftOut.NEED_NOT_MET
    if not facts.measure_anyway:
        if not facts.recipe_fits:
            return LeftOut.RECIPE_MISMATCH
        if facts.auc_margin_refused:
            return LeftOut.AUC_MARGIN_REFUSED
        if facts.room == 0:
            return LeftOut.POWER_TOO_LOW
        if facts.cohort and method.name not in facts.qualified:
            return LeftOut.NOT_QUALIFIED
    if facts.tail and method.cost is Cost.STEP:
        return LeftOut.TAIL
    return None if facts.surrogates else LeftOut.NO_SURROGATES


def _anyway(facts: RouteFacts) -> bool:
    """Whether an approximate rung is a mere measurement here."""
    return facts.measure_anyway and (facts.room == 0 or facts.cohort)


def _passable(facts: RouteFacts, tuned: Tuned, rungs: int) -> bool:
    """Whether what is left on surrogates would pass; where nothing shows, power has decided."""
    if tuned.residual is None or facts.room == 0:
        return True
    return abs(tuned.residual) <= facts.prospects[rungs - 1].reach


def _taken(facts: RouteFacts, able: Sequence[str], tuned: Mapping[str, Tuned]) -> frozenset[str]:
    """Fewer rungs leave each a wider reach: the most for which there are enough that reach."""
    for rungs in range(max(1, facts.room), 0, -1):
        fit = [name for name in able if _passable(facts, tuned[name], rungs)]
        if len(fit) >= rungs:
            best = sorted(fit, key=lambda name: _left(tuned[name]))
            return frozenset(best[:rungs])
    return frozenset()


def _left(tuned: Tuned) -> float:
    """What is left on surrogates; unknown counts as most."""
    return float("inf") if tuned.residual is None else abs(tuned.residual)


def _exact(facts: RouteFacts) -> tuple[tuple[str, ...], tuple[Omission, ...]]:
    taken: list[str] = []
    left_out: list[Omission] = []
    for method in _by_cost(facts, exact=True):
        if not method.met:
            left_out.append(Omission(method=method.name, reason=LeftOut.NEED_NOT_MET))
        elif method.share >= 1 and method.cost is not Cost.TRAINING:
            left_out.append(Omission(method=method.name, reason=LeftOut.NOT_CHEAPER))
        else:
            taken.append(method.name)
    return tuple(taken), tuple(left_out)


def _by_cost(facts: RouteFacts, *, exact: bool) -> list[MethodFacts]:
    chosen = (method for method in facts.methods if method.exact is exact)
    return sorted(chosen, key=lambda method: (_COSTS.index(method.cost), method.name))
