"""Edits of a study of markets and ensembles (tests.tiny.STUDY) and the jobs that each must rerun.

The expected jobs follow from who reads what was edited. Facts of the study that they rest on: months are periods; the
stack of 1h bars has 20 folds in blocks of 6 and holds August and September out; that of 4h bars has too few rows and is
skipped; `cross` alone reads the panel; `technical` looks back 640 bars (27 days), `cross_asset` 120 (5 days).
"""

import shutil

from tests.plan.edits import (
    REMOVED,
    Edit,
    code,
    corrected,
    key,
    lost,
    more,
    nothing,
    pin,
    reordered,
    shuffled_times,
    text,
    together,
)
from tests.tiny import MONTHS, SYMBOLS, write_bars

MODELS = {"lgb": "txt", "xgb": "ubj", "cross": "txt"}
BLOCKS = ("b000", "b001", "b002", "b003")
ALL = tuple(f"{month:02}" for month in range(1, 10))


def market(rule, symbols=SYMBOLS):
    return {f"{rule} made {symbol}" for symbol in symbols}


def features(months=ALL, symbol="AAA"):
    return {f"compute_features technical made 2021-{month} {symbol} 1h" for month in months}


def panels(months=ALL):
    return {f"compute_panel cross_asset made 2021-{month} 1h" for month in months}


def labelled(months=ALL, target="AAA"):
    return {f"label_bars up 2021-{month} {target} 1h" for month in months}


def stack(*rules, target="AAA", timeframe="1h"):
    return {f"{rule} up {target} {timeframe}" for rule in rules}


def trained(model, blocks=BLOCKS, target="AAA"):
    return {f"train_folds {block} up {model} {target} 1h" for block in blocks}


def finished(model, target="AAA", extension=None):
    extension = extension or MODELS[model]
    return {f"fit_final up {extension} {model} {target} 1h", f"export_onnx up {model} {target} 1h"}


# What follows from a job, from the last to the first.
TAIL = {"write_manifest", "tabulate_failures", "tabulate_times"}
PAGES = {"tabulate_gates", "summarize_study", *TAIL}
GATED = stack("gate_ensemble", "draw_auc", "draw_calibration") | PAGES
SKIPPED = stack("gate_ensemble", timeframe="4h") | PAGES
META = stack("train_meta", "score_holdout", "compose_onnx", "verify_onnx") | GATED
DIVERSE = stack("measure_diversity", "draw_correlation") | META
STACKED = stack("assemble_oof", "measure_importance", "draw_importance") | DIVERSE
PLANNED = stack("plan_folds") | stack("plan_folds", timeframe="4h")
SURVEYED = {"survey_market made"}
# the manifest of a market and the fold plans are shown on the overview
DESCRIBED = {"summarize_market made", "draw_quality made", "summarize_study"} | TAIL
# accounts that say who made them are others, although the bars and so the manifest stay the same: no fold is planned
INGESTED = market("ingest_symbol") | SURVEYED | DESCRIBED
CHANGED = SURVEYED | DESCRIBED | PLANNED


def retrained(*models, blocks=BLOCKS):
    """Blocks of some models, their final models, and what follows from those."""
    return set().union(STACKED, *(trained(each, blocks) | finished(each) for each in models))


TRAINED = retrained(*MODELS)
FOLDED = PLANNED | {"summarize_study"} | TAIL
DRAWN = stack("draw_folds", "draw_auc", "draw_calibration", "draw_correlation", "draw_importance")
EVERYTHING = INGESTED | PLANNED | features() | panels() | labelled() | TRAINED | SKIPPED | stack("draw_folds")


def rewritten(folder):
    """The source file of AAA has other bytes and the same bars."""
    path = folder / "data/AAA.csv"
    path.write_text(path.read_text() + "\n")


def appended(folder):
    """October comes in."""
    for symbol in SYMBOLS:
        write_bars(folder, symbol, MONTHS.append(MONTHS[-1:] + 1))


def joined(folder):
    """A fourth symbol, which nobody is a peer of."""
    write_bars(folder, "DDD")
    key("markets.made.symbols", [*SYMBOLS, "DDD"])(folder)


def copied_set(folder):
    """A feature set that no model uses."""
    features = folder / "scripts/market/features"
    shutil.copy(features / "technical.py", features / "another.py")


