"""What the tree boosters share: the check of a model file, and their trees as one ONNX graph."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from scripts.common.errors import StudyError

OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 10


@dataclass
class Trees:
    """Binary decision trees, node by node; every list has one entry per node.

    A row goes to ``left`` when its ``feature`` is below (or, by the ensemble's mode, at) ``threshold``, and when it
    is NaN and ``nan_left`` is set, else to ``right``. Leaves have ``left`` = -1 and add ``weight`` to the sum.
    ``number`` counts nodes within their tree, from 0 at the root.
    """

    tree: list = field(default_factory=list)
    number: list = field(default_factory=list)
    feature: list = field(default_factory=list)
    threshold: list = field(default_factory=list)
    left: list = field(default_factory=list)
    right: list = field(default_factory=list)
    nan_left: list = field(default_factory=list)
    weight: list = field(default_factory=list)

    def add(self, tree, number, feature=0, threshold=0.0, left=-1, right=-1, nan_left=False, weight=0.0):
        """Append one node."""
        for name, value in locals().items():
            if name != "self":
                getattr(self, name).append(value)


def to_onnx(trees, base, mode, names):
    """The graph ``probability = sigmoid(base + sum of leaves)`` as a ModelProto.

    ``mode``: ``BRANCH_LEQ`` (left when value <= threshold) or ``BRANCH_LT``; ``base``: a margin; thresholds must be
    float32 values already, because the runtime compares in float32. Input ``row`` float32 ``[n, f]``, output
    ``probability`` float32 ``[n, 1]``; the metadata's ``features`` is the JSON list of ``names``, column by column.
    """
    from onnx import TensorProto, helper

    leaf = [left < 0 for left in trees.left]
    leaves = [i for i, is_leaf in enumerate(leaf) if is_leaf]
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["row"],
        ["margin"],
        domain="ai.onnx.ml",
        n_targets=1,
        post_transform="NONE",
        aggregate_function="SUM",
        base_values=[float(base)],
        nodes_treeids=trees.tree,
        nodes_nodeids=trees.number,
        nodes_featureids=trees.feature,
        nodes_modes=["LEAF" if is_leaf else mode for is_leaf in leaf],
        nodes_values=[float(each) for each in trees.threshold],
        nodes_truenodeids=[0 if is_leaf else left for is_leaf, left in zip(leaf, trees.left, strict=True)],
        nodes_falsenodeids=[0 if is_leaf else right for is_leaf, right in zip(leaf, trees.right, strict=True)],
        nodes_missing_value_tracks_true=[int(each) for each in trees.nan_left],
        target_treeids=[trees.tree[i] for i in leaves],
        target_nodeids=[trees.number[i] for i in leaves],
        target_ids=[0] * len(leaves),
        target_weights=[float(trees.weight[i]) for i in leaves],
    )
    graph = helper.make_graph(
        [ensemble, helper.make_node("Sigmoid", ["margin"], ["probability"])],
        "booster",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", len(names)])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", 1])],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="quantmake")
    helper.set_model_props(model, {"features": json.dumps(list(names))})
    return model


def check_digest(path, sha256):
    """Raise StudyError unless the file has this SHA-256: LightGBM dies of a truncated file without a message."""
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != sha256:
        raise StudyError(
            f"{path} is not the model that was saved (sha256 {found[:12]}, recorded {sha256[:12]}): "
            "it was cut short or altered; delete it and rerun to train it again"
        )
