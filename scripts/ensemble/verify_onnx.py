"""The exported stack against the native one: the same probabilities on every kind of rows, and how fast."""

import json

import numpy as np
import onnx
import onnxruntime
from threadpoolctl import threadpool_limits

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.ensemble import graphs, latency, metas, models, parity, rows


def main(job):
    """Compare on real rows, on rows around thresholds and on rows with missing values; then measure both."""
    params = job.params
    stack, session = onnx.load(job.input.ensemble), open_session(job.input.ensemble)
    features = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    native = native_stack(job, features)
    table = rows.load(job.input.features, params.sets, job.input.labels, panels=params.panels)
    missing = sorted(set(features) - set(table.names))
    if missing:
        raise StudyError(
            f"{job.input.ensemble} reads features that no set has: {', '.join(missing)}; rerun from its models"
        )
    x = table.x[:, [table.names.index(name) for name in features]]

    def graph(batch):
        return session.run(None, {"row": batch})[0][:, 0]

    tried, splits = {}, graphs.splits(stack)
    with threadpool_limits(job.threads):
        for trial in parity.trials(x, table.timestamp, features, splits, params.rows, params.seed):
            apart = parity.difference(trial, native.predict, graph, params.tolerance)
            tried[trial.kind] = {"rows": len(trial.x), "max_difference": float(f"{apart:.3g}")}
            progress.info("%d %s rows: at most %.1e apart", len(trial.x), trial.kind, apart)
        times = latency.compare({"onnx": graph, "native": native.predict}, x)
    body = {
        "tolerance": params.tolerance,
        "features": len(features),
        "thresholds": int(sum(np.sum(each.left >= 0) for each in splits)),
        "tried": tried,
    }
    write_result(job.output.parity, "parity/1", body, job)
    write_json(job.output.latency, {"schema": "quantmake/onnx_latency/1", "threads": 1, "batch": times})
    progress.info("one row: %.3f ms, native %.3f ms", *(times["1"][name]["p50_ms"] for name in ("onnx", "native")))


def native_stack(job, features):
    """The :class:`parity.NativeStack` of the models that the meta-model uses, for rows of ``features``."""
    params, meta = job.params, read_json(job.input.meta)
    files = zip(params.kinds, job.input.models, job.input.cards, strict=True)
    known = dict(zip(params.models, files, strict=True))
    bases = []
    for kind, path, card in (known[name] for name in meta["models"]):
        card = read_json(card)
        model = models.load(kind).read(path, card["sha256"])
        bases.append((model, [features.index(name) for name in card["features"]]))
    extra = [features.index(name) for name in meta["extra"]]
    return parity.NativeStack(bases, extra, metas.load(meta["kind"]), meta["coefficients"])


def open_session(path):
    """An ONNX Runtime session on one thread: a row is too little work to share."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
