"""One ONNX graph of a whole stack: base models side by side, fed from one row, and the meta-model on top of them.

Inside the composed graph the names of a base model begin with ``base/{model}/`` and those of the meta-model with
``meta/``; ``base/{model}/columns`` holds the places of the model's features in the row.
"""

import json
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, compose, helper, numpy_helper

from scripts.common.errors import StudyError
from scripts.ensemble import boosters


@dataclass(frozen=True)
class Base:
    """A base model: its graph, from ``row`` float32 ``[n, f]`` to ``probability``, and the names of the f features."""

    name: str
    graph: ModelProto
    features: list

    @property
    def margin(self):
        """The value whose sigmoid is the probability, or None when the graph does not end in a sigmoid."""
        last = [node for node in self.graph.graph.node if "probability" in node.output]
        return last[0].input[0] if last and last[0].op_type == "Sigmoid" else None


@dataclass(frozen=True)
class Splits:
    """The trees of one base model inside a composed graph, one entry per node, as TreeEnsembleRegressor holds them.

    ``column`` is a place in the stack's row; ``strict``: left when value < threshold, else when value <= threshold;
    ``left`` and ``right`` are entries, -1 for a leaf; ``roots`` the entries of the trees' first nodes.
    """

    model: str
    column: np.ndarray
    threshold: np.ndarray
    strict: np.ndarray
    nan_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    roots: np.ndarray


def columns(bases, extra):
    """The features of a row of the stack: those of the base models in order of first use, then further extras."""
    return list(dict.fromkeys([*(name for base in bases for name in base.features), *extra]))


def compose_stack(bases, extra, to_meta):
    """The stack as a ModelProto: input ``row`` float32 ``[n, F]``, output ``probability`` float32 ``[n, 1]``.

    ``bases``: :class:`Base` in the meta-model's order; ``extra``: features that it reads too; ``to_meta(margins)``: its
    graph, which takes log-odds of the base models instead of probabilities if ``margins`` is True, which it is when
    all base models can give them. The metadata's ``features`` is the JSON list of the F columns. Raises StudyError
    for a graph that does not fit.
    """
    for base in bases:
        _check(base)
    features, margins = columns(bases, extra), all(base.margin for base in bases)
    meta = compose.add_prefix(to_meta(margins), "meta/").graph
    nodes, constants, columns_of_meta = [], [*meta.initializer], []
    for base in bases:
        prefix = f"base/{base.name}/"
        graph = compose.add_prefix(base.graph, prefix).graph
        nodes.append(_gather(f"{prefix}columns", f"{prefix}row"))
        nodes += [node for node in graph.node if not (margins and f"{prefix}probability" in node.output)]
        constants += [_places(f"{prefix}columns", base.features, features), *graph.initializer]
        columns_of_meta.append(prefix + (base.margin if margins else "probability"))
    if extra:
        nodes.append(_gather("extra/columns", "extra/values"))
        constants.append(_places("extra/columns", extra, features))
        columns_of_meta.append("extra/values")
    nodes += [
        helper.make_node("Concat", columns_of_meta, ["meta/inputs"], axis=1),
        *meta.node,
        helper.make_node("Identity", ["meta/probability"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "stack",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", len(features)])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", 1])],
        constants,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in boosters.OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=boosters.IR_VERSION, producer_name="quantmake")
    helper.set_model_props(model, {"features": json.dumps(features)})
    return model


def splits(model):
    """The :class:`Splits` of every tree ensemble of a composed graph; base models of other kinds have none."""
    constants = {each.name: each for each in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == "TreeEnsembleRegressor":
            places = numpy_helper.to_array(constants[node.input[0].removesuffix("row") + "columns"])
            name = node.input[0].removeprefix("base/").removesuffix("/row")
            found.append(
                _splits(name, places, {each.name: helper.get_attribute_value(each) for each in node.attribute})
            )
    return found


def _splits(model, places, attributes):
    trees, numbers = attributes["nodes_treeids"], attributes["nodes_nodeids"]
    entry = {key: place for place, key in enumerate(zip(trees, numbers, strict=True))}
    leaf = np.array([mode == b"LEAF" for mode in attributes["nodes_modes"]])
    left, right = (
        np.array([entry[key] for key in zip(trees, attributes[f"nodes_{side}nodeids"], strict=True)])
        for side in ("true", "false")
    )
    return Splits(
        model=model,
        column=places[attributes["nodes_featureids"]],
        threshold=np.array(attributes["nodes_values"], dtype=np.float32),
        strict=np.array([mode == b"BRANCH_LT" for mode in attributes["nodes_modes"]]),
        nan_left=np.array(attributes["nodes_missing_value_tracks_true"], dtype=bool),
        left=np.where(leaf, -1, left),
        right=np.where(leaf, -1, right),
        roots=np.flatnonzero(np.array(numbers) == 0),
    )


def _check(base):
    """Raise StudyError unless the graph can be put into a stack."""
    found = {each.domain: each.version for each in base.graph.opset_import}
    if any(boosters.OPSETS.get(domain) != version for domain, version in found.items()):
        raise StudyError(f"the graph of model '{base.name}' has opsets {found}, a stack has {boosters.OPSETS}")
    names = [each.name for each in base.graph.graph.input], [each.name for each in base.graph.graph.output]
    if names != (["row"], ["probability"]):
        raise StudyError(f"the graph of model '{base.name}' takes {names[0]} to {names[1]}, not 'row' to 'probability'")
    stored = {each.key: each.value for each in base.graph.metadata_props}.get("features")
    if stored is None or json.loads(stored) != list(base.features):
        raise StudyError(
            f"the graph of model '{base.name}' was not made for the features in its card: delete it and rerun"
        )


def _gather(indices, output):
    """A node that takes columns of the row."""
    return helper.make_node("Gather", ["row", indices], [output], axis=1)


def _places(name, chosen, features):
    """A constant: where the chosen features stand in the row."""
    return numpy_helper.from_array(np.array([features.index(each) for each in chosen], dtype=np.int64), name)
