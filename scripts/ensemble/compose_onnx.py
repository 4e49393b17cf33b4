"""The whole stack as one ONNX graph: rows of features in, probabilities out."""

import onnx

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.common.results import read_json
from scripts.ensemble import graphs, metas


def main(job):
    """Put the graphs of the models that the meta-model uses under its own, and check the result."""
    meta = read_json(job.input.meta)
    files = dict(zip(job.params.models, zip(job.input.graphs, job.input.cards, strict=True), strict=True))
    bases = []
    for name in meta["models"]:
        graph, card = files[name]
        bases.append(graphs.Base(name, onnx.load(graph), read_json(card)["features"]))
    kind = metas.load(meta["kind"])
    stack = graphs.compose_stack(
        bases, meta["extra"], lambda margins: kind.to_onnx(meta["coefficients"], meta["inputs"], margins)
    )
    onnx.checker.check_model(stack, full_check=True)
    with replacing(job.output[0]) as path:
        path.write_bytes(stack.SerializeToString(deterministic=True))
    progress.info(
        "%d models, %d features, %d nodes", len(bases), len(graphs.columns(bases, meta["extra"])), len(stack.graph.node)
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
