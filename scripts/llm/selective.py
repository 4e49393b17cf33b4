"""What a model's own confidence is worth: calibration, and how right it is where it is sure (risk and coverage)."""

import numpy as np

from scripts.common.statistics import calibration, proportions

COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PER_BIN = 10  # rows of a bin of reliability, at least
CERTAINTY = 0.99999  # what it takes to claim it is stated


def calibrate(right, confidence, groups):
    """Brier score and expected calibration error of ``confidence`` ``[n]`` against ``right`` (0/1 ``[n]``), a dict.

    ``share`` is that of ``right``, ``mean_p`` the mean confidence. ``brier_of_constant``: that of saying the share of
    right answers every time; a confidence above it says nothing. ``ece_if_calibrated``: what chance makes of the error
    where every confidence is right.
    """
    right, confidence = np.asarray(right, dtype=float), np.asarray(confidence, dtype=float)
    share = proportions.share(right, groups)
    number = max(1, min(10, len(right) // PER_BIN))
    bins = calibration.reliability(right, confidence, share.effective_n, number)
    return {
        "n": share.n,
        "groups": share.groups,
        "share": share.value,
        "mean_p": float(confidence.mean()),
        "brier": calibration.brier(right, confidence),
        "brier_of_constant": share.value * (1 - share.value),
        "ece": float(calibration.calibration_error(bins)),
        "ece_if_calibrated": calibration.error_if_calibrated(confidence, number),
        "bins": bins,
    }


def risk_coverage(right, confidence, groups):
    """Accuracy on the surest answers, coverage by coverage: ``{"area", "points"}``.

    A point has the coverage asked for and the one there is (equal confidences stay together), the threshold, n, errors,
    and the accuracy with its interval; where there is no error, what that allows. ``area``: the mean error rate over
    all coverages (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017), lower is better. Thresholds are read off the
    same answers: one that is to be kept has to be chosen on others.
    """
    right, confidence, groups = np.asarray(right), np.asarray(confidence, dtype=float), np.asarray(groups)
    order = np.argsort(-confidence, kind="stable")
    right, confidence, groups = right[order], confidence[order], groups[order]
    n = len(right)
    # the last row of each run of equal confidences
    ends = np.append(np.flatnonzero(np.diff(confidence)), n - 1)
    sizes = np.diff(ends, prepend=-1)
    risks = np.cumsum(1 - right)[ends] / (ends + 1)
    points = []
    for coverage in COVERAGES:
        last = int(ends[np.searchsorted(ends + 1, coverage * n - 1e-9)])
        own = proportions.share(right[: last + 1], groups[: last + 1])
        point = {"asked": coverage, "coverage": (last + 1) / n, "threshold": float(confidence[last]), **own._asdict()}
        point["errors"] = int(own.n - right[: last + 1].sum())
        points.append(point | {"without_error": None if point["errors"] else without_error(own.n, own.groups)})
    return {"area": float((risks * sizes).sum() / n), "points": points}


def without_error(n, groups):
    """What ``n`` right answers in ``groups`` groups, and no wrong one, allow to say at 95 %.

    Zero errors in n separate answers leave error rates up to about 3 / n; answers of one group are not separate.
    """
    needed = int(np.ceil(np.log(0.05) / np.log(CERTAINTY)))
    below, by_groups = proportions.error_bound(n), proportions.error_bound(groups)
    return {
        "error_below": below,
        "error_below_by_groups": by_groups,
        "said": f"no error in {n} answers of {groups} groups: the error rate is below {below:.2g} if all are separate, "
        f"below {by_groups:.2g} if only groups are; to claim {CERTAINTY:.3%} takes {needed:,} separate right answers "
        "and no wrong one",
    }
