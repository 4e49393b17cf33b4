"""Paths, wildcards, places, and the functions by which rules find their inputs. No rules here.

Everything below a checkpoint takes its inputs through a function that asks for the checkpoint (`manifest_of`,
`folds_of`): so no plan is made from a manifest that is about to change. Params may read a manifest only where an
input function of the same rule does.
"""

import itertools

from scripts.common import manifests as manifest_files
from scripts.common import objects as object_stores
from scripts.common.periods import between, bounds, iso, months_between, stamp
from scripts.common.timeframes import span_of
from scripts.common.training import failures as failure_records
from scripts.ensemble import models as model_kinds
from scripts.market import features as feature_sets
from scripts.market import labels
from scripts.report import failure_table as failure_page

RESULTS = f"results/{study.study}"
MARKET = f"{RESULTS}/market/{{market}}"
STACK = f"{RESULTS}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}"
REPORT = f"{RESULTS}/report"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"


wildcard_constraints:
    market=r"[A-Za-z0-9_.-]+",
    symbol=r"[A-Za-z0-9_.-]+",
    month=r"\d{4}-\d{2}",
    period=r"\d{4}(-(Q[1-4]|\d{2}))?",
    timeframe=r"[1-9]\d*[mhd]",
    features=r"[A-Za-z0-9_]+",
    ensemble=r"[A-Za-z0-9_.-]+",
    target=r"[A-Za-z0-9_.-]+",
    model=r"[A-Za-z0-9_.-]+",
    block=r"b\d\d\d+",
    corpus=r"[A-Za-z0-9_.-]+",
    part=r"[A-Za-z0-9_.-]+",
    format=r"messages|preferences|prompts",
    phase=r"[A-Za-z0-9_.-]+",
    base=r"[A-Za-z0-9_.-]+",
    recipe=r"[A-Za-z0-9_.-]+",
    quant=r"F32|F16|BF16|Q8_0|Q6_K|Q5_K_M|Q4_K_M",
    source=r"|-base",
    artifact=r"base|merged|dpo|grpo|sft-[A-Za-z0-9_.-]+|F32|F16|BF16|Q8_0|Q6_K|Q5_K_M|Q4_K_M",


def script_of(rule):
    """A rule's script, relative to the root of the repository."""
    return os.path.normpath(os.path.join("rules", rule.script))


def rules_to_run():
    """The rules that this process may run: those of its job, where it was started for one, else all.

    A process that runs a job parses the whole workflow; to describe the code of the other rules would cost it 0.4 s.
    """
    if workflow.is_main_process or "--allowed-rules" not in sys.argv:
        return list(workflow.rules)
    allowed = itertools.takewhile(
        lambda name: not name.startswith("-"), sys.argv[sys.argv.index("--allowed-rules") + 1 :]
    )
    return [workflow.get_rule(name) for name in allowed]


# Places: what the rules name is on disk below the working directory or, with a default storage provider, an object with
# a copy on disk while a job needs it. Only these functions tell the difference.


def own(path):
    """A file of the user's: it stays where it is, whatever holds the results. An address (`s3://...`) is an object."""
    path = os.path.expandvars(path)
    return storage(path) if "://" in path else local(path)


def is_there(path):
    """Whether a file of the study is there."""
    file = workflow.inputfile(path)
    return file.storage_object.exists() if file.is_storage else os.path.exists(file)


def kept_here():
    """The rules whose jobs need what only this machine has: Snakemake's records, and the user's own files."""

    def here(path):
        return isinstance(path, str) and "://" not in path

    rules = {"write_manifest", "tabulate_failures"}
    for market in study.markets.values():
        rules |= {"ingest_symbol"} if here(getattr(market.source, "path", None)) else set()
        rules |= {"compute_panel"} if here(market.industries) or here(market.factors) else set()
    parts = [part for corpus in study.corpora.values() for part in corpus.parts.values()]
    rules |= {"write_part"} if any(here(getattr(part, "path", None)) for part in parts) else set()
    return rules | ({"build_base"} if any(base.kind == "local" for base in study.bases.values()) else set())


