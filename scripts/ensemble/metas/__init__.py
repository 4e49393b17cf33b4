"""The kinds of meta-models: one module each, found by name, behind one small interface.

A meta-model takes the base models' predictions and a few extra features to one probability. A kind has

``fit(x, y, probabilities, settings, seed) -> coefficients``
    ``x`` float64 ``[n, k]``: the first ``probabilities`` columns are predictions of base models, the others extras,
    which may hold NaN; ``y`` 0/1 ``[n]``; ``settings`` the config's. Coefficients are a dict fit for JSON: no file
    of another library's format is needed to predict. Whatever prepares x (fill values, limits, scales) is learned
    here, from these rows, and part of the coefficients.
``predict(coefficients, x) -> p``
    float64 ``[n]``, continuous in x: a difference of 1e-7 in a base prediction stays one of that order. (The ONNX
    graph computes base predictions in float32, the native models do not.)
``to_onnx(coefficients, inputs, margins=False) -> onnx.ModelProto``
    input ``inputs`` float32 ``[n, k]``, whose columns are named by ``inputs``, output ``probability`` float32
    ``[n, 1]``, ai.onnx opset 18, computed in float64 inside. With ``margins`` the columns of base models hold their
    log-odds instead of probabilities: float32 keeps small log-odds ten times as exactly as probabilities near 0.5.

What the kinds share, from base predictions to standardised inputs, is ``scripts.ensemble.scaling``.
"""

import importlib


def load(kind):
    """The module of a kind of meta-model, such as ``logistic``."""
    return importlib.import_module(f"{__name__}.{kind}")
