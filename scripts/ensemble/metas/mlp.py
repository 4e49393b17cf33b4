"""A small neural network on the standardised inputs: ReLU layers and one logistic output."""

import warnings

import numpy as np

from scripts.ensemble import scaling


def fit(x, y, probabilities, settings, seed):
    """Layers as weights ``[in, out]`` and biases; ``settings``: hidden (widths), alpha (L2 penalty), epochs.

    The loss is the mean over rows plus alpha / 2 times the sum of squared weights. L-BFGS takes at most ``epochs``
    steps, on all rows at once: for a net this small it is faster and steadier than stochastic steps.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    scales = scaling.fit(x, probabilities)
    model = MLPClassifier(
        hidden_layer_sizes=tuple(settings["hidden"]),
        alpha=settings["alpha"] * len(y),  # scikit-learn divides it by the rows
        max_iter=settings["epochs"],
        solver="lbfgs",
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is a penalty that the config sets
        model.fit(scaling.apply(scales, x), y)
    pairs = zip(model.coefs_, model.intercepts_, strict=True)
    return {"scaling": scales, "layers": [{"weights": w.tolist(), "bias": b.tolist()} for w, b in pairs]}


def predict(coefficients, x):
    """Probabilities of y = 1, float64 ``[n]``."""
    values = scaling.apply(coefficients["scaling"], x)
    *hidden, last = coefficients["layers"]
    for layer in hidden:
        values = np.maximum(values @ np.array(layer["weights"]) + layer["bias"], 0)
    return scaling.sigmoid((values @ np.array(last["weights"]) + last["bias"])[:, 0])


def to_onnx(coefficients, inputs, margins=False):
    """The network as an ONNX graph; see ``scripts.ensemble.metas``."""
    from onnx import helper

    nodes, constants, value = [], {}, "z"
    for number, layer in enumerate(coefficients["layers"]):
        last = number == len(coefficients["layers"]) - 1
        weights, bias, total = f"weights_{number}", f"bias_{number}", "margin" if last else f"sum_{number}"
        constants |= {weights: np.array(layer["weights"]), bias: np.array(layer["bias"])}
        nodes.append(helper.make_node("MatMul", [value, weights], [f"product_{number}"]))
        nodes.append(helper.make_node("Add", [f"product_{number}", bias], [total]))
        if not last:
            value = f"layer_{number}"
            nodes.append(helper.make_node("Relu", [total], [value]))
    return scaling.to_onnx(coefficients["scaling"], inputs, margins, nodes, constants)
