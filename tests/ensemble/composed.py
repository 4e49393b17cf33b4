"""A small real stack as files, for the tests of its ONNX graph: LightGBM twice, XGBoost, and a meta-model."""

import hashlib

import numpy as np

from scripts.common.atomic import write_json
from scripts.common.job import Job
from scripts.ensemble import compose_onnx, export_onnx, metas, models, stacking
from tests.ensemble import builders
from tests.ensemble.stacks import METAS

PRICES = [f"f{i}" for i in range(10)]  # awkward_features: f0 is a price, f2 and f3 miss values
MODELS = {"lgb": "lightgbm", "xgb": "xgboost", "cross": "lightgbm"}
EXTRA = ["f9_cross"]
ROUNDS = 40


def table(n=4000, seed=0):
    """Labelled rows with awkward features and a second set like the first one."""
    rows = builders.rows(n, seed)
    x = builders.awkward_features(n, seed)
    price = (x[:, 0] - x[:, 0].mean()) / x[:, 0].std()
    noise = np.random.default_rng(seed + 1).normal(size=n)
    y = (price + x[:, 8] + np.nan_to_num(x[:, 2]) + 0.3 * (x[:, 5] > 11) + 2 * noise > 0).astype(np.int8)
    return builders.Rows(rows.timestamp, rows.t1, y, rows.forward_return, x, PRICES)


def own_features(model):
    """The features of a model: ``cross`` reads both sets, last set first."""
    return PRICES if model != "cross" else [f"{name}_cross" for name in PRICES] + PRICES


def write_stack(folder, meta="logistic", kept=("lgb", "xgb", "cross"), extra=EXTRA):
    """Train, save and export every model; returns the inputs of both jobs, by name."""
    rows = table()
    features, labels = builders.write_market(folder, rows, sets=("technical", "cross"))
    wide = dict(zip(PRICES, rows.x.T, strict=True)) | {f"{n}_cross": c for n, c in zip(PRICES, rows.x.T, strict=True)}
    files = {"models": [], "cards": [], "graphs": []}
    predictions, train = {}, np.arange(2000)
    for name, kind_name in MODELS.items():
        kind, settings = models.load(kind_name), builders.SETTINGS[kind_name]
        x = np.column_stack([wide[each] for each in own_features(name)])
        data = kind.prepare(x, rows.y, own_features(name), train, settings, 1, 7)
        model = kind.fit(data, train, train[:0], settings, ROUNDS)
        path = folder / "final" / f"{name}.{kind.EXTENSION}"
        path.parent.mkdir(exist_ok=True)
        model.save(path)
        card = {"features": own_features(name), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        write_json(f"{path}.json", card)
        graph = str(folder / "onnx" / f"{name}.onnx")
        export_onnx.main(
            Job(input={"model": str(path), "card": f"{path}.json"}, output=[graph], params={"kind": kind_name})
        )
        for key, value in (("models", path), ("cards", f"{path}.json"), ("graphs", graph)):
            files[key].append(str(value))
        predictions[f"p_{name}"] = model.predict(x)
    inputs = stacking.inputs(kept, extra)
    matrix = np.column_stack([(predictions | wide)[name][2000:] for name in inputs]).astype(float)
    coefficients = metas.load(meta).fit(matrix, rows.y[2000:], len(kept), METAS[meta], 7)
    files["meta"] = str(folder / "stacking_meta.json")
    body = {"kind": meta, "models": list(kept), "extra": list(extra), "inputs": inputs, "coefficients": coefficients}
    write_json(files["meta"], body)
    return files | {"features": features, "labels": labels, "extras": features[len(labels) :]}


def compose_job(folder, files):
    """The job that composes the graph of a stack."""
    return Job(
        input={name: files[name] for name in ("graphs", "cards", "meta")},
        output=[str(folder / "onnx" / "ensemble.onnx")],
        params={"models": list(MODELS)},
    )


def composed(folder, **changed):
    """``(files, path)`` of a stack and its composed graph."""
    files = write_stack(folder, **changed)
    job = compose_job(folder, files)
    compose_onnx.main(job)
    return files, job.output[0]


def verify_job(folder, files, ensemble, **changed):
    """The job that verifies a composed graph."""
    names = ("models", "cards", "meta", "features", "labels", "extras")
    params = {
        "models": list(MODELS),
        "kinds": list(MODELS.values()),
        "sets": ["technical", "cross"],
        "panels": {},
        "extra": EXTRA,
        "extra_sets": ["cross"],
        "tolerance": 1e-6,
        "rows": 20000,
        "seed": 7,
    }
    return Job(
        input={name: files[name] for name in names} | {"ensemble": str(ensemble)},
        output={"parity": str(folder / "parity.json"), "latency": str(folder / "latency.json")},
        params=params | changed,
    )
