"""Power and size of whole plans, simulated end to end with the engine that audits real models.

    python -m benchmarks.power [--plans 2000] [--workers 2] [--world NAME ...] [--mixed]

Each plan draws a bank of its own and a model in service, declares its powers, and audits three
fresh candidates: a true retrain, a fake that keeps just the margin's share of influence, and an
untouched model. Prints a table for RESULTS.md.

With --mixed every plan has a world of its own, remembered hardly or strongly, and the table tells
how many retrains passed of those to whom as much was declared: is the number printed on a
certificate right for those that get one?
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from auditor.domain.verdict import Decision, ReasonCode, Verdict
from auditor.verification.clopper_pearson import clopper_pearson
from tests.verification.plans import Outcome, World, carry_out

SHARES = (0.0, 0.35, 1.0)
_REQUIRED = 0.8
WORLDS = {
    "12 patients, 2 images each": World(gap=3.0),
    "the same, a weaker gap": World(gap=2.0),
    "the same, weaker still": World(gap=1.2),
    "patients remembered very unevenly": World(gap=2.6, uneven=1.0),
    "8 + 8 references": World(gap=3.0, out_models=8, in_models=8),
    "32 + 32 references": World(gap=2.0, out_models=32, in_models=32),
    "one patient, 3 images": World(patients=1, images=3, gap=5.5),
    "one patient, 1 image, not remembered": World(patients=1, images=1, gap=0.4),
    "heavy tails (t, 4 degrees)": World(gap=3.0, tails=4.0),
    "no gap, 400 images": World(patients=100, images=4, gap=0.0),
}
MIXED = {  # each with the range that the gap is drawn from
    "12 patients, gap 1 to 4": (World(), (1.0, 4.0)),
    "one patient, 3 images, gap 3 to 9": (World(patients=1, images=3), (3.0, 9.0)),
}
_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 1.01)
_TITLES = (
    "world",
    "retrain PASSED: declared",
    "measured",
    "where 0.8 or more is declared",
    "untouched found by influence: declared",
    "measured",
    "retrain FAILED",
    "fake at the margin PASSED",
    "untouched PASSED",
    "untouched INDETERMINATE",
)


def main() -> None:
    """Simulate the worlds asked for, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--plans", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--world", nargs="*", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--mixed", action="store_true")
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as pool:
        if asked.mixed:
            _mixed(pool, asked.plans)
            return
        _write(f"| {' | '.join(_TITLES)} |\n|{'---|' * len(_TITLES)}")
        for name in asked.world:
            started = time.monotonic()
            one = partial(carry_out, WORLDS[name], shares=SHARES)
            outcomes = list(pool.map(one, range(asked.plans), chunksize=10))
            _write(_line(name, outcomes))
            sys.stderr.write(f"{name}: {time.monotonic() - started:.0f} s\n")


def _mixed(pool: Executor, plans: int) -> None:
    _write("| world | declared | plans | in the mean | retrain PASSED |\n|---|---|---|---|---|")
    for name, (world, gaps) in MIXED.items():
        outcomes = list(pool.map(partial(_drawn, world, gaps), range(plans), chunksize=10))
        declared = np.array([item.power.pass_retrain for item in outcomes])
        passed = np.array([item.decisions[0].verdict is Verdict.PASSED for item in outcomes])
        for least, most in pairwise(_EDGES):
            among = (declared >= least) & (declared < most)
            if among.any():
                rate = _rate(int(passed[among].sum()), int(among.sum()))
                cells = f"{least} to {min(most, 1.0)}", among.sum(), f"{declared[among].mean():.3f}"
                _write(f"| {name} | {' | '.join(map(str, cells))} | {rate} |")


def _drawn(world: World, gaps: tuple[float, float], seed: int) -> Outcome:
    gap = float(np.random.default_rng((20261130, seed)).uniform(*gaps))
    return carry_out(replace(world, gap=gap), seed, shares=SHARES[:1])


def _line(name: str, outcomes: list[Outcome]) -> str:
    plans = len(outcomes)
    retrains, fakes, untouched = zip(*(item.decisions for item in outcomes), strict=True)

    def share(decisions: tuple[Decision, ...], verdict: Verdict) -> str:
        return _rate(sum(item.verdict is verdict for item in decisions), plans)

    found = sum(
        ReasonCode.INFLUENCE_OUTSIDE in {reason.code for reason in item.reasons}
        for item in untouched
    )
    cells = (
        name,
        f"{np.mean([item.power.pass_retrain for item in outcomes]):.3f}",
        share(retrains, Verdict.PASSED),
        _within_reach(outcomes),
        f"{np.mean([item.power.detect_untouched for item in outcomes]):.3f}",
        _rate(found, plans),
        share(retrains, Verdict.FAILED),
        share(fakes, Verdict.PASSED),
        share(untouched, Verdict.PASSED),
        share(untouched, Verdict.INDETERMINATE),
    )
    return f"| {' | '.join(cells)} |"


def _within_reach(outcomes: list[Outcome]) -> str:
    """Declared and measured of the plans that go ahead: banks that were lucky are among them."""
    ahead = [item for item in outcomes if item.power.pass_retrain >= _REQUIRED]
    if not ahead:
        return "-"
    passed = sum(item.decisions[0].verdict is Verdict.PASSED for item in ahead)
    declared = np.mean([item.power.pass_retrain for item in ahead])
    return f"{declared:.3f}, {_rate(passed, len(ahead))} of {len(ahead)}"


def _rate(count: int, trials: int) -> str:
    """A share with its exact 95 % interval."""
    found = clopper_pearson(count, trials)
    return f"{found.point:.3f} [{found.lower:.3f}, {found.upper:.3f}]"


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
