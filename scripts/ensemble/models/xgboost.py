"""XGBoost: histogram gradient boosting. Its cuts are made in training, from the fold's own rows."""

import json
import math
from dataclasses import dataclass

import numpy as np

from scripts.ensemble import boosters

EXTENSION = "ubj"


@dataclass
class Data:
    """The rows and labels of a block, and XGBoost's parameters."""

    matrix: object
    parameters: dict


class Model:
    """A trained booster; see ``scripts.ensemble.models`` for the interface."""

    def __init__(self, booster, early_stopping_auc=None):
        self.booster = booster
        self.rounds = booster.num_boosted_rounds()
        self.early_stopping_auc = early_stopping_auc

    @property
    def gain(self):
        """Total gain of each feature's splits, float64 ``[f]``."""
        gain = self.booster.get_score(importance_type="total_gain")  # features without a split are absent
        return np.array([gain.get(name, 0.0) for name in self.booster.feature_names])

    def predict(self, x, rows=None):
        """Probabilities of y = 1 for rows of ``x`` (float32 ``[n, f]``), float64."""
        x = x if rows is None else x[rows]
        if not len(x):
            return np.empty(0)
        # XGBoost rounds probabilities to float32, which near 0 and 1 loses the log-odds that the stack works with
        margin = self.booster.inplace_predict(x, predict_type="margin").astype(np.float64)
        return 0.5 * (1 + np.tanh(0.5 * margin))

    def save(self, path):
        """Write XGBoost's binary JSON; the path must end in .ubj."""
        self.booster.save_model(path)


def prepare(x, y, names, reference_rows, settings, threads, seed):
    """One matrix of all rows of a block, from which folds are sliced."""
    import xgboost

    parameters = {key: value for key, value in settings.items() if key not in ("rounds", "patience")} | {
        "objective": "binary:logistic",
        "eval_metric": "auc",
        "tree_method": "hist",
        "nthread": threads,
        "seed": seed,
        "verbosity": 1,
    }
    return Data(xgboost.DMatrix(x, y, feature_names=list(names), nthread=threads), parameters)


def fit(data, train_rows, validation_rows, settings, rounds=None):
    """One booster; early stopping on the AUC of the validation rows, if any (a score that is never a result)."""
    import xgboost

    train = data.matrix.slice(train_rows)
    rounds = rounds or settings["rounds"]
    if not len(validation_rows):
        return Model(xgboost.train(data.parameters, train, rounds))
    booster = xgboost.train(
        data.parameters,
        train,
        rounds,
        evals=[(data.matrix.slice(validation_rows), "validation")],
        callbacks=[xgboost.callback.EarlyStopping(rounds=settings["patience"], maximize=True, save_best=True)],
        verbose_eval=False,
    )
    return Model(booster, booster.best_score)


def read(path, sha256):
    """A saved model. Raises StudyError when the file is not the one with this digest."""
    import xgboost

    boosters.check_digest(path, sha256)
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(path)
    return Model(booster)


def to_onnx(model, names):
    """The booster as an ONNX graph; XGBoost compares in float32 itself, so thresholds carry over as they are."""
    learner = json.loads(model.booster.save_raw("json"))["learner"]
    trees = boosters.Trees()
    for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        nodes = zip(
            tree["split_indices"],
            tree["split_conditions"],  # of a leaf: its value
            tree["left_children"],
            tree["right_children"],
            tree["default_left"],
            strict=True,
        )
        for own, (feature, value, left, right, nan_left) in enumerate(nodes):
            if left < 0:
                trees.add(number, own, weight=value)
            else:
                trees.add(number, own, feature, value, left, right, bool(nan_left))
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    return boosters.to_onnx(trees, math.log(base / (1 - base)), "BRANCH_LT", names)
