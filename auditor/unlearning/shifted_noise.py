"""How much noise hides where a noisy fine-tuning started from: an accountant, pure arithmetic.

Two runs of x_{t+1} = phi_t(x_t) + N(0, sigma^2 I) differ in their start alone. No two starts are
further apart than ``start``; no map takes points at distance d to points further apart than
c d + s (``contraction`` c <= 1, ``drift`` s). Then what T steps end with is mu-GDP, for

    mu = sqrt(a_1^2 + ... + a_T^2) / sigma,   where   z_0 = start,   z_T = 0,
    0 <= a_{t+1} <= c z_t + s,   z_{t+1} = c z_t + s - a_{t+1}.

Proof, by shifted interpolation (Bok, Su and Altschuler 2024, arXiv 2403.00278, section 3; there the
maps contract, here they drift as well). Let X and X' run from the two starts on noise Z, and let Y
start where X' does and go

    Y_{t+1} = phi_t(Y_t) + l (phi_t(X_t) - phi_t(Y_t)) + Z_{t+1},   l = a_{t+1} / (c z_t + s).

X and Y share their noise, so |X_t - Y_t| <= z_t by induction, and Y_T = X_T. A step of Y is one of
X' moved by at most a_{t+1}, so composition of Gaussian mechanisms (Dong, Roth and Su 2022, arXiv
1905.02383, section 3) makes telling Y_T from X'_T no easier than telling N(mu, 1) from N(0, 1).
That holds for each pair of starts, hence for random ones, and with either run in either place.

Of all such a, those with the smallest mu follow from Cauchy and Schwarz: unrolled, z_T = 0 reads
sum_t c^(T-t) a_t = D with D = c^T start + s (1 + c + ... + c^(T-1)), so a_t is proportional to
c^(T-t). They keep all z_t >= 0, since (1 + ... + c^(n-1)) / (1 + c^2 + ... + c^(2n-2)), which is
(1 + c) / (1 + c^n), grows with n. So mu is D over what the noise piles up to, and D over sigma
where there is one step: the Gaussian mechanism itself.

Renyi divergences by the shift-reduction lemma of Feldman et al. 2018 (arXiv 1808.06651)
lead to alpha mu^2 / 2 with the same mu, as in Koloskova et al. 2025; but mu-GDP turns into
(epsilon, delta) without the loss that a conversion from Renyi divergences has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import log_ndtr

_MARGIN = 1e-9  # relative; far above rounding, on the side of more noise
_MU = (1e-9, 1e3)  # beyond these nobody asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What is known of two noisy runs that differ in their start.

    Attributes:
        start: the largest distance between starts.
        contraction: c, above 0 and at most 1.
        drift: s, at least 0.
        steps: T, at least 1; noise follows each.
    """

    start: float
    contraction: float
    drift: float
    steps: int

    @property
    def apart(self) -> float:
        """D: how far apart two runs on the same noise may end."""
        powers = sum(self.contraction**k for k in range(self.steps))
        return self.contraction**self.steps * self.start + self.drift * powers

    @property
    def piled_up(self) -> float:
        """What noise of one unit a step adds up to, by coordinate, where maps shrink by c."""
        return math.sqrt(sum(self.contraction ** (2 * k) for k in range(self.steps)))

    def mu(self, sigma: float) -> float:
        """The guarantee that noise of standard deviation ``sigma`` a step and coordinate gives."""
        return self.apart / (sigma * self.piled_up)

    def sigma(self, mu: float) -> float:
        """The noise that a guarantee takes."""
        return self.apart / (mu * self.piled_up)


def delta_of(mu: float, epsilon: float) -> float:
    """The least delta with which mu-GDP is (epsilon, delta)-indistinguishability.

    Phi(-epsilon / mu + mu / 2) - e^epsilon Phi(-epsilon / mu - mu / 2), exact for two Gaussians
    (Balle and Wang 2018, arXiv 1805.06530, Theorem 8; Dong, Roth and Su 2022, section 2).
    """
    first = float(log_ndtr(-epsilon / mu + mu / 2))
    second = epsilon + float(log_ndtr(-epsilon / mu - mu / 2))
    return -math.exp(first) * math.expm1(min(0.0, second - first))


def mu_of(epsilon: float, delta: float) -> float:
    """The largest mu, to nine digits and never above, that gives (epsilon, delta).

    Args:
        epsilon: above 0.
        delta: in (0, 1).
    """
    found = float(brentq(lambda mu: delta_of(mu, epsilon) - delta, *_MU, xtol=1e-15))
    return found * (1 - _MARGIN)
