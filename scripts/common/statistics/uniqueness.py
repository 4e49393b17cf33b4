"""How many separate observations overlapping labels amount to."""

import numpy as np

from scripts.common.errors import StudyError


def effective_rows(start, end):
    """The effective number of rows: the sum of the labels' average uniqueness (float in (0, n]).

    ``start``, ``end``: comparable moments ``[n]`` in any order of rows. A label is decided by the bars after ``start``
    up to and including ``end``: by the returns of (start, end], so that labels one bar long do not overlap. A bar is a
    step between consecutive moments that occur. The uniqueness of a label is the mean, over its bars, of 1 / number of
    labels that the bar decides: Lopez de Prado, Advances in Financial Machine Learning (2018), section 4.4.
    Raises StudyError for a label that ends before the bar after its start.
    """
    start, end = np.asarray(start), np.asarray(end)
    if not len(start):
        return 0.0
    if (backwards := ~(end > start)).any():
        raise StudyError(
            f"the label of {start[backwards][0]} ends at {end[backwards][0]}, not after it: rerun the labels"
        )
    moments = np.unique(np.concatenate([start, end]))
    first, last = np.searchsorted(moments, start), np.searchsorted(moments, end)
    opened = np.bincount(first, minlength=len(moments)) - np.bincount(last, minlength=len(moments))
    labels = np.cumsum(opened)[:-1]
    share = np.divide(1.0, labels, out=np.zeros(len(labels)), where=labels > 0)
    total = np.concatenate([[0.0], np.cumsum(share)])
    return float(((total[last] - total[first]) / (last - first)).sum())
