"""Centred kernel alignment (CKA) without the bias that few images and many features bring.

Kornblith et al. 2019 compare representations by HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)). With
the unbiased estimator HSIC_1 (Song et al. 2012, equation 5; used for CKA by Nguyen et al. 2021)
two unrelated representations score 0 on average instead of near 1 (Murphy et al. 2024). CKA alone
can be moved at will without a change of behaviour (Davari et al. 2023, arXiv 2210.16156): never
let it speak without a second measure.
"""

from __future__ import annotations

import numpy as np

from auditor.errors import EvidenceError, UnauditableError
from auditor.verification.layout import Numbers

LEAST_ROWS = 4


def linear_gram(features: Numbers) -> Numbers:
    """Inner products, (n, n)."""
    return features @ features.T


def rbf_gram(features: Numbers) -> Numbers:
    """Gaussian kernel, its width the median distance, (n, n); so the features' scale drops out."""
    squares = squared_distances(features, features)
    width = float(np.median(squares[np.triu_indices(len(features), 1)]))
    if width <= 0:
        raise UnauditableError("a model gives most images the same features; it can't be audited")
    return np.asarray(np.exp(-squares / (2 * width)))


def debiased_cka(grams: Numbers) -> Numbers:
    """CKA between every two of several representations of the same n rows, (models, models).

    Args:
        grams: (models, n, n), n >= 4.

    Raises:
        EvidenceError: fewer than four rows, or a representation without any structure.
    """
    count, rows = len(grams), grams.shape[-1]
    if rows < LEAST_ROWS:
        raise EvidenceError(f"CKA of {rows} patients; at least {LEAST_ROWS} are needed")
    centred = np.stack([_u_centred(gram) for gram in grams]).reshape(count, -1)
    hsic = centred @ centred.T / (rows * (rows - 3))
    own = np.sqrt(hsic.diagonal())
    if (own <= 0).any():
        raise UnauditableError("a model gives every image the same features; it can't be audited")
    return np.asarray(hsic / np.outer(own, own))


def squared_distances(a: Numbers, b: Numbers) -> Numbers:
    """Squared Euclidean distances, (len(a), len(b))."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def _u_centred(gram: Numbers) -> Numbers:
    """U-centring: inner products of two such matrices over n (n - 3) are HSIC_1.

    Székely and Rizzo 2014, definition 2 and proposition 1.
    """
    count = len(gram)
    inner = gram - np.diag(gram.diagonal())
    rows = inner.sum(axis=1) / (count - 2)
    centred = inner - rows[:, None] - rows + inner.sum() / ((count - 1) * (count - 2))
    np.fill_diagonal(centred, 0.0)
    return np.asarray(centred)
