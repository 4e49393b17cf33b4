"""Logistic regression with a ridge penalty on the standardised inputs."""

import numpy as np

from scripts.ensemble import scaling


def fit(x, y, probabilities, settings, seed):
    """Weights on the standardised inputs; ``settings``: C, the inverse strength of the penalty."""
    from sklearn.linear_model import LogisticRegression

    scales = scaling.fit(x, probabilities)
    model = LogisticRegression(C=settings["C"], tol=1e-8, max_iter=1000).fit(scaling.apply(scales, x), y)
    return {"scaling": scales, "weights": model.coef_[0].tolist(), "intercept": float(model.intercept_[0])}


def predict(coefficients, x):
    """Probabilities of y = 1, float64 ``[n]``."""
    z = scaling.apply(coefficients["scaling"], x)
    return scaling.sigmoid(z @ np.array(coefficients["weights"]) + coefficients["intercept"])


def to_onnx(coefficients, inputs, margins=False):
    """The regression as an ONNX graph; see ``scripts.ensemble.metas``."""
    from onnx import helper

    nodes = [
        helper.make_node("MatMul", ["z", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "intercept"], ["margin"]),
    ]
    constants = {
        "weights": np.array(coefficients["weights"])[:, None],
        "intercept": np.array(coefficients["intercept"]),
    }
    return scaling.to_onnx(coefficients["scaling"], inputs, margins, nodes, constants)
