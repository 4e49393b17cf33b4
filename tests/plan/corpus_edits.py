"""Edits of a study of corpora (tests.tiny.TALK) and the jobs that each must rerun.

The expected jobs follow from who reads what was edited. Facts of the study that they rest on: `trading` is made from
formulas (`candles`, `volatilities`, and `verifiable` prompts) and from market rows (`states`, `decisions`, and `pairs`
of preferences); `wealth` from the questions of two domains, `investment` (`funds`) and `estate_planning` (`estates`),
with a curriculum of three phases and a benchmark.
"""

from tests.plan.edits import REMOVED, Edit, code, corrected, key, lost, more, pin, text, together

FORMS = {
    "candles": "messages",
    "volatilities": "messages",
    "states": "messages",
    "decisions": "messages",
    "pairs": "preferences",
    "verifiable": "prompts",
}
ROWS = ("states", "decisions", "pairs")
FORMULAS = ("candles", "volatilities", "verifiable")
QUESTIONS = ("funds", "estates")
ALL = tuple(f"{month:02}" for month in range(1, 10))

TAIL = {"write_manifest", "tabulate_failures", "tabulate_times"}
PAGES = {"tabulate_corpora", *TAIL}
PHASES = {f"order_phase wealth {phase}" for phase in "ABC"}
INGESTED = {"survey_market made", "summarize_market made", "draw_quality made", "summarize_study"}


def described(*corpora):
    return {f"describe_corpus {each}" for each in corpora}


def checked(*corpora):
    return {f"check_corpus {each}" for each in corpora} | described(*corpora) | PAGES


def assembled(*forms):
    return {f"assemble_corpus trading {form}" for form in forms} | checked("trading")


def trading(*parts):
    """Parts of `trading`, the formats that they are of, and what follows."""
    forms = (FORMS.get(each, "messages") for each in parts)
    return {f"write_part trading {each}" for each in parts} | assembled(*forms)


def wealth(*parts):
    """Parts of `wealth` and what follows: the phases and the benchmark draw from them."""
    jobs = {f"write_part wealth {each}" for each in parts} | {"assemble_corpus wealth messages"}
    return jobs | {"write_benchmark wealth"} | PHASES | checked("wealth")


def features(months=ALL, symbols=("AAA", "BBB")):
    return {f"compute_features technical made 2021-{month} {each} 1h" for month in months for each in symbols}


TRADING, WEALTH = trading(*FORMS), wealth(*QUESTIONS)
SURVEYED = {"survey_formulas"} | PAGES

NOTHING = [
    Edit("a comment in phrasings", more("resources/templates/trades.yaml", "# a comment")),
    Edit("a comment in figures of law", more("resources/parameters/estate_tax.yaml", "# a comment")),
    Edit("a comment in the catalogue", more("resources/formulas/alpha158.yaml", "# a comment")),
    Edit("phrasings that no part uses", together(
        text("resources/templates/notes.yaml", ": ", ":  "),
        text("resources/templates/domains/compliance.yaml", '"', '"Now: '),
    )),
    Edit("figures of law that no domain computes with",
         text("resources/parameters/retirement_limits.yaml", "2023: 22_500", "2023: 22_600")),
    Edit("kinds and domains that the study has not", code(
        "corpus/kinds/files.py", "corpus/domains/compliance.py", "corpus/topics/margin.py",
    )),
    Edit("code of ensembles and language models", code("ensemble/folds.py", "llm/trainers.py")),
    Edit("the models of the config", code("corpus/settings.py", "market/settings.py")),
    Edit("a caption", more("resources/captions/corpora.rst", "More.")),
    Edit("a pin of another stage", pin("lightgbm")),
]  # fmt: skip

RESOURCES = [
    Edit("phrasings of one kind of part",
         text("resources/templates/trades.yaml", "Step by step:", "One step after the other:"), trading("decisions")),
    Edit("phrasings of formulas", text("resources/templates/formulas.yaml", "What is {name}?", "What's {name}?"),
         trading(*FORMULAS)),
    Edit("the words of states", text("resources/templates/states.yaml", "oversold", "very oversold"), trading(*ROWS)),
    Edit("phrasings of preferences alone", text("resources/templates/preferences.yaml", '"', '"So: '),
         trading("pairs")),
    Edit("phrasings of a domain",
         text("resources/templates/domains/estate_planning.yaml", '- "', '- "Now: '), wealth("estates")),
    Edit("figures of law", text("resources/parameters/estate_tax.yaml", "2023: 17_000", "2023: 17_100"),
         wealth("estates")),
    Edit("an expression",
         text("resources/formulas/alpha158.yaml", "expression: (close - open) / open", "expression: close / open - 1"),
         {"survey_formulas"} | trading("candles", "verifiable")),
    Edit("the prose of a family", text("resources/formulas/volatility.yaml", "title: ", "title: The "),
         {"survey_formulas"} | trading("volatilities")),
    Edit("a family that no part asks about", text("resources/formulas/execution.yaml", "title: ", "title: The "),
         SURVEYED),
]  # fmt: skip

