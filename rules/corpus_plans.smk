"""The functions of the corpus stage, by which its rules find their inputs and params. No rules here."""

from scripts.common.periods import period_of
from scripts.corpus import domains as question_domains
from scripts.corpus import kinds as part_kinds
from scripts.corpus import parameters as law
from scripts.corpus import samples as corpus_samples
from scripts.corpus import templates as phrasings
from scripts.corpus.settings import MARKET_KINDS
from scripts.market import formulas as catalogue

CORPUS = f"{RESULTS}/corpus/{{corpus}}"


def corpus_settings(wildcards):
    """The settings of the corpus that a job belongs to."""
    return study.corpora[wildcards.corpus]


def part_settings(wildcards):
    """The settings of a part, as its kind gets them."""
    return corpus_settings(wildcards).parts[wildcards.part].model_dump(mode="json")


def parts_of(corpus, form):
    """The names of a corpus's parts whose samples have the format ``form``."""
    parts = study.corpora[corpus].parts
    return [name for name, part in parts.items() if part_kinds.format_of(part.model_dump(mode="json")) == form]


def formats_of(corpus):
    """The formats that a corpus has samples of."""
    return [form for form in corpus_samples.FORMATS if parts_of(corpus, form)]


def part_files(wildcards):
    """The parts of one format."""
    return [f"{CORPUS}/parts/{part}.jsonl".format(**wildcards) for part in parts_of(wildcards.corpus, wildcards.format)]


def all_parts(wildcards):
    """The parts of all formats."""
    return [f"{CORPUS}/parts/{part}.jsonl".format(**wildcards) for part in corpus_settings(wildcards).parts]


def split_files(wildcards):
    """Train, validation, test and quarantine of each format of a corpus."""
    names = [*corpus_samples.SPLITS, "quarantine"]
    return [
        f"{CORPUS}/{form}/{name}.jsonl".format(**wildcards) for form in formats_of(wildcards.corpus) for name in names
    ]


def phase_files(wildcards, kind):
    """The phases of a corpus's curriculum: their samples (``jsonl``) or their accounts (``json``)."""
    return [
        f"{CORPUS}/phases/{phase}.{kind}".format(**wildcards) for phase in corpus_settings(wildcards).curriculum.phases
    ]


def benchmark_files(wildcards):
    """The benchmark of a corpus, if it has one."""
    return [f"{CORPUS}/benchmark.jsonl".format(**wildcards)] if corpus_settings(wildcards).benchmark else []


def phases_until(wildcards):
    """The settings of a phase and of those before it: a later phase changes nothing of an earlier one."""
    phases = corpus_settings(wildcards).curriculum.phases
    names = list(phases)
    return {name: phases[name].model_dump(mode="json") for name in names[: names.index(wildcards.phase) + 1]}


def domains_of(corpus):
    """The domains of a corpus's generated questions."""
    return sorted({part.domain for part in study.corpora[corpus].parts.values() if part.kind == "domain"})


def from_market(wildcards):
    """Whether a part is made from rows of the market."""
    return corpus_settings(wildcards).parts[wildcards.part].kind in MARKET_KINDS


def rows_timeframe(wildcards):
    """The timeframe of a corpus's market rows."""
    settings = corpus_settings(wildcards)
    return settings.timeframe or study.markets[settings.market].timeframe


def symbol_periods(wildcards, symbol):
    """The periods in which a symbol has bars: those its rows and features come from."""
    settings, known = corpus_settings(wildcards), manifest_of(corpus_settings(wildcards).market)["symbols"][symbol]
    partition = study.markets[settings.market].partition
    return sorted({period_of(f"{month}-01", partition) for month in known["months"]})


def part_bars(wildcards):
    """The bars that a part is written from; none where it needs no market."""
    if not from_market(wildcards):
        return []
    return bars_of(corpus_settings(wildcards).market, study.corpus_symbols(wildcards.corpus))


def part_features(wildcards):
    """The features of the rows that a part is written from, symbol by symbol, each by period."""
    if not from_market(wildcards):
        return []
    market, timeframe = corpus_settings(wildcards).market, rows_timeframe(wildcards)
    return [
        file
        for symbol in study.corpus_symbols(wildcards.corpus)
        for file in feature_files(market, ["technical"], timeframe, symbol, symbol_periods(wildcards, symbol))
    ]


def part_file(wildcards):
    """The user's file of a part of kind ``files``."""
    part = corpus_settings(wildcards).parts[wildcards.part]
    return [own(part.path)] if part.kind == "files" else []


def part_digests(wildcards):
    """Every month of the bars that a part is written from."""
    if not from_market(wildcards):
        return None
    market = corpus_settings(wildcards).market
    symbols, known = study.corpus_symbols(wildcards.corpus), manifest_of(market)["symbols"]
    return [
        f"{symbol} {month} {content['sha256'][:16]}"
        for symbol in symbols
        for month, content in known[symbol]["months"].items()
    ]


def market_param(wildcards, value):
    """``value``, or None for a part that needs no market, which uses none of it."""
    return value() if from_market(wildcards) else None


def phrasings_of(wildcards):
    """Digests of the phrasings that a part is written with."""
    return {name: phrasings.digest(name) for name in part_kinds.templates_of(part_settings(wildcards))}


def formulas_of(wildcards):
    """Digests of the families of formulas that a part asks about."""
    chosen = part_settings(wildcards).get("families")
    if chosen is None:
        return None
    return {family: catalogue.digest(family) for family in (catalogue.families() if chosen == "all" else chosen)}


def parameter_digests(domains):
    """Digests of the figures of law that the questions of some domains are computed with."""
    names = sorted(
        {name for domain in domains for each in question_domains.load(domain).QUESTIONS for name in each.parameters}
    )
    return {name: law.digest(name) for name in names}


def parameters_of(wildcards):
    """Digests of the figures that a part's questions are computed with."""
    part = corpus_settings(wildcards).parts[wildcards.part]
    return parameter_digests([part.domain]) if part.kind == "domain" else None


def corpus_source(wildcards):
    """Where a corpus's market rows come from, for its card: the kind of source, or None."""
    settings = corpus_settings(wildcards)
    return study.markets[settings.market].source.kind if settings.market else None


def domain_code(domains):
    """The code of domains."""
    return code.tokens(*[f"scripts/corpus/domains/{domain}.py" for domain in domains])


def part_code(wildcards):
    """The code of a part's kind, and of its domain."""
    part = corpus_settings(wildcards).parts[wildcards.part]
    return code.tokens(
        f"scripts/corpus/kinds/{part.kind}.py",
        *([f"scripts/corpus/domains/{part.domain}.py"] if part.kind == "domain" else []),
    )