os.environ.pop(object_stores.HOME, None)
if workflow.storage_settings.default_storage_provider:
    workflow.localrules(*sorted(kept_here()))
    # not by params: where the objects are is no reason to make anything again
    prefix = workflow.storage_settings.default_storage_prefix
    os.environ.update(object_stores.environment(workflow.storage_registry.default_storage_provider, prefix))
    if workflow.is_main_process:
        # else it shows after the first job, when its outputs cannot be stored
        try:
            object_stores.require_access(workflow.inputfile(f"{RESULTS}/manifest.json").storage_object)
        except StudyError as error:
            raise WorkflowError(str(error)) from None


# Markets


def manifests():
    """The manifest of every market."""
    return [f"{MARKET}/manifest.json".format(market=market) for market in study.markets]


def manifest_of(market):
    """The content of a market's manifest; asks for its checkpoint."""
    return manifest_files.read(checkpoints.survey_market.get(market=market).output[0])


def market_settings(wildcards):
    """The settings of the market that a job belongs to."""
    name = wildcards.get("market") or study.ensembles[wildcards.ensemble].market
    return study.markets[name]


def bars_of(market, symbols):
    """Bars files as ancient inputs: their months' digests, in params, decide what is rebuilt."""
    manifest_of(market)
    return [ancient(f"{MARKET}/bars/{symbol}.parquet".format(market=market)) for symbol in symbols]


def digests(market, symbols, start, end):
    """`SYMBOL 2021-02 sha256` of every month of the symbols' bars that overlaps [start, end)."""
    months, known = months_between(start, end), manifest_of(market)["symbols"]
    return [
        f"{symbol} {month} {known[symbol]['months'][month]['sha256'][:16]}"
        for symbol in symbols
        for month in months
        if month in known[symbol]["months"]
    ]


def features_start(wildcards):
    """From when a job that computes a period's features reads bars: the period's start less the set's lookback."""
    start, _ = bounds(wildcards.period)
    lookback = feature_sets.load(wildcards.features).LOOKBACK
    return whole_day(start - span_of(lookback, wildcards.timeframe, market_settings(wildcards).calendar))


def whole_day(moment):
    """The start of a moment's day: coarse bars that begin there are whole."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def scoped(scope):
    """The names of the feature sets of one scope, as a wildcard constraint."""
    return "|".join(each for each in feature_sets.available() if feature_sets.load(each).SCOPE == scope)


def feature_files(market, sets, timeframe, symbol, periods):
    """The feature files of a symbol, set by set, each by period."""
    folder = f"{MARKET}/features".format(market=market)
    return [
        f"{folder}/{each}/{timeframe}/{symbol if feature_sets.load(each).SCOPE == 'symbol' else 'panel'}/{period}.parquet"
        for each in sets
        for period in periods
    ]


def source_files(wildcards):
    """What an ingest reads: the user's file, the archives of the span's months, or nothing."""
    settings = market_settings(wildcards)
    if settings.source.kind == "files":
        return [own(os.path.join(settings.source.path, settings.source.pattern.format(**wildcards)))]
    if settings.source.kind == "binance":
        months = months_between(settings.span.start, settings.span.end)
        return [f"{MARKET}/archive/{{symbol}}/{month}.parquet".format(**wildcards) for month in months]
    return []


def source_code(wildcards):
    """The code of the market's kind of source."""
    return code.tokens(f"scripts/market/sources/{market_settings(wildcards).source.kind}.py")


def panel_inputs(wildcards):
    """The market's optional inputs that a feature set takes: their values, or True for a file."""
    settings, taken = market_settings(wildcards), feature_sets.inputs(wildcards.features)
    values = settings.model_dump(mode="json", include=set(taken))
    files = {name: True for name in taken if panel_file(wildcards, name)}
    return {name: value for name, value in (values | files).items() if value is not None}


def panel_file(wildcards, name):
    """The file of an optional input of the market, where it is one and the feature set takes it."""
    value = getattr(market_settings(wildcards), name)
    taken = name != "benchmark" and name in feature_sets.inputs(wildcards.features)
    return [own(value)] if taken and isinstance(value, str) else []


def feature_digests(wildcards, symbols):
    """The months of bars that a period of features reads."""
    return digests(wildcards.market, symbols, features_start(wildcards), bounds(wildcards.period)[1])
