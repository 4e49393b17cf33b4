"""Artifacts compared row by row: the same question put to both, so that its difficulty does not blur the difference."""

import numpy as np

from scripts.common.statistics import proportions
from scripts.common.statistics.outcomes import outcome
from scripts.llm import evaluations

NOTE = (
    "difference is b minus a on the rows that both answered, with a 95 % interval over groups of rows, or over the "
    "tones of their notes where that is wider; better and worse are said only where it excludes 0 and p_holm is below "
    "0.05. p is the largest of those that there are: Student's t over groups (and tones), and McNemar's exact test of "
    "separate rows for figures that are right or wrong. p_holm is adjusted for all pairs of artifacts compared by that "
    "figure of that set (and part)."
)


def default_pairs(backends):
    """``(a, b)`` names to compare: b with the first artifact (the base), and with what it was made from.

    ``backends``: ``{artifact: "transformers" or "llama.cpp"}`` in the order in which they were made. A policy was made
    from the one before it, a GGUF file from the last model that is none.
    """
    names = list(backends)
    models = [name for name in names if backends[name] == "transformers"]
    found = []
    for place, name in enumerate(names[1:], 1):
        before = names[place - 1] if name in models else models[-1] if models else names[0]
        found += [(names[0], name)] + [(before, name)] * (before != names[0])
    return found


def compare(pairs, artifacts, seed):
    """All comparisons of ``pairs`` of names, a list of dicts.

    ``artifacts``: ``{name: (kinds, rows)}`` with ``kinds`` ``{set: kind}`` and ``rows`` ``{set: {id: row}}``.
    """
    found = []
    for name in dict.fromkeys(each for kinds, _ in artifacts.values() for each in kinds):
        for a, b in pairs:
            if name in artifacts[a][0] and name in artifacts[b][0]:
                kind = evaluations.load(artifacts[a][0][name])
                rows = artifacts[a][1].get(name, {}), artifacts[b][1].get(name, {})
                found += [{"set": name, "a": a, "b": b, **each} for each in _figures(kind, *rows, seed)]
    _adjust(found)
    for each in found:
        each["verdict"] = verdict(each)
    return found


def verdict(comparison):
    """What may be said of a comparison, in words."""
    found, a, b = outcome(comparison), comparison["a"], comparison["b"]
    if found == "not asked":
        return "not compared: " + comparison["reason"]
    if found in ("better", "worse"):
        return f"{b} is {found} than {a}"
    return (
        "not told apart: "
        + {
            "one group": "all rows are of one group, so there is no interval",
            "equal": "all differences are equal, so there is no interval",
            "noise": f"the interval contains 0 ({comparison['n']} rows)",
            "single": f"p is {_small(comparison['p'])}",
            "holm": f"after Holm's correction p is {_small(comparison['p_holm'])}",
        }[found]
    )


def _small(p):
    return "not known" if p is None else f"{p:.2g}"


def _figures(kind, a, b, seed):
    """Every figure that is compared, over all rows and, where there are several parts, part by part."""
    rows = b | a
    parts = sorted({a[key]["part"] for key in a if key in b})
    for name, figure in kind.FIGURES.items():
        if figure.better is None:
            continue
        for part in [None, *(parts if len(parts) > 1 else ())]:
            keys = [key for key in rows if part is None or rows[key]["part"] == part]
            yield {"figure": name, "part": part, "better": figure.better, **_paired(figure, a, b, keys, seed)}


def _paired(figure, a, b, keys, seed):
    shared = [key for key in keys if key in a and key in b]
    known = [key for key in shared if a[key][figure.value] is not None and b[key][figure.value] is not None]
    if not known:
        reason = "the figure is unknown for one of them" if shared else "no row was answered by both"
        return {"n": 0, "reason": reason, "low": None, "high": None, "p": None}
    one, two = (np.array([rows[key][figure.value] for key in known], dtype=float) for rows in (a, b))
    rows = [a[key] for key in known]
    weights = np.array([a[key][figure.weight] for key in known], dtype=float) if figure.weight else None
    differences = two - one
    found = evaluations.mean(differences, rows, seed, weights)
    tests = [proportions.difference_p(differences, names, weights) for names in evaluations.groupings(rows)]
    body = {
        "n": found["n"],
        "unpaired": len(keys) - len(known),
        "groups": found["groups"],
        "value_a": float(np.average(one, weights=weights)),
        "value_b": float(np.average(two, weights=weights)),
        "difference": found["value"],
        "low": found["low"],
        "high": found["high"],
    }
    if figure.binary:
        only = {"only_a": int((differences < 0).sum()), "only_b": int((differences > 0).sum())}
        tests.append(proportions.mcnemar(*only.values()))
        body["mcnemar"] = only | {"p": tests[-1]}
    return body | {"p": max((each for each in tests if each is not None), default=None)}


def _adjust(found):
    families = {}
    for each in found:
        families.setdefault((each["set"], each["figure"], each["part"]), []).append(each)
    for family in families.values():
        for each, p in zip(family, proportions.holm([own["p"] for own in family]), strict=True):
            each["p_holm"] = p
