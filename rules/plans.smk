"""The functions of the ensemble stage, by which its rules find their inputs and params, and the targets. No rules here."""

import functools
import hashlib
import json

from snakemake.iocontainers import Wildcards

# Ensembles


def stacks():
    """`{ensemble, target, timeframe}` of everything that an ensemble predicts."""
    return [
        {"ensemble": ensemble, "target": target, "timeframe": timeframe}
        for ensemble, settings in study.ensembles.items()
        for target in study.targets(ensemble)
        for timeframe in settings.timeframes
    ]


def fold_plans():
    """The fold plan of every stack."""
    return [f"{STACK}/folds.json".format(**each) for each in stacks()]


def stack_settings(wildcards):
    """The settings of one ensemble on one timeframe."""
    return stack_at(wildcards.ensemble, wildcards.timeframe)


@functools.cache
def stack_at(ensemble, timeframe):
    """The same by names: a plan asks a thousand times, and each answer is a validation of the whole stack."""
    return study.ensembles[ensemble].at(timeframe)


def folds_of(ensemble, target, timeframe):
    """The content of folds.json; asks for its checkpoint and, first, for the market's."""
    manifest_of(study.ensembles[ensemble].market)
    return manifest_files.read(
        checkpoints.plan_folds.get(ensemble=ensemble, target=target, timeframe=timeframe).output[0]
    )


def folds_at(wildcards):
    """`folds_of` the job that has these wildcards."""
    return folds_of(wildcards.ensemble, wildcards.target, wildcards.timeframe)


def unless_skipped(wildcards, value):
    """`value`, or None for a stack that is skipped, which uses none of it."""
    return value if folds_at(wildcards)["decision"] == "stack" else None


def folds_digest(wildcards):
    """A digest of a stack's windows, whatever jobs they are trained by: what an ancient fold plan says."""
    plan = {key: value for key, value in folds_at(wildcards).items() if key not in ("code", "config", "blocks")}
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]


def block_windows(wildcards):
    """The folds of a block, as folds.json has them."""
    plan = folds_at(wildcards)
    chosen = set(plan["blocks"][wildcards.block])
    return [fold for fold in plan["folds"] if fold["fold"] in chosen]


def window_periods(wildcards, start, end):
    """The periods of features and labels that a window needs."""
    return between(start, end, market_settings(wildcards).partition)


def block_periods(wildcards):
    """The periods that the windows of a block overlap."""
    windows = block_windows(wildcards)
    return window_periods(wildcards, min(w["train"][0] for w in windows), max(w["test"][1] for w in windows))


def out_of_fold_periods(wildcards):
    """The periods that hold out-of-fold rows."""
    folds = folds_at(wildcards)["folds"]
    return window_periods(wildcards, folds[0]["test"][0], folds[-1]["test"][1])


def final_periods(wildcards):
    """The periods that the final models are trained on."""
    window = folds_at(wildcards)["final"]
    return window_periods(wildcards, window["start"], window["end"])


def holdout_periods(wildcards):
    """The periods of the hold-out."""
    window = folds_at(wildcards)["holdout"]
    return window_periods(wildcards, window["start"], window["end"])


def rows_files(wildcards, sets, periods):
    """`features` (set by set, each by period) and `labels` of a stack for some periods."""
    market = study.ensembles[wildcards.ensemble].market
    return {
        "features": feature_files(market, sets, wildcards.timeframe, wildcards.target, periods),
        "labels": [f"{STACK}/labels/{period}.parquet".format(**wildcards) for period in periods],
    }


def label_window(wildcards):
    """What a job that labels a period reads: some bars before it, the label's horizon after it, no hold-out.

    Rows of an earlier period whose label would end in the hold-out have no label: the hold-out stays unseen.
    """
    settings, calendar = stack_settings(wildcards).label.model_dump(), market_settings(wildcards).calendar
    start, end = bounds(wildcards.period)
    before = span_of(labels.lookback(settings), wildcards.timeframe, calendar)
    after = span_of(labels.lookahead(settings) + 1, wildcards.timeframe, calendar)
    holdout = folds_at(wildcards)["holdout"]
    end += after
    if holdout and start < stamp(holdout["start"]):
        end = min(end, stamp(holdout["start"]))
    return {"start": iso(whole_day(start - before)), "end": iso(end)}


def labelled_bars(wildcards):
    """The bars that a job labels; it asks for the fold plan, which says where the hold-out begins."""
    folds_at(wildcards)
    return bars_of(study.ensembles[wildcards.ensemble].market, [wildcards.target])


def extra_sets(wildcards):
    """The feature set of each of the meta-model's extra inputs."""
    settings = stack_settings(wildcards)
    peers = study.ensembles[wildcards.ensemble].peers
    return [feature_sets.owner(extra, settings.feature_sets, peers) for extra in settings.meta.extra]


