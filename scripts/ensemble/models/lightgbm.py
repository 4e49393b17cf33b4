"""LightGBM: histogram gradient boosting, one model per fold on bins that a block of folds shares.

Binning costs as much as training (see benchmarks/walk_forward.py), so the rows of a block are binned once. The bin
edges come from the block's first training window alone: they know nothing of what follows, and for the first fold the
trees are those that a Dataset of its own would give.
"""

from dataclasses import dataclass

import numpy as np

from scripts.ensemble import boosters

EXTENSION = "txt"
ZERO = float(np.float32(1e-35))  # LightGBM's kZeroThreshold


@dataclass
class Data:
    """The binned rows and labels of a block, and LightGBM's parameters."""

    binned: object
    parameters: dict


class Model:
    """A trained booster; see ``scripts.ensemble.models`` for the interface."""

    def __init__(self, booster, early_stopping_auc=None):
        self.booster = booster
        # without early stopping best_iteration is 0 (trained) or -1 (read from a file)
        self.rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        self.early_stopping_auc = early_stopping_auc

    @property
    def gain(self):
        """Total gain of each feature's splits, float64 ``[f]``."""
        return self.booster.feature_importance("gain", iteration=self.rounds)

    def predict(self, x, rows=None):
        """Probabilities of y = 1 for rows of ``x`` (float32 ``[n, f]``), float64."""
        x = x if rows is None else x[rows]
        if not len(x):
            return np.empty(0)
        # one thread: OpenMP's waiting threads cost more than they help on a machine that runs other jobs
        return self.booster.predict(x, num_iteration=self.rounds, num_threads=1)

    def save(self, path):
        """Write LightGBM's text format, the chosen rounds only."""
        self.booster.save_model(str(path), num_iteration=self.rounds)


def prepare(x, y, names, reference_rows, settings, threads, seed):
    """Bin all rows of a block with the bins of ``reference_rows``."""
    import lightgbm

    parameters = {key: value for key, value in settings.items() if key not in ("rounds", "patience")} | {
        "objective": "binary",
        "metric": "auc",
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,  # with a fixed layout: the same trees for any number of threads
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
    names = list(names)
    reference = lightgbm.Dataset(x[reference_rows], y[reference_rows], feature_name=names, params=parameters)
    binned = lightgbm.Dataset(x, y, feature_name=names, reference=reference, params=parameters).construct()
    return Data(binned, parameters)


def fit(data, train_rows, validation_rows, settings, rounds=None):
    """One booster; early stopping on the AUC of the validation rows, if any (a score that is never a result)."""
    import lightgbm

    train = data.binned.subset(train_rows)
    rounds = rounds or settings["rounds"]
    if not len(validation_rows):
        return Model(lightgbm.train(data.parameters, train, rounds, keep_training_booster=True))
    booster = lightgbm.train(
        data.parameters,
        train,
        rounds,
        valid_sets=[data.binned.subset(validation_rows)],
        valid_names=["validation"],
        callbacks=[lightgbm.early_stopping(settings["patience"], verbose=False)],
        keep_training_booster=True,
    )
    return Model(booster, booster.best_score["validation"]["auc"])


def read(path, sha256):
    """A saved model. Raises StudyError when the file is not the one with this digest."""
    import lightgbm

    boosters.check_digest(path, sha256)
    return Model(lightgbm.Booster(model_file=str(path)))


def to_onnx(model, names):
    """The booster as an ONNX graph whose branches are those of LightGBM for every float32 input.

    Two traps of the usual converters are avoided. LightGBM compares ``float64(x) <= threshold``; rounding a threshold
    up to float32 sends the rows at that value the other way (they are all rows, for features such as prices whose
    neighbouring values are neighbouring float32 numbers), so thresholds are rounded down. And a split that never saw
    NaN in training (missing type None) reads NaN as 0.
    """
    trees = boosters.Trees()
    dump = model.booster.dump_model(num_iteration=model.rounds)
    for number, tree in enumerate(dump["tree_info"]):
        waiting, count = [(tree["tree_structure"], 0)], 1
        while waiting:
            node, own = waiting.pop()
            if "threshold" not in node:
                trees.add(number, own, weight=node["leaf_value"])
                continue
            trees.add(
                number,
                own,
                feature=node["split_feature"],
                threshold=float32_threshold(node["threshold"]),
                left=count,
                right=count + 1,
                nan_left=node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0,
            )
            waiting += [(node["left_child"], count), (node["right_child"], count + 1)]
            count += 2
    return boosters.to_onnx(trees, 0.0, "BRANCH_LEQ", names)


def float32_threshold(threshold):
    """The float32 t for which ``x <= t`` holds for just the float32 x that LightGBM sends left at ``threshold``.

    That is the largest float32 not above the float64 threshold, but for thresholds around 0: before it compares,
    LightGBM takes every value within 1e-35 of 0 for 0.
    """
    if -ZERO <= threshold < ZERO:
        return ZERO if threshold >= 0 else float(np.nextafter(np.float32(-ZERO), np.float32(-np.inf)))
    with np.errstate(over="ignore"):  # LightGBM writes 1e300 where a split separates NaN from all numbers
        rounded = np.float32(threshold)
    # compared as float64: numpy would round the Python float to float32 first
    return float(np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > threshold else rounded)
