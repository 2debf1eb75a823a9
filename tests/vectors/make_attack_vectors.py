"""Makes ``tests/vectors/attacks.json``: `python -m tests.vectors.make_attack_vectors`.

The attacks and similarities restated from their definitions, one number at a time, with the
standard library alone and nothing of ours: sums over pairs and quadruples, bisection, counting.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from statistics import NormalDist, mean, median, variance

FILE = Path(__file__).parent / "attacks.json"

Row = list[float]
Table = list[Row]


def column(table: Table, k: int) -> Row:
    return [row[k] for row in table]


def spread(table: Table, k: int) -> float:
    """One variance for all images below 64 models (Carlini et al. 2022), else the image's own."""
    if len(table) >= 64:
        return math.sqrt(variance(column(table, k)))
    return math.sqrt(mean(variance(column(table, j)) for j in range(len(table[0]))))


def normal(table: Table, k: int) -> NormalDist:
    return NormalDist(mean(column(table, k)), spread(table, k))


def lira_offline(target: Row, out: Table) -> Row:
    """1 - Pr[Z > score], Z as over OUT models, told as the score's place in standard deviations."""
    below = [normal(out, k).cdf(score) for k, score in enumerate(target)]
    return [NormalDist().inv_cdf(share) for share in below]


def lira_online(target: Row, out: Table, inside: Table) -> Row:
    return [
        math.log(normal(inside, k).pdf(score) / normal(out, k).pdf(score))
        for k, score in enumerate(target)
    ]


def rmia(target: Row, pr_x: Row, population: Row, pr_z: Row, gamma: float) -> Row:
    scores = []
    for x, p_x in zip(target, pr_x, strict=True):
        dominated = 0
        for z, p_z in zip(population, pr_z, strict=True):
            ratio = (x / p_x) / (z / p_z)
            if ratio >= gamma:
                dominated += 1
        scores.append(dominated / len(population))
    return scores


def marginal_offline(out: Table, a: float) -> Row:
    return [0.5 * ((1 + a) * mean(column(out, k)) + (1 - a)) for k in range(len(out[0]))]


def marginal_online(out: Table, inside: Table) -> Row:
    return [0.5 * (mean(column(out, k)) + mean(column(inside, k))) for k in range(len(out[0]))]


def inner(a: Row, b: Row) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def gap(a: Row, b: Row) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def middle(rows: Table) -> float:
    return median(gap(rows[i], rows[j]) for i in range(len(rows)) for j in range(i))


def gram(rows: Table, kernel: Callable[[Row, Row], float]) -> Table:
    return [[kernel(a, b) for b in rows] for a in rows]


def gaussian(width: float) -> Callable[[Row, Row], float]:
    return lambda a, b: math.exp(-gap(a, b) / (2 * width))


def hsic(k: Table, m: Table) -> float:
    """Unbiased HSIC as a U-statistic over quadruples of different rows (Song et al. 2012)."""
    total = 0.0
    for i, j, q, r in permutations(range(len(k)), 4):
        total += k[i][j] * (m[i][j] + m[q][r] - 2 * m[i][q])
    return total / math.perm(len(k), 4)


def cka(k: Table, m: Table) -> float:
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


def mmd(a: Table, b: Table, kernel: Callable[[Row, Row], float]) -> float:
    """Unbiased MMD^2 of paired samples of one size (Gretton et al. 2012, equation 4)."""
    total = 0.0
    for i in range(len(a)):
        for j in range(len(a)):
            if i != j:
                total += kernel(a[i], a[j]) + kernel(b[i], b[j])
                total -= kernel(a[i], b[j]) + kernel(a[j], b[i])
    return total / (len(a) * (len(a) - 1))


def binomial_tail(successes: int, trials: int, p: float) -> float:
    """Chance of at least ``successes``."""
    return sum(
        math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1)
    )