def extra_columns(wildcards):
    """The columns that hold the meta-model's extra inputs: a panel's have the symbol before them."""
    extras, target = stack_settings(wildcards).meta.extra, wildcards.target
    return [
        f"{target}__{extra}" if isinstance(panels_of(wildcards, [name]).get(name), str) else extra
        for extra, name in zip(extras, extra_sets(wildcards), strict=True)
    ]


def extra_files(wildcards, periods):
    """The feature files that hold the meta-model's extra inputs, extra by extra, each by period."""
    market = study.ensembles[wildcards.ensemble].market
    return feature_files(market, extra_sets(wildcards), wildcards.timeframe, wildcards.target, periods)


def extension(wildcards):
    """The file extension of a model's kind."""
    return model_kinds.load(stack_settings(wildcards).models[wildcards.model].kind).EXTENSION


def model_paths(wildcards, pattern):
    """`pattern` for every model of a stack, with its `model` and `ext`."""
    settings = stack_settings(wildcards)
    return [
        pattern.format(**wildcards, model=name, ext=model_kinds.load(model.kind).EXTENSION)
        for name, model in settings.models.items()
    ]


def block_paths(wildcards, pattern):
    """`pattern` for every model and, within a model, every block of a stack."""
    names, blocks = stack_settings(wildcards).models, folds_at(wildcards)["blocks"]
    return [pattern.format(**wildcards, model=name, block=block) for name in names for block in blocks]


def model_params(wildcards):
    """A model's own settings without its kind and feature sets."""
    return stack_settings(wildcards).models[wildcards.model].model_dump(mode="json", exclude={"kind", "features"})


def model_code(wildcards):
    """The code of the kinds of all models of a stack."""
    kinds = {model.kind for model in stack_settings(wildcards).models.values()}
    return code.tokens(*[f"scripts/ensemble/models/{kind}.py" for kind in sorted(kinds)])


def block_rows(wildcards):
    """The features and labels that a block of folds reads."""
    sets = stack_settings(wildcards).models[wildcards.model].features
    return rows_files(wildcards, sets, block_periods(wildcards))


def final_rows(wildcards):
    """The features and labels that a final model is trained on."""
    sets = stack_settings(wildcards).models[wildcards.model].features
    return rows_files(wildcards, sets, final_periods(wildcards))


def final_models(wildcards):
    """The final models of a stack and their cards."""
    return {
        "models": model_paths(wildcards, f"{STACK}/final/{{model}}.{{ext}}"),
        "cards": model_paths(wildcards, f"{STACK}/final/{{model}}.{{ext}}.json"),
    }


def stack_rows(wildcards, periods):
    """Features of all sets of a stack, and its labels, for some periods."""
    return rows_files(wildcards, stack_settings(wildcards).feature_sets, periods)


def gate_inputs(wildcards):
    """What a gate reads: a skipped stack has its fold plan and nothing else."""
    plan, stack = folds_at(wildcards), STACK.format(**wildcards)
    if plan["decision"] == "skip":
        return {}
    files = {
        "oof": "oof.parquet",
        "stacked": "stacked.parquet",
        "meta": "stacking_meta.json",
        "diversity": "diversity.json",
    }
    if plan["holdout"]:
        files["test"] = "test.parquet"
    paths = {name: f"{stack}/{file}" for name, file in files.items()}
    return paths | {"indexes": block_paths(wildcards, f"{STACK}/{{model}}/folds/{{block}}.index.json")}


def kinds(wildcards):
    """The kind of every model of a stack."""
    return [model.kind for model in stack_settings(wildcards).models.values()]


def names(wildcards):
    """The name of every model of a stack."""
    return list(stack_settings(wildcards).models)


def model_sets(wildcards):
    """The feature sets of every model of a stack."""
    return [list(model.features) for model in stack_settings(wildcards).models.values()]


def sets_of(wildcards):
    """The feature sets of one model."""
    return list(stack_settings(wildcards).models[wildcards.model].features)


def panels_of(wildcards, sets):
    """Whose columns of the panel sets among `sets` are used: those of the peers (a list) or the target's (its name)."""
    peers = list(study.ensembles[wildcards.ensemble].peers)
    panels = [each for each in sets if feature_sets.load(each).SCOPE == "panel"]
    return {each: peers if feature_sets.of_peers(each) else wildcards.target for each in panels}


def meta_code(wildcards):
    """The code of the kind of meta-model."""
    return code.tokens(f"scripts/ensemble/metas/{stack_settings(wildcards).meta.kind}.py")


