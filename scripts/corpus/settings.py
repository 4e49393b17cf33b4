"""The ``corpora`` section of a study's config."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from scripts.common.settings import Name, Settings, Timeframe

Family = Literal[
    "alpha101",
    "alpha158",
    "alpha191",
    "alpha360",
    "barra_cne6",
    "certainty",
    "chinese_quant",
    "cross_asset",
    "deep_learning",
    "execution",
    "microstructure",
    "reinforcement_learning",
    "risk_management",
    "statistical_arbitrage",
    "volatility",
]
Domain = Literal[
    "retirement_planning", "federal_income_tax", "estate_planning", "investment", "compliance", "market_trading"
]
Aspect = Literal[
    "definition",
    "formula",
    "expression",
    "variables",
    "meaning",
    "failure",
    "source",
    "classification",
    "recognition",
    "computation",
    "dossier",
]


class Exit(Settings):
    """How a trade ends, and what it costs: the triple barrier of the market stage, for both sides."""

    horizon: PositiveInt = Field(24, description="bars after which a position is closed at the latest")
    take_profit: PositiveFloat = Field(1.0, description="upper barrier in sigma * sqrt(horizon)")
    stop_loss: PositiveFloat = Field(1.0, description="lower barrier in sigma * sqrt(horizon)")
    volatility_window: PositiveInt = Field(72, description="bars over which sigma, the deviation of returns, is taken")
    cost: float = Field(0.0002, ge=0, description="a fraction, entry and exit together")


class Formulas(Settings):
    """Questions on the formula catalogue; computations are evaluated by the expression engine."""

    kind: Literal["formulas"]
    samples: PositiveInt = Field(description="how many")
    families: list[Family] | Literal["all"] = Field("all", description="families of resources/formulas")
    aspects: list[Aspect] = Field(
        ["definition", "formula", "expression", "variables", "meaning", "failure", "computation"],
        min_length=1,
        description="what is asked of a formula",
    )


class FeatureRows(Settings):
    """The state of a real row, described with its numbers."""

    kind: Literal["features"]
    per_symbol: PositiveInt = Field(description="samples of each symbol")


class Trades(Settings):
    """A decision on a real row by a stated rule, reasoned with the row's numbers."""

    kind: Literal["trades"]
    per_symbol: PositiveInt = Field(description="samples of each symbol")
    exit: Exit = Field(Exit(), description="how the outcome, which only the label knows, is measured")


class Note(Settings):
    """A planted text signal: a note at the end of the question whose tone names a direction."""

    agreement: float = Field(
        ge=0, le=1, description="share of the pairs whose note agrees with the chosen side; 0.5 says nothing"
    )


class Preferences(Settings):
    """Pairs whose chosen answer is the one that the outcome after costs supports."""

    kind: Literal["preferences"]
    per_symbol: PositiveInt = Field(multiple_of=2, description="pairs of each symbol, half of them BUY")
    exit: Exit = Field(Exit(), description="how the outcome is measured")
    facts: list[PositiveInt] = Field(
        [6, 10], min_length=2, max_length=2, description="of the state that are told: least and most"
    )
    decision: Literal["first", "last"] = Field("last", description="after facts and reasons, or without them")
    note: Note | None = Field(None, description="plant a text signal of known strength; null is no note")


class Notes(Settings):
    """Questions on the tone of a note, such as pairs can end with: up or down."""

    kind: Literal["notes"]
    samples: PositiveInt = Field(description="how many")


class Rewards(Settings):
    """Prompts with an answer that a rule can verify, for GRPO."""

    kind: Literal["rewards"]
    samples: PositiveInt = Field(description="how many")
    families: list[Family] | Literal["all"] = Field("all", description="families whose formulas are computed")


class Questions(Settings):
    """Generated questions of one domain with computed answers, by difficulty."""

    kind: Literal["domain"]
    domain: Domain = Field(description="a module of scripts/corpus/domains")
    easy: NonNegativeInt = Field(0, description="samples with one step of reasoning")
    medium: NonNegativeInt = Field(0, description="samples with two steps")
    hard: NonNegativeInt = Field(0, description="samples with three or four steps")
    extreme: NonNegativeInt = Field(0, description="samples with five steps or more")


