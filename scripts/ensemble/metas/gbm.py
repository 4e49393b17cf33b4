"""A small gradient boosting on the standardised inputs, whose splits are ramps instead of steps.

A tree of steps cannot be exported faithfully here: a base prediction that differs by 1e-8 between float32 and float64
would fall on the other side of a split and change the result by a leaf. So each split is made continuous: over
``WIDTH`` standard deviations around its threshold a row belongs to both sides in part, and a leaf counts as much as the
product of the shares on its path. The walk-forward predictions, the final model and the ONNX graph all use the ramps.
"""

import numpy as np

from scripts.ensemble import scaling

WIDTH = 0.25


def fit(x, y, probabilities, settings, seed):
    """Trees by LightGBM as plain lists; ``settings``: rounds, learning_rate, num_leaves, min_data_in_leaf.

    ``feature`` and ``threshold`` by split, ``value`` by leaf, and for each leaf its ``path``: s for the right side of
    split s, s + number of splits for its left side, and twice that number where the path has ended.
    """
    import lightgbm

    scales = scaling.fit(x, probabilities)
    parameters = {
        "objective": "binary",
        "learning_rate": settings["learning_rate"],
        "num_leaves": settings["num_leaves"],
        "min_data_in_leaf": settings["min_data_in_leaf"],
        "feature_pre_filter": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    booster = lightgbm.train(parameters, lightgbm.Dataset(scaling.apply(scales, x), y), settings["rounds"])
    return {"scaling": scales} | _ramps([tree["tree_structure"] for tree in booster.dump_model()["tree_info"]])


def predict(coefficients, x):
    """Probabilities of y = 1, float64 ``[n]``."""
    z = scaling.apply(coefficients["scaling"], x)
    right = (z[:, coefficients["feature"]] - coefficients["threshold"]) / coefficients["width"] + 0.5
    right = np.clip(right, 0, 1)
    shares = np.hstack([right, 1 - right, np.ones((len(z), 1))])
    weight = np.ones((len(z), len(coefficients["value"])))
    for step in np.array(coefficients["path"]).T:
        weight *= shares[:, step]
    return scaling.sigmoid(weight @ np.array(coefficients["value"]))


def to_onnx(coefficients, inputs, margins=False):
    """The ramps as an ONNX graph; see ``scripts.ensemble.metas``."""
    from onnx import helper

    path = np.array(coefficients["path"], dtype=np.int64)
    constants = {
        "feature": np.array(coefficients["feature"], dtype=np.int64),
        "threshold": np.array(coefficients["threshold"], dtype=float),
        "width": np.array(coefficients["width"]),
        "half": np.array(0.5),
        "nothing": np.array(0.0),
        "whole": np.array(1.0),
        "path": path.ravel(),
        "shape": np.array([-1, *path.shape]),
        "steps": np.array([2]),
        "value": np.array(coefficients["value"])[:, None],
        "ends": np.array([0, 0, 0, 1]),  # one column of ones after the last
    }
    nodes = [
        helper.make_node("Gather", ["z", "feature"], ["taken"], axis=1),
        helper.make_node("Sub", ["taken", "threshold"], ["distance"]),
        helper.make_node("Div", ["distance", "width"], ["slope"]),
        helper.make_node("Add", ["slope", "half"], ["ramp"]),
        helper.make_node("Clip", ["ramp", "nothing", "whole"], ["right"]),
        helper.make_node("Sub", ["whole", "right"], ["left"]),
        helper.make_node("Pad", ["left", "ends", "whole"], ["left_and_end"]),
        helper.make_node("Concat", ["right", "left_and_end"], ["shares"], axis=1),
        helper.make_node("Gather", ["shares", "path"], ["factors"], axis=1),
        helper.make_node("Reshape", ["factors", "shape"], ["paths"]),
        helper.make_node("ReduceProd", ["paths", "steps"], ["weight_of_leaf"], keepdims=0),
        helper.make_node("MatMul", ["weight_of_leaf", "value"], ["margin"]),
    ]
    return scaling.to_onnx(coefficients["scaling"], inputs, margins, nodes, constants)


def _ramps(trees):
    """Splits, leaves and paths of LightGBM's trees; every path has the length of the longest."""
    feature, threshold, value, paths = [], [], [], []
    for tree in trees:
        waiting = [(tree, [])]
        while waiting:
            node, path = waiting.pop()
            if "threshold" in node:
                split = len(feature)
                feature.append(node["split_feature"])
                threshold.append(node["threshold"])
                waiting += [(node["right_child"], [*path, (split, 0)]), (node["left_child"], [*path, (split, 1)])]
            else:
                value.append(node["leaf_value"])
                paths.append(path)
    splits, longest = len(feature), max(1, *(len(path) for path in paths))
    indices = [[split + side * splits for split, side in path] + [2 * splits] * (longest - len(path)) for path in paths]
    return {"width": WIDTH, "feature": feature, "threshold": threshold, "value": value, "path": indices}
