"""The composed graph as a graph: its wiring, what it refuses, and the splits that are read out of it."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from scripts.common.errors import StudyError
from scripts.ensemble import boosters, graphs


def linear(name, features, weights, last="Sigmoid", **changed):
    """A base model ``last(row @ weights)`` with the interface of the real ones."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["row", "w"], ["sum"]), helper.make_node(last, ["sum"], ["probability"])],
        "linear",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", len(features)])],
        [helper.make_tensor_value_info(changed.get("output", "probability"), TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.array(weights, dtype=np.float32)[:, None], "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", changed.get("opset", 18))], ir_version=10)
    helper.set_model_props(model, {"features": changed.get("stored", '["' + '", "'.join(features) + '"]')})
    return graphs.Base(name, model, features)


def weighted(width, asked):
    """A meta-model that sums its inputs with the weights 1, 10, 100, ...; it records what it was asked for."""

    def to_meta(margins):
        asked.append(margins)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["inputs", "w"], ["probability"])],
            "sum",
            [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", width])],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", 1])],
            [numpy_helper.from_array(10.0 ** np.arange(width, dtype=np.float32)[:, None], "w")],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)

    return to_meta


def predict(model, rows):
    checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"row": rows})[0]


def test_every_model_gets_its_own_columns_and_the_meta_model_their_log_odds_and_the_extras_in_order():
    bases, asked = [linear("one", ["a", "b"], [1, 2]), linear("two", ["c", "a"], [3, 4])], []
    model = graphs.compose_stack(bases, ["b", "d"], weighted(4, asked))
    assert graphs.columns(bases, ["b", "d"]) == ["a", "b", "c", "d"]
    assert model.metadata_props[0].value == '["a", "b", "c", "d"]' and asked == [True]
    a, b, c, d = rows = np.array([[0.5, -1], [0.25, 2], [1, 0.5], [-3, 4]], dtype=np.float32)
    expected = (a + 2 * b) + 10 * (3 * c + 4 * a) + 100 * b + 1000 * d
    assert np.array_equal(predict(model, np.ascontiguousarray(rows.T))[:, 0], expected)


def test_a_model_without_log_odds_makes_all_give_probabilities():
    bases, asked = [linear("one", ["a"], [1]), linear("two", ["a"], [2], last="Abs")], []
    model = graphs.compose_stack(bases, [], weighted(2, asked))
    assert asked == [False]
    rows = np.array([[0.5], [-1]], dtype=np.float32)
    expected = 1 / (1 + np.exp(-rows)) + 10 * np.abs(2 * rows)
    np.testing.assert_allclose(predict(model, rows), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"opset": 20}, "model 'one' has opsets {'': 20}"),
        ({"output": "sum"}, "not 'row' to 'probability'"),
        ({"stored": '["b"]'}, "not made for the features in its card"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(changed, says):
    with pytest.raises(StudyError, match=says):
        graphs.compose_stack([linear("one", ["a"], [1], **changed)], [], weighted(1, []))


def test_splits_are_read_with_the_columns_of_the_stack():
    trees = boosters.Trees()
    # nodes out of order, as the LightGBM export writes them
    trees.add(0, 0, feature=1, threshold=0.5, left=1, right=2, nan_left=True)
    trees.add(0, 2, weight=1.0)
    trees.add(0, 1, feature=0, threshold=-2.0, left=3, right=4)
    trees.add(0, 4, weight=2.0)
    trees.add(0, 3, weight=3.0)
    trees.add(1, 0, weight=4.0)
    tree = graphs.Base("tree", boosters.to_onnx(trees, 0.0, "BRANCH_LT", ["b", "c"]), ["b", "c"])
    stack = graphs.compose_stack([linear("one", ["a", "b"], [1, 2]), tree], [], weighted(2, []))
    (found,) = graphs.splits(stack)
    inner = found.left >= 0
    assert found.model == "tree" and inner.tolist() == [True, False, True, False, False, False]
    assert found.column[inner].tolist() == [2, 1] and found.threshold[inner].tolist() == [0.5, -2.0]
    assert found.left[inner].tolist() == [2, 4] and found.right[inner].tolist() == [1, 3]
    assert found.nan_left[inner].tolist() == [True, False] and found.strict[inner].all()
    assert found.roots.tolist() == [0, 5]