NOTHING = [
    Edit("no edit", nothing),
    Edit("a checkout elsewhere, every file and folder with another time", shuffled_times),
    Edit("comments in a script, a module, a rule and the Snakefile", together(
        *(more(file, "# a comment") for file in (
            "scripts/ensemble/train_folds.py", "scripts/common/job.py", "rules/ensemble.smk", "Snakefile",
        )),
    )),
    Edit("a docstring", text("scripts/ensemble/boosters.py", '"""', '"""Other words. ')),
    Edit("the layout of code", text("scripts/ensemble/gates.py", "\n\n\n", "\n\n\n\n\n")),
    Edit("order of the sections", reordered()),
    Edit("order of the keys of folds", reordered("ensembles", "up", "folds")),
    Edit("0.15 as 0.150, in quotes", key("ensembles.up.folds.holdout", "0.150")),
    Edit("a default written out", key("ensembles.up.models.xgb.learning_rate", 0.050)),
    Edit("whether there is a GPU", key("device", "cpu")),
    Edit("where jobs run: threads", text("rules/ensemble.smk", "threads: 1", "threads: 2")),
    Edit("where jobs run: memory", text("rules/ensemble.smk", "mem_mb=megabytes(", "mem_mb=megabytes(100 + ")),
    Edit("where jobs run: the profile", more("profiles/default/config.yaml", "default-resources: {mem_mb: 900}")),
    Edit("an environment, with no --sdm", more("envs/ensemble.yaml", "# a comment")),
    Edit("a pin that nobody imports", pin("snakemake")),
    Edit("a pin of another stage", pin("torch")),
    Edit("the models of the config", code(
        "study.py", "common/settings.py", "market/settings.py", "ensemble/settings.py", "report/settings.py",
    )),
    Edit("code that reads, plans and shows", code(
        "common/dry_run.py", "common/recovery.py", "common/fingerprint.py", "common/manifests.py",
        "report/rulegraph.py", "report/draw_rulegraph.py",
    )),
    Edit("kinds that the study has not", code(
        "market/sources/binance.py", "market/sources/simulate.py", "market/features/alpha101.py",
        "ensemble/metas/mlp.py", "ensemble/metas/gbm.py",
    )),
    Edit("a feature set that nobody uses", copied_set),
    Edit("a formula that nobody computes", text("resources/formulas/alpha158.yaml", "open / close", "close / open")),
    Edit("a caption and the style of the report", together(
        more("resources/captions/auc.rst", "More."), more("resources/report.css", "body { margin: 0 }"),
    )),
    Edit("a benchmark that no used feature set takes", key("markets.made.benchmark", "CCC")),
    Edit("a setting of a stack that is skipped", key("ensembles.up.timeframes.4h.meta", {"C": 2.0})),
    Edit("a gate of a stack that is skipped", key("ensembles.up.timeframes.4h.gates", {"min_auc": 0.6})),
]  # fmt: skip

CODE = [
    Edit("what every job runs through", code("common/job.py"), EVERYTHING, "plans"),
    Edit("periods of time", code("common/periods.py"), EVERYTHING - stack("draw_folds"), "plans"),
    Edit("the kind of source", code("market/sources/files.py"), INGESTED, "plans"),
    Edit("the look for wrong time zones", code("market/time_zones.py"), DESCRIBED),
    Edit("resampling", code("market/resampling.py"), features() | panels() | labelled() | TRAINED),
    Edit("rolling windows", code("market/windows.py"), features() | panels() | labelled() | TRAINED),
    Edit("the technical features", code("market/features/technical.py"), features() | TRAINED),
    Edit("the cross-asset features", code("market/features/cross_asset.py"), panels() | retrained("cross")),
    Edit("labels", code("market/labels.py"), labelled() | TRAINED),
    Edit("walk-forward windows", code("ensemble/folds.py"), FOLDED | TRAINED, "plans"),
    Edit("rows of features and labels", code("ensemble/rows.py"), TRAINED),
    Edit("blocks of folds", code("ensemble/blocks.py"), TRAINED),
    Edit("what the boosters share", code("ensemble/boosters.py"), TRAINED),
    Edit("LightGBM", code("ensemble/models/lightgbm.py"), retrained("lgb", "cross")),
    Edit("XGBoost", code("ensemble/models/xgboost.py"), retrained("xgb")),
    Edit("AUC", code("common/statistics/auc.py"), TRAINED | SKIPPED),
    Edit("out-of-fold rows", code("ensemble/oof.py"), STACKED - stack("measure_importance", "draw_importance")),
    Edit("importance", code("ensemble/importance.py"), stack("measure_importance", "draw_importance") | TAIL),
    Edit("diversity", code("ensemble/diversity.py"), DIVERSE),
    Edit("stacking", code("ensemble/stacking.py"), META),
    Edit("the kind of meta-model", code("ensemble/metas/logistic.py"), META),
    Edit("the score of the hold-out", code("ensemble/score_holdout.py"), stack("score_holdout") | GATED),
    Edit("gates", code("ensemble/gates.py"), GATED | SKIPPED),
    Edit("circular shifts", code("common/statistics/shifts.py"), GATED | SKIPPED),
    Edit("graphs", code("ensemble/graphs.py"), stack("compose_onnx", "verify_onnx") | TAIL),
    Edit("parity of graphs", code("ensemble/parity.py"), stack("verify_onnx") | TAIL),
    Edit("a script", code("ensemble/compose_onnx.py"), stack("compose_onnx", "verify_onnx") | TAIL),
    Edit("one figure", code("report/fold_figure.py"), stack("draw_folds") | TAIL),
    Edit("the style of figures", code("report/drawing.py"), DRAWN | {"draw_quality made"} | TAIL),
    Edit("the table of gates", code("report/gate_table.py"), PAGES),
    Edit("the inventory", code("report/inventory.py"), TAIL),
    Edit("the table of times", code("report/timings.py"), {"tabulate_times"}),
    Edit("records of failed trainings", code("common/training/failures.py"), {"tabulate_failures"}),
    Edit("the pin of LightGBM", pin("lightgbm"), retrained("lgb", "cross")),
    Edit("the pin of XGBoost", pin("xgboost"), retrained("xgb")),
    Edit("the pin of TA-Lib", pin("ta-lib"), features() | TRAINED),
    Edit("the pin of scikit-learn", pin("scikit-learn"), META),
    Edit("the pin of ONNX Runtime", pin("onnxruntime"), stack("verify_onnx") | TAIL),
    Edit("the pin of exchange calendars", pin("exchange_calendars"), INGESTED | PLANNED, "plans"),
    Edit("the pin of matplotlib", pin("matplotlib"), DRAWN | {"draw_quality made"} | TAIL),
]

