"""Whether probabilities mean what they say."""

import numpy as np

from scripts.common.statistics.intervals import wilson


def brier(y, p):
    """The mean squared distance of probability and outcome (Brier 1950); 0.25 for a constant 0.5."""
    return float(np.mean((np.asarray(p) - y) ** 2))


def reliability(y, p, effective_n, bins=10):
    """Bins of equally many rows, by probability: a list of ``{"rows", "mean_p", "share", "low", "high"}``.

    ``share`` is that of y = 1, with a 95 % Wilson interval whose n is the bin's part of ``effective_n``. Equal
    probabilities stay in one bin, so there may be fewer bins. Equally wide bins would hold next to nothing but the
    middle one: direction forecasts lie close to 0.5.
    """
    y, p = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    bin_of = _bins(p, bins)
    result = []
    for number in np.unique(bin_of):
        own = bin_of == number
        share, rows = float(y[own].mean()), int(own.sum())
        low, high = wilson(share, effective_n * rows / len(p))
        result.append({"rows": rows, "mean_p": float(p[own].mean()), "share": share, "low": low, "high": high})
    return result


def calibration_error(bins):
    """Expected calibration error of the bins of :func:`reliability`: mean distance of ``mean_p`` from ``share``.

    Naeini, Cooper and Hauskrecht (2015); with bins of equal mass as Nixon et al. (2019) advise.
    """
    rows = sum(each["rows"] for each in bins)
    return sum(each["rows"] * abs(each["mean_p"] - each["share"]) for each in bins) / rows


def error_if_calibrated(p, bins=10, draws=400):
    """What :func:`calibration_error` comes to where every probability is right: ``{"mean", "high"}``, high the 95 %
    quantile of ``draws`` seeded draws of outcomes from ``p``.

    Chance alone moves the shares of bins off their means, the more the fewer rows there are. Rows count as separate.
    """
    p = np.asarray(p, dtype=float)
    _, bin_of = np.unique(_bins(p, bins), return_inverse=True)
    rng, errors = np.random.default_rng(len(p)), []
    for _ in range(draws):
        off = np.bincount(bin_of, (rng.random(len(p)) < p) - p)
        errors.append(float(np.abs(off).sum() / len(p)))
    return {"mean": float(np.mean(errors)), "high": float(np.quantile(errors, 0.95))}


def _bins(p, bins):
    """The bin of each of ``p`` ``[n]``: as :func:`reliability` says."""
    return np.searchsorted(np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1])), p)
