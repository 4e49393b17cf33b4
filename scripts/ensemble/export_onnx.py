"""One final model as an ONNX graph: rows of its features in, probabilities out."""

from scripts.common.atomic import replacing
from scripts.common.job import run
from scripts.common.results import read_json
from scripts.ensemble import models


def main(job):
    """Read the model that the card describes, convert, and write the graph."""
    kind, card = models.load(job.params.kind), read_json(job.input.card)
    graph = kind.to_onnx(kind.read(job.input.model, card["sha256"]), card["features"])
    with replacing(job.output[0]) as path:
        path.write_bytes(graph.SerializeToString(deterministic=True))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