def root(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(200):
        half = (low + high) / 2
        low, high = (half, high) if rising(half) < target else (low, half)
    return low


def clopper_pearson(successes: int, trials: int, level: float) -> Row:
    tail = (1 - level) / 2
    lower = 0.0 if successes == 0 else root(lambda p: binomial_tail(successes, trials, p), tail)
    upper = (
        1.0
        if successes == trials
        else root(lambda p: binomial_tail(successes + 1, trials, p), 1 - tail)
    )
    return [lower, upper]


def auc(members: Row, others: Row) -> float:
    wins = [1.0 if m > o else 0.5 if m == o else 0.0 for m in members for o in others]
    return mean(wins)


def found_at(members: Row, others: Row, limit: float) -> list[int]:
    """False and true positives at the lowest threshold with at most a share ``limit`` of others."""
    for threshold in sorted(others):
        wrong = sum(score > threshold for score in others)
        if wrong <= limit * len(others):
            return [wrong, sum(score > threshold for score in members)]
    raise AssertionError


def u_lira(unlearned: Table, out: Table, patients: Sequence[int]) -> dict[str, object]:
    """The first, third ... model of each kind teach the attack; the others are attacked."""
    taught = [row for k, row in enumerate(unlearned) if k % 2 == 0]
    plain = [row for k, row in enumerate(out) if k % 2 == 0]

    def by_patient(row: Row) -> Row:
        ratios = [
            math.log(normal(taught, k).pdf(x) / normal(plain, k).pdf(x)) for k, x in enumerate(row)
        ]
        return [
            mean(r for r, p in zip(ratios, patients, strict=True) if p == one)
            for one in sorted(set(patients))
        ]

    gone = [by_patient(row) for k, row in enumerate(unlearned) if k % 2 == 1]
    never = [by_patient(row) for k, row in enumerate(out) if k % 2 == 1]
    return {
        "together": auc([mean(row) for row in gone], [mean(row) for row in never]),
        "each": [auc(column(gone, k), column(never, k)) for k in range(len(set(patients)))],
    }


def make() -> dict[str, object]:
    draw = random.Random(20260127)

    def table(rows: int, columns: int, mean_: float = 0.0, sd: float = 1.0) -> Table:
        return [[round(draw.gauss(mean_, sd), 3) for _ in range(columns)] for _ in range(rows)]

    def shares(rows: int, columns: int) -> Table:
        return [[round(draw.uniform(0.05, 0.95), 3) for _ in range(columns)] for _ in range(rows)]

    target = table(1, 5, 1.0)[0]
    out, inside, many = table(6, 5), table(5, 5, 1.5, 0.7), table(64, 5)
    x, x_out, x_in = shares(1, 5)[0], shares(6, 5), shares(4, 5)
    z, z_out = shares(1, 9)[0], shares(6, 9)
    one, two = table(8, 3), table(8, 2)
    samples = [table(7, 2), table(7, 2, 0.3), table(7, 2, 0.6)]
    pooled = gaussian(middle(samples[0] + samples[1] + samples[2]))
    members, others = table(1, 30, 1.0)[0], table(1, 150)[0]
    gone, never, patients = table(7, 4, 0.8), table(6, 4), [3, 1, 3, 2]
    return {
        "lira": {
            "target": target,
            "out": out,
            "inside": inside,
            "many": many,
            "offline": lira_offline(target, out),
            "offline_many": lira_offline(target, many),
            "online": lira_online(target, out, inside),
        },
        "rmia": {
            "target": x,
            "out": x_out,
            "inside": x_in,
            "population": z,
            "population_out": z_out,
            "cases": [
                {
                    "a": a,
                    "gamma": gamma,
                    "offline": rmia(
                        x, marginal_offline(x_out, a), z, marginal_offline(z_out, a), gamma
                    ),
                    "online": rmia(
                        x, marginal_online(x_out, x_in), z, marginal_offline(z_out, 1.0), gamma
                    ),
                }
                for a, gamma in ((0.0, 1.0), (0.3, 1.0), (0.3, 1.5), (1.0, 2.0))
            ],
        },
        "cka": {
            "one": one,
            "two": two,
            "linear": cka(gram(one, inner), gram(two, inner)),
            "rbf": cka(gram(one, gaussian(middle(one))), gram(two, gaussian(middle(two)))),
        },
        "relative": {
            "candidate": samples[0],
            "retrain": samples[1],
            "original": samples[2],
            "difference": mmd(samples[0], samples[2], pooled) - mmd(samples[0], samples[1], pooled),
        },
        "clopper_pearson": [
            {"successes": s, "trials": n, "level": level, "interval": clopper_pearson(s, n, level)}
            for s, n, level in ((0, 30, 0.95), (1, 100, 0.95), (7, 24, 0.9), (256, 256, 0.95))
        ],
        "rates": {
            "members": members,
            "others": others,
            "auc": auc(members, others),
            "found": {str(limit): found_at(members, others, limit) for limit in (0.01, 0.001)},
        },
        "u_lira": {
            "unlearned": gone,
            "out": never,
            "patients": patients,
            **u_lira(gone, never, patients),
        },
    }


def main() -> None:
    FILE.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