CONFIG = [
    Edit("another name of the study", key("study", "renamed"), EVERYTHING, "plans"),
    Edit("the seed", key("seed", 8), TRAINED),
    Edit("what is believed of a move", key("markets.made.checks", {"max_abs_log_return": 0.4}), INGESTED, "plans"),
    Edit("train and test files", key("markets.made.split", {"test": 500}), market("split_symbol") | DESCRIBED),
    Edit("a symbol", joined,
         {"ingest_symbol made DDD"} | CHANGED | panels() | retrained("cross"), "plans"),
    Edit("the first day of the hold-out, written as the day that it was",
         key("ensembles.up.folds.holdout", "2021-08-01"), FOLDED, "plans"),
    Edit("a later hold-out", key("ensembles.up.folds.holdout", "2021-09-01"),
         # July's last labels may be known now, August's last ones may not; the fold blocks that July is in
         FOLDED | labelled(("07", "08")) | retrained(*MODELS, blocks=("b002", "b003")) | SKIPPED | stack("draw_folds"),
         "plans"),
    Edit("windows that grow", key("ensembles.up.folds.window", "expanding"),
         FOLDED | TRAINED | stack("draw_folds"), "plans"),
    Edit("folds of a job", key("ensembles.up.folds.per_job", 7),
         FOLDED | retrained(*MODELS, blocks=BLOCKS[:3]), "plans"),
    Edit("the windows of a skipped stack", key("ensembles.up.timeframes.4h.folds.train", 600),
         stack("plan_folds", timeframe="4h") | SKIPPED, "plans"),
    Edit("rows that a stack needs", key("ensembles.up.gates.min_rows_to_stack", 2400),
         FOLDED | GATED | SKIPPED, "plans"),
    Edit("more rows than there are", key("ensembles.up.gates.min_rows_to_stack", 5000),
         FOLDED | SKIPPED | stack("gate_ensemble"), "plans"),
    # the skipped stack of 4h is planned anew, with as many rows as before: its gate has nothing to decide again
    Edit("the horizon", key("ensembles.up.label.horizon", 4),
         FOLDED | labelled() | TRAINED | stack("draw_folds"), "plans"),
    Edit("a hyper-parameter", key("ensembles.up.models.xgb.max_depth", 2), retrained("xgb")),
    Edit("0.10 for 0.05", key("ensembles.up.models.lgb.learning_rate", 0.10), retrained("lgb")),
    Edit("the feature sets of a model", key("ensembles.up.models.lgb.features", ["technical", "cross_asset"]),
         retrained("lgb")),
    Edit("a new model", key("ensembles.up.models.new", {"kind": "xgboost"}),
         trained("new") | finished("new", extension="ubj") | STACKED),
    Edit("a model less", key("ensembles.up.models.xgb", REMOVED), STACKED),
    Edit("another kind of model", key("ensembles.up.models.lgb", {"kind": "xgboost"}),
         trained("lgb") | finished("lgb", extension="ubj") | STACKED),
    Edit("the order of models, which is that of columns", reordered("ensembles", "up", "models"), STACKED),
    Edit("a peer less", key("ensembles.up.peers", ["BBB"]), retrained("cross")),
    Edit("the meta-model's penalty", key("ensembles.up.meta.C", 0.5), META),
    Edit("another kind of meta-model", key("ensembles.up.meta", {"kind": "gbm", "extra": ["hvol_20"]}), META),
    Edit("no extra input", key("ensembles.up.meta.extra", []),
         STACKED - stack("measure_importance", "draw_importance")),
    Edit("when models say the same", key("ensembles.up.diversity", {"max_correlation": 0.9}), DIVERSE),
    Edit("a gate", key("ensembles.up.gates.min_auc", 0.6), GATED),
    Edit("a timeframe less", key("ensembles.up.timeframes", {"1h": {}}), PAGES),
    Edit("a timeframe more, too coarse to stack",
         key("ensembles.up.timeframes.8h", {"folds": {"train": 200, "validation": 50}}),
         stack("plan_folds", "gate_ensemble", timeframe="8h") | PAGES, "plans"),
    Edit("the title of the report", key("report.title", "Another"), {"summarize_study"} | TAIL),
]  # fmt: skip

