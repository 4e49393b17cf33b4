"""From base predictions and extra features to the standardised inputs of a meta-model, in numpy and in ONNX.

Base predictions enter as log-odds: there a logistic regression can weigh, sharpen or shrink each of them and keep what
is calibrated as it is (Satopaa et al. 2014), and a sum of trees is a log-odds itself. They are limited to 13.8, a
probability of one in a million. Extras enter within their 0.1 % and 99.9 % quantiles. NaN becomes the median.
"""

import numpy as np

LIMIT = float(np.log((1 - 1e-6) / 1e-6))
TAIL = 0.001


def fit(x, probabilities):
    """The scaling of ``x`` (float64 ``[n, k]``, first ``probabilities`` columns in [0, 1]) as a dict fit for JSON.

    A column without any value, or without any variation, comes out as zeros.
    """
    margins = _log_odds(x, probabilities)
    known = [column[~np.isnan(column)] for column in margins.T]
    known = [column if len(column) else np.zeros(1) for column in known]
    fill = np.array([np.median(column) for column in known])
    low, high = (np.array([np.quantile(column, share) for column in known]) for share in (TAIL, 1 - TAIL))
    low[:probabilities], high[:probabilities] = -LIMIT, LIMIT
    limited = np.clip(np.where(np.isnan(margins), fill, margins), low, high)
    scale = limited.std(axis=0)
    # rounding leaves a trace of a deviation in a column of one value
    scale[scale <= 1e-12 * np.abs(limited).max(axis=0, initial=1e-300)] = np.inf
    values = {"fill": fill, "low": low, "high": high, "center": limited.mean(axis=0), "inverse_deviation": 1 / scale}
    return {"probabilities": probabilities} | {name: value.tolist() for name, value in values.items()}


def apply(scaling, x):
    """``x`` on the scale that ``fit`` learned: float64 ``[n, k]`` without NaN."""
    margins = _log_odds(x, scaling["probabilities"])
    limited = np.clip(np.where(np.isnan(margins), scaling["fill"], margins), scaling["low"], scaling["high"])
    return (limited - scaling["center"]) * scaling["inverse_deviation"]


def to_onnx(scaling, inputs, margins, nodes, constants):
    """A meta-model as an ONNX ModelProto, in the interface of ``scripts.ensemble.metas``.

    ``nodes`` lead from ``z`` (the standardised inputs, double ``[n, k]``) to ``margin`` (double ``[n, 1]``);
    ``constants``: arrays by name. All is float64, so that only the base models' own float32 makes a difference.
    """
    from onnx import TensorProto, helper, numpy_helper

    first = [helper.make_node("Cast", ["inputs"], ["wide"], to=TensorProto.DOUBLE)]
    count, width = scaling["probabilities"], len(inputs)
    if margins or not count:
        first.append(helper.make_node("Identity", ["wide"], ["margins"]))
    else:
        constants = constants | {"sizes": np.array([count, width - count]), "one": np.array(1.0)}
        first += [
            helper.make_node("Split", ["wide", "sizes"], ["p", "extras"], axis=1),
            helper.make_node("Sub", ["one", "p"], ["complement"]),
            helper.make_node("Div", ["p", "complement"], ["odds"]),
            helper.make_node("Log", ["odds"], ["log_odds"]),
            helper.make_node("Concat", ["log_odds", "extras"], ["margins"], axis=1),
        ]
    first += [
        helper.make_node("IsNaN", ["margins"], ["missing"]),
        helper.make_node("Where", ["missing", "fill", "margins"], ["filled"]),
        helper.make_node("Max", ["filled", "low"], ["raised"]),
        helper.make_node("Min", ["raised", "high"], ["limited"]),
        helper.make_node("Sub", ["limited", "center"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse_deviation"], ["z"]),
    ]
    last = [
        helper.make_node("Sigmoid", ["margin"], ["exact"]),
        helper.make_node("Cast", ["exact"], ["probability"], to=TensorProto.FLOAT),
    ]
    own = {name: np.array(scaling[name]) for name in ("fill", "low", "high", "center", "inverse_deviation")}
    graph = helper.make_graph(
        [*first, *nodes, *last],
        "meta",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value, name) for name, value in (own | constants).items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, producer_name="quantmake"
    )


def sigmoid(margin):
    """Probabilities of log-odds, float64, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * margin))


def _log_odds(x, probabilities):
    """``x`` with its first columns as log-odds; 0 and 1 become infinities, which the limits take."""
    x = np.array(x, dtype=float)
    with np.errstate(divide="ignore"):
        x[:, :probabilities] = np.log(x[:, :probabilities]) - np.log1p(-x[:, :probabilities])
    return x