def kind_code(wildcards):
    """The code of a model's kind."""
    return code.tokens(f"scripts/ensemble/models/{stack_settings(wildcards).models[wildcards.model].kind}.py")


# Targets


def market_files(market):
    """All artifacts of a market but its features."""
    settings, known = study.markets[market], manifest_of(market)
    names = ["manifest.json", "quality.json", "data_summary.csv", "asset_metadata.json", "quarantine.parquet"]
    names += [f"bars/{symbol}.{kind}" for symbol in settings.symbols for kind in ("parquet", "json")]
    names += [f"quarantine/{symbol}.parquet" for symbol in settings.symbols]
    if settings.split:
        names += [f"{part}/{symbol}.parquet" for symbol in settings.symbols for part in ("train", "test")]
    files = [f"{MARKET.format(market=market)}/{name}" for name in names]
    return files + [f"{REPORT}/market/{market}/quality.{kind}" for kind in ("svg", "html", "csv")]


def stack_files(wildcards):
    """All artifacts of one stack, its features included."""
    stack, plan = STACK.format(**wildcards), folds_at(wildcards)
    files = [f"{stack}/{name}.json" for name in ("folds", "gate", "metrics")]
    if plan["decision"] == "skip":
        return files
    settings = stack_settings(wildcards)
    periods = set(final_periods(wildcards)) | set(
        window_periods(wildcards, plan["folds"][0]["train"][0], plan["folds"][-1]["test"][1])
    )
    if plan["holdout"]:
        periods |= set(holdout_periods(wildcards))
        files.append(f"{stack}/test.parquet")
    rows = rows_files(wildcards, settings.feature_sets, sorted(periods))
    files += rows["features"] + rows["labels"]
    for pattern in ("{model}/folds/{block}", "{model}/folds/{block}.index.json", "{model}/oof/{block}.parquet"):
        files += block_paths(wildcards, f"{STACK}/{pattern}")
    for pattern in ("final/{model}.{ext}", "final/{model}.{ext}.json", "onnx/{model}.onnx"):
        files += model_paths(wildcards, f"{STACK}/{pattern}")
    names = ["oof.parquet", "importance.parquet", "diversity.json", "stacking_meta.json", "stacked.parquet"]
    files += [f"{stack}/{name}" for name in [*names, "onnx/ensemble.onnx", "onnx/parity.json"]]
    figures = f"{REPORT}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}".format(**wildcards)
    shown = ("folds", "auc", "calibration", "correlation", "importance")
    return files + [f"{figures}/{name}.svg" for name in shown]


def corpus_files(corpus):
    """All artifacts of one corpus."""
    wildcards = Wildcards(fromdict={"corpus": corpus})
    folder = CORPUS.format(corpus=corpus)
    parts = [f"{folder}/parts/{part}.{kind}" for part in study.corpora[corpus].parts for kind in ("jsonl", "json")]
    phases = phase_files(wildcards, "jsonl") + phase_files(wildcards, "json")
    made = [f"{folder}/{name}" for name in ("checks.json", "card.json", "README.md")]
    return parts + split_files(wildcards) + phases + benchmark_files(wildcards) + made


def checkpoint_files():
    """What the checkpoints make. The targets name it themselves: a checkpoint that Snakemake meets first behind another
    one is never asked again, and a change after it is missed."""
    return manifests() + fold_plans() + [ADMISSION.format(recipe=recipe) for recipe in study.recipes]


def artifacts(wildcards):
    """Every file that must be missed when it is gone."""
    files = [file for market in study.markets for file in market_files(market)]
    for each in stacks():
        files += stack_files(Wildcards(fromdict=each))
    files += [file for corpus in study.corpora for file in corpus_files(corpus)]
    files += [file for base in study.bases for file in base_files(base)]
    files += [file for recipe in study.recipes for file in llm_files(recipe)]
    if study.recipes:
        files += [f"{REPORT}/{name}" for name in ("llms.html", "llms.csv", "llms.svg")]
        files += [f"{REPORT}/llm/{recipe}/losses.svg" for recipe in study.recipes]
    if study.corpora:
        files += [f"{RESULTS}/corpus/formulas.json", f"{REPORT}/corpora.html", f"{REPORT}/corpora.csv"]
    return list(dict.fromkeys(files + [f"{REPORT}/{name}" for name in ("gates.html", "gates.csv", "overview.html")]))


def listed(wildcards):
    """The artifacts, as the manifest takes them: folders are `ancient`, because Snakemake knows them by their time alone;
    the index beside each, which has the digest of every file in it, decides."""
    files = artifacts(wildcards)
    indexed = {each.removesuffix(".index.json") for each in files if each.endswith(".index.json")}
    return [ancient(each) if each in indexed else each for each in files]
