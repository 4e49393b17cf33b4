"""How alike the base models are, and which of two that say the same is left out."""

import itertools

import numpy as np

from scripts.common.statistics.auc import auc


def measure(predictions, y, *, max_correlation, prune):
    """Correlations of out-of-fold predictions and the redundant models, as the body of diversity.json.

    ``predictions``: frame, one column per model; ``y``: its labels. A pair is redundant when its rank correlation
    exceeds ``max_correlation``. Going through the models from the best to the worst pooled AUC, a model is dropped
    when it is redundant with one that stays; with ``prune`` False this is advice, and ``kept`` lists them all.

    Ranking by the AUC of all out-of-fold rows lets later rows choose the inputs of the meta-model's earlier
    windows. Models as alike as these differ in AUC by next to nothing, so the choice hardly matters; the hold-out
    is untouched by it.
    """
    names = list(predictions.columns)
    pearson, spearman = correlations(predictions), correlations(predictions.rank())
    score = {name: float(auc(y, predictions[name].to_numpy())) for name in names}
    kept, dropped = [], []
    for name in sorted(names, key=lambda each: (-score[each], names.index(each))):
        alike = [(value, other) for other in kept if (value := spearman[name][other] or 0) > max_correlation]
        if alike:
            value, other = max(alike)
            reason = (
                f"rank correlation {value:.4f} with {other} exceeds {max_correlation}, and the out-of-fold AUC of "
                f"{other} is better or the same ({score[other]:.4f}, {score[name]:.4f})"
            )
            dropped.append({"model": name, "because_of": other, "correlation": value, "reason": reason})
        else:
            kept.append(name)
    return {
        "models": names,
        "rows": len(y),
        "pearson": pearson,
        "spearman": spearman,
        "max_correlation": max_correlation,
        "redundant": [
            {"models": [one, two], "spearman": spearman[one][two], "pearson": pearson[one][two]}
            for one, two in itertools.combinations(names, 2)
            if (spearman[one][two] or 0) > max_correlation
        ],
        "pooled_auc": score,
        "prune": prune,
        "kept": [name for name in names if name in kept or not prune],
        "pruned": dropped if prune else [],
        "advice": [] if prune else dropped,
    }


def correlations(table):
    """Pearson's correlation of every two columns as ``{column: {column: float}}``; None where one is constant."""
    values = table.to_numpy(dtype=float)
    centred = values - values.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    # a constant column leaves rounding errors, not zeros
    norm[norm <= 1e-12 * np.abs(values).max(axis=0, initial=1e-300) * np.sqrt(max(len(values), 1))] = np.nan
    matrix = (centred / norm).T @ (centred / norm)
    return {
        one: {
            two: None if np.isnan(matrix[i, j]) else float(np.clip(matrix[i, j], -1, 1))
            for j, two in enumerate(table.columns)
        }
        for i, one in enumerate(table.columns)
    }