DATA = [
    Edit("a month more", appended,
         # the hold-out, a share of the tail, moves on to September: see "a later hold-out". September's last labels,
         # unknown before, may be known now.
         market("ingest_symbol") | CHANGED | features(("10",)) | panels(("10",)) | labelled(("07", "08", "09", "10"))
         | retrained(*MODELS, blocks=("b002", "b003")) | SKIPPED | stack("draw_folds"), "plans"),
    Edit("a corrected bar of the first month", corrected("AAA", "2021-01-10 12"),
         market("ingest_symbol", ["AAA"]) | CHANGED | features(("01", "02")) | panels(("01", "02"))
         # February looks back at January, so the block that trains from February on
         | labelled(("01",)) | retrained(*MODELS, blocks=("b000", "b001")), "plans"),
    Edit("a bar that goes to quarantine", corrected("AAA", "2021-06-15 12", "high", 0.5),
         # May's last labels end in June
         market("ingest_symbol", ["AAA"]) | CHANGED | features(("06", "07")) | panels(("06", "07"))
         | labelled(("05", "06")) | retrained(*MODELS, blocks=("b001", "b002", "b003")), "plans"),
    Edit("a corrected bar of a peer", corrected("BBB", "2021-06-15 12"),
         market("ingest_symbol", ["BBB"]) | CHANGED | panels(("06", "07"))
         | retrained("cross", blocks=("b002", "b003")), "plans"),
    Edit("a corrected bar of the hold-out", corrected("AAA", "2021-09-15 12"),
         market("ingest_symbol", ["AAA"]) | CHANGED | features(("09",)) | panels(("09",))
         | labelled(("08", "09")) | stack("score_holdout") | GATED, "plans"),
    Edit("a shorter span", key("markets.made.span", {"end": "2021-09-15"}),
         market("ingest_symbol") | CHANGED | features(("09",)) | panels(("09",)) | labelled(("08", "09"))
         | stack("score_holdout", "draw_folds") | GATED | SKIPPED, "plans"),
    Edit("a source with other bytes and the same bars", rewritten,
         market("ingest_symbol", ["AAA"]) | SURVEYED, "plans"),
]  # fmt: skip

LOST = [
    # made again with the same content
    Edit("a manifest", lost("market/made/manifest.json"), SURVEYED, "plans"),
    Edit("a fold plan", lost("ensemble/up/AAA/1h/folds.json"), stack("plan_folds"), "plans"),
    Edit("features of a month", lost("market/made/features/technical/1h/AAA/2021-03.parquet"),
         features(("03",)) | retrained(*MODELS, blocks=("b000", "b001"))),
    Edit("labels of a month", lost("ensemble/up/AAA/1h/labels/2021-09.parquet"),
         labelled(("09",)) | stack("score_holdout") | GATED),
    Edit("the folder of a block", lost("ensemble/up/AAA/1h/lgb/folds/b001"), retrained("lgb", blocks=("b001",))),
    Edit("the index of a block", lost("ensemble/up/AAA/1h/xgb/folds/b001.index.json"),
         retrained("xgb", blocks=("b001",))),
    Edit("lost out-of-fold rows", lost("ensemble/up/AAA/1h/oof.parquet"),
         STACKED - stack("measure_importance", "draw_importance")),
    Edit("a graph", lost("ensemble/up/AAA/1h/onnx/xgb.onnx"),
         {"export_onnx up xgb AAA 1h"} | stack("compose_onnx", "verify_onnx") | TAIL),
    Edit("a page", lost("report/gates.html"), {"tabulate_gates"} | TAIL),
    Edit("the checksums", lost("SHA256SUMS"), TAIL),
    Edit("logs", lost("logs")),
]  # fmt: skip

EDITS = [*NOTHING, *CODE, *CONFIG, *DATA, *LOST]
