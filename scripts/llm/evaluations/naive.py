"""What answers reach that look at no question, and the paired comparison of a model with others' answers."""

from collections import Counter

import numpy as np

from scripts.common.statistics import proportions
from scripts.llm import evaluations


def most_frequent(rows, seed):
    """The answer that is expected most often in these very rows, given every time: a dict.

    ``side``: that answer, or None where several are expected equally often: whichever of them is given, it is right as
    often as ``value`` says, by the choice of the rows and without an interval.
    """
    counts = Counter(row["expected"] for row in rows).most_common()
    value = counts[0][1] / len(rows)
    if len(counts) > 1 and counts[1][1] == counts[0][1]:
        known = {"value": value, "n": len(rows), "groups": len({row["group"] for row in rows})}
        found = {"side": None, **known, "effective_n": None, "low": None, "high": None}
        return found | {"model_minus_this": paired(_right(rows), [value] * len(rows), rows, seed)}
    return always(counts[0][0], rows, seed)


def always(side, rows, seed):
    """One answer given every time: a dict."""
    other = [int(row["expected"] == side) for row in rows]
    found = {"side": side, **evaluations.share(other, rows)}
    return found | {"model_minus_this": paired(_right(rows), other, rows, seed)}


def paired(a, b, rows, seed):
    """The mean of ``a - b`` over ``rows`` with its interval, and McNemar's test: a dict."""
    differences = np.subtract(a, b)
    counts = {"only_model": int((differences > 0).sum()), "only_other": int((differences < 0).sum())}
    return evaluations.mean(differences, rows, seed) | counts | {"mcnemar_p": proportions.mcnemar(*counts.values())}


def _right(rows):
    return [row["right"] for row in rows]