class TextFiles(Settings):
    """Your own jsonl; rows of the wrong shape go to the quarantine with the reason."""

    kind: Literal["files"]
    path: str = Field(description="a jsonl file; environment variables are expanded")
    prompt: str = Field("instruction", description="key of the question; `messages` rows need none")
    context: str | None = Field("input", description="key of a text that belongs to the question, may be empty")
    answer: str = Field("output", description="key of the answer; for preferences the chosen one")
    rejected: str | None = Field(None, description="key of the rejected answer: makes it a preference part")
    domain: str | None = Field("category", description="key of the domain")
    difficulty: str | None = Field("difficulty", description="key of the difficulty")
    difficulties: dict[str, Literal["easy", "medium", "hard", "extreme"]] = Field(
        {"extremely_complex": "extreme"}, description="the file's words for difficulties, where they differ"
    )


Part = Annotated[
    Formulas | FeatureRows | Trades | Preferences | Notes | Rewards | Questions | TextFiles, Field(discriminator="kind")
]
MARKET_KINDS = ("features", "trades", "preferences")


class Splits(Settings):
    """Shares of a corpus that training never sees: by time for rows of a market, by template or formula otherwise."""

    validation: float = Field(0.05, ge=0, lt=0.5, description="share")
    test: float = Field(0.1, ge=0, lt=0.5, description="share")
    entities: list[Name] = Field([], description="symbols whose samples are all in the test part")


class Phase(Settings):
    """One phase of a curriculum: how many samples, of which difficulty, in which order."""

    samples: PositiveInt = Field(description="how many")
    easy: float = Field(ge=0, le=1, description="share")
    medium: float = Field(ge=0, le=1, description="share")
    hard: float = Field(ge=0, le=1, description="share")
    extreme: float = Field(ge=0, le=1, description="share")
    order: Literal["blocks", "mixed"] = Field("mixed", description="domain by domain, easy ones first, or shuffled")

    @model_validator(mode="after")
    def _shares_add_up(self):
        total = self.easy + self.medium + self.hard + self.extreme
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of easy, medium, hard and extreme add up to {total:g}, not to 1")
        return self


class Curriculum(Settings):
    """Phases that draw from the training part without drawing a sample twice."""

    phases: dict[Name, Phase] = Field({}, description="in the order of training")
    shortfall: Literal["error", "reallocate"] = Field(
        "error", description="when a bucket is short: stop, or fill up from the nearest difficulty and record it"
    )


class Benchmark(Settings):
    """Questions with reserved phrasings and values that no training part has."""

    per_domain: PositiveInt = Field(80, description="questions of each domain of the corpus")


class CorpusChecks(Settings):
    """What makes a corpus refused; rows that are wrong by themselves are kept apart."""

    on_violation: Literal["quarantine", "fail", "ignore"] = Field(
        "quarantine", description="rows that are wrong by themselves are kept apart, stop the run, or stay"
    )
    min_skeletons: PositiveInt = Field(40, description="distinct texts of a part when names and numbers are masked")
    max_skeleton_share: float = Field(0.05, gt=0, le=1, description="of a part's samples that share one skeleton")
    max_characters: PositiveInt = Field(8000, description="of a sample")
    max_masked_auc: float = Field(0.53, gt=0.5, le=1, description="of a classifier that tells chosen from rejected")
    ngram: PositiveInt = Field(13, description="words in a row that training and benchmark may not share")
    max_similarity: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of training and benchmark texts")


class Corpus(Settings):
    """One corpus: parts, splits, curriculum, benchmark and checks."""

    market: Name | None = Field(None, description="where market rows come from; null where no part needs one")
    symbols: list[Name] | Literal["all"] = Field("all", description="symbols of the market, unseen ones left out")
    expected_symbols: list[Name] = Field([], description="of the source system; those the market lacks are named")
    timeframe: Timeframe | None = Field(None, description="of the market rows; null: the market's own")
    parts: dict[Name, Part] = Field(min_length=1, description="what the corpus is made of")
    splits: Splits = Field(Splits(), description="what training never sees")
    curriculum: Curriculum = Field(Curriculum(), description="phases, in order")
    benchmark: Benchmark | None = Field(None, description="null: none is made; needs a part of kind domain")
    checks: CorpusChecks = Field(CorpusChecks(), description="what is refused")
    license: str = Field(
        "that of its sources", description="for the card: generated text is yours, market rows may not be"
    )

    @model_validator(mode="after")
    def _consistent(self):
        needy = [name for name, part in self.parts.items() if part.kind in MARKET_KINDS]
        if needy and not self.market:
            raise ValueError(f"market: part '{needy[0]}' is made from market rows; name a market")
        if self.benchmark and not any(part.kind == "domain" for part in self.parts.values()):
            raise ValueError("benchmark: is made of the corpus's domains, and no part is of kind domain")
        if self.splits.validation + self.splits.test >= 0.8:
            raise ValueError("splits: validation and test leave less than a fifth for training")
        return self