CODE = [
    Edit("one kind of part", code("corpus/kinds/preferences.py"), trading("pairs")),
    Edit("the kind of questions of domains", code("corpus/kinds/domain.py"), WEALTH),
    Edit("a domain", code("corpus/domains/investment.py"), wealth("funds")),
    Edit("a topic of a domain", code("corpus/topics/estates.py"), wealth("estates")),
    Edit("what states say", code("corpus/states.py"), trading(*ROWS)),
    Edit("what is computed of formulas", code("corpus/computations.py"), trading(*FORMULAS)),
    Edit("operators of expressions", code("market/expressions/operators.py"),
         {"survey_formulas"} | trading(*FORMULAS)),
    Edit("labels, which say how trades end", code("market/labels.py"), trading("decisions", "pairs")),
    Edit("the technical features", code("market/features/technical.py"), features() | trading(*ROWS)),
    Edit("splits", code("corpus/splits.py"), assembled(*set(FORMS.values())) | checked("wealth") | PHASES
         | {"assemble_corpus wealth messages"}),
    Edit("curricula", code("corpus/curricula.py"), PHASES | described("wealth") | PAGES),
    Edit("benchmarks", code("corpus/benchmarks.py"), {"write_benchmark wealth"} | checked("wealth")),
    Edit("the look for contamination", code("corpus/contamination.py"), checked("trading", "wealth")),
    Edit("cards", code("corpus/cards.py"), described("trading", "wealth") | TAIL),
    Edit("the survey of formulas", code("corpus/surveys.py"), SURVEYED),
    Edit("the table of corpora", code("report/corpus_table.py"), PAGES),
    Edit("the pin of datasketch", pin("datasketch"), checked("trading", "wealth")),
    Edit("the pin of TA-Lib", pin("ta-lib"), features() | trading(*ROWS)),
]  # fmt: skip

CONFIG = [
    Edit("the seed", key("seed", 8), TRADING | WEALTH),
    Edit("how many samples", key("corpora.trading.parts.states.per_symbol", 31), trading("states")),
    Edit("the exit of trades", key("corpora.trading.parts.decisions.exit", {"horizon": 12}), trading("decisions")),
    Edit("aspects that are asked", key("corpora.trading.parts.volatilities.aspects", ["meaning"]),
         trading("volatilities")),
    Edit("a family", key("corpora.trading.parts.candles.families", ["alpha158", "execution"]), trading("candles")),
    Edit("a part more", key("corpora.trading.parts.more", {"kind": "formulas", "samples": 20}), trading("more")),
    Edit("a part less", key("corpora.trading.parts.volatilities", REMOVED), assembled("messages")),
    Edit("the only part of a format less", key("corpora.trading.parts.verifiable", REMOVED), checked("trading")),
    Edit("a symbol less", key("corpora.trading.symbols", ["AAA"]), trading(*ROWS)),
    Edit("the share of the test split", key("corpora.trading.splits.test", 0.25), assembled(*set(FORMS.values()))),
    Edit("the longest text", key("corpora.trading.checks", {"max_characters": 7000}), assembled(*set(FORMS.values()))),
    Edit("a limit of the checks", key("corpora.trading.checks", {"max_masked_auc": 0.6}), checked("trading")),
    Edit("the licence", key("corpora.trading.license", "CC-BY-4.0"), described("trading") | TAIL),
    Edit("the first phase", key("corpora.wealth.curriculum.phases.A.samples", 21),
         PHASES | described("wealth") | PAGES),
    Edit("the last phase", key("corpora.wealth.curriculum.phases.C.samples", 21),
         {"order_phase wealth C"} | described("wealth") | PAGES),
    Edit("what happens when a bucket is short", key("corpora.wealth.curriculum.shortfall", "reallocate"),
         PHASES | described("wealth") | PAGES),
    Edit("the size of the benchmark", key("corpora.wealth.benchmark.per_domain", 9),
         {"write_benchmark wealth"} | checked("wealth")),
    Edit("the difficulty of questions", key("corpora.wealth.parts.estates.hard", 10), wealth("estates")),
]  # fmt: skip

DATA = [
    Edit("a corrected bar", corrected("AAA", "2021-06-15 12"),
         {"ingest_symbol made AAA"} | INGESTED | features(("06", "07"), ["AAA"]) | trading(*ROWS), "plans"),
    Edit("a corrected bar of a symbol that the corpus has not", corrected("CCC", "2021-06-15 12"),
         {"ingest_symbol made CCC"} | INGESTED | TAIL, "plans"),
    Edit("a part is gone", lost("corpus/trading/parts/states.jsonl"), trading("states")),
    Edit("a phase is gone", lost("corpus/wealth/phases/B.jsonl"),
         {"order_phase wealth B"} | described("wealth") | PAGES),
    Edit("a card is gone", lost("corpus/trading/card.json"), described("trading") | TAIL),
]  # fmt: skip

EDITS = [*NOTHING, *RESOURCES, *CODE, *CONFIG, *DATA]
