"""The ``ensembles`` section of a study's config."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from scripts.common.settings import Name, Settings, Timeframe

Share = Annotated[float, Field(gt=0, le=1)]


class Direction(Settings):
    """y = 1 when the close ``horizon`` bars later is higher."""

    kind: Literal["direction"] = "direction"
    horizon: PositiveInt = Field(5, description="bars")


class TripleBarrier(Settings):
    """y = 1 when a position that leaves at a barrier, or after ``horizon`` bars, ends with a gain after costs."""

    kind: Literal["triple_barrier"]
    horizon: PositiveInt = Field(24, description="bars until the position is closed in any case")
    take_profit: PositiveFloat = Field(2.0, description="in units of the volatility of one bar, times sqrt(horizon)")
    stop_loss: PositiveFloat = Field(2.0, description="likewise")
    volatility_window: PositiveInt = Field(72, description="bars over which volatility is measured")
    cost: NonNegativeFloat = Field(0.0004, description="of entry and exit together, as a fraction of the price")


class ForwardReturn(Settings):
    """y = 1 when the log return over ``horizon`` bars exceeds the cost."""

    kind: Literal["forward_return"]
    horizon: PositiveInt = Field(5, description="bars")
    cost: NonNegativeFloat = Field(0.0, description="of entry and exit together, as a fraction of the price")


Label = Annotated[Direction | TripleBarrier | ForwardReturn, Field(discriminator="kind")]


class Folds(Settings):
    """Walk-forward windows, in bars."""

    train: PositiveInt = Field(8000, description="bars, validation included")
    validation: NonNegativeInt = Field(500, description="tail of train that chooses the number of rounds; 0: fixed")
    test: PositiveInt = Field(100, description="bars that one fold predicts")
    step: PositiveInt = Field(100, description="bars from one fold to the next")
    window: Literal["rolling", "expanding"] = Field(
        "rolling", description="the last `train` bars, or all since the first"
    )
    per_job: PositiveInt = Field(24, description="folds trained by one job; a change retrains all")
    holdout: Annotated[float, Field(ge=0, lt=1)] | date = Field(0.15, description="share of the tail, or first day")
    warmup: NonNegativeInt = Field(0, description="bars at the start that no window uses")

    @model_validator(mode="after")
    def _fit(self):
        if self.validation >= self.train:
            raise ValueError(f"validation ({self.validation}) is the tail of train ({self.train}) and must be shorter")
        if self.step < self.test:
            raise ValueError(f"step ({self.step}) below test ({self.test}) would predict rows more than once")
        return self


class LightGBM(Settings):
    """Gradient boosting by LightGBM; the names are LightGBM's own.

    The defaults are for weak signals: small trees, large leaves, half of the features per tree.
    """

    kind: Literal["lightgbm"]
    features: list[Name] = Field(["technical"], min_length=1, description="feature sets")
    rounds: PositiveInt = Field(500, description="at most; early stopping chooses")
    patience: PositiveInt = Field(20, description="rounds without a better validation AUC before stopping")
    learning_rate: Share = 0.05
    num_leaves: Annotated[int, Field(ge=2)] = 15
    max_bin: Annotated[int, Field(ge=3)] = 63
    min_data_in_leaf: PositiveInt = 200
    feature_fraction: Share = 0.5
    bagging_fraction: Share = 0.8
    bagging_freq: NonNegativeInt = 1
    lambda_l1: NonNegativeFloat = 0.0
    lambda_l2: NonNegativeFloat = 0.0


class XGBoost(Settings):
    """Gradient boosting by XGBoost; the names are XGBoost's own."""

    kind: Literal["xgboost"]
    features: list[Name] = Field(["technical"], min_length=1, description="feature sets")
    rounds: PositiveInt = Field(500, description="at most; early stopping chooses")
    patience: PositiveInt = Field(20, description="rounds without a better validation AUC before stopping")
    learning_rate: Share = 0.05
    max_depth: PositiveInt = 4
    max_bin: Annotated[int, Field(ge=3)] = 63
    min_child_weight: NonNegativeFloat = 50.0
    colsample_bytree: Share = 0.5
    subsample: Share = 0.8
    reg_alpha: NonNegativeFloat = 0.0
    reg_lambda: NonNegativeFloat = 1.0


Model = Annotated[LightGBM | XGBoost, Field(discriminator="kind")]


class Diversity(Settings):
    """When two base models say the same."""

    max_correlation: Share = Field(
        0.98, description="rank correlation of out-of-fold predictions above which a pair is redundant"
    )
    prune: bool = Field(False, description="whether the weaker one of a redundant pair is left out of the stack")


class Logistic(Settings):
    """Logistic regression."""

    kind: Literal["logistic"] = "logistic"
    extra: list[str] = Field([], description="features that join the base predictions")
    C: PositiveFloat = Field(1.0, description="inverse strength of the ridge penalty")


class Boosted(Settings):
    """A small gradient boosting."""

    kind: Literal["gbm"]
    extra: list[str] = Field([], description="features that join the base predictions")
    rounds: PositiveInt = Field(50, description="trees")
    learning_rate: Share = 0.05
    num_leaves: Annotated[int, Field(ge=2)] = 4
    min_data_in_leaf: PositiveInt = 200


class Perceptron(Settings):
    """A small neural network."""

    kind: Literal["mlp"]
    extra: list[str] = Field([], description="features that join the base predictions")
    hidden: list[PositiveInt] = Field([8], min_length=1, description="units of each hidden layer")
    alpha: NonNegativeFloat = Field(0.01, description="L2 penalty on the mean loss")
    epochs: PositiveInt = Field(200, description="at most")


Meta = Annotated[Logistic | Boosted | Perceptron, Field(discriminator="kind")]


class Gates(Settings):
    """What a stack must show before it may be promoted. Gates read out-of-fold and hold-out rows only."""

    min_rows_to_stack: NonNegativeInt = Field(8000, description="out-of-fold rows below which nothing is trained")
    min_rows_to_deploy: NonNegativeInt = Field(20000, description="out-of-fold rows below which the stack is refused")
    min_auc: Annotated[float, Field(ge=0, le=1)] = Field(0.55, description="pooled out-of-fold AUC; 0: no limit")
    max_auc: Annotated[float, Field(ge=0, le=1)] = Field(0.75, description="too good is a failure too")
    better_than_noise: Share = Field(0.001, description="largest p-value of the circular-shift test")
    max_test_gap: NonNegativeFloat = Field(0.05, description="largest distance of hold-out AUC from out-of-fold AUC")
    permutations: Annotated[int, Field(ge=2000)] = Field(2000, description="circular shifts at the least")


class Stack(Settings):
    """What one target is trained with on one timeframe."""

    label: Label = Field(Direction(), description="what is predicted")
    folds: Folds = Field(Folds(), description="walk-forward windows")
    models: dict[Name, Model] = Field(min_length=1, description="base models")
    diversity: Diversity = Field(Diversity(), description="when two base models say the same")
    meta: Meta = Field(Logistic(), description="the model on top of the base models")
    gates: Gates = Field(Gates(), description="what the stack must show")

    @property
    def feature_sets(self):
        """All feature sets that its models use, in the order of first use."""
        return list(dict.fromkeys(each for model in self.models.values() for each in model.features))


class Ensemble(Stack):
    """Models of one or more targets on one or more timeframes, and the stack on top of them."""

    market: Name = Field(description="one of `markets`")
    targets: list[Name] | Literal["all"] = Field("all", description="symbols to predict")
    peers: list[Name] = Field([], description="symbols whose cross-asset features are used")
    timeframes: dict[Timeframe, dict[str, Any]] = Field(
        {}, description="timeframe to settings that differ there; default: the market's own"
    )

    @model_validator(mode="after")
    def _overrides_are_valid(self):
        for timeframe in self.timeframes:
            self.at(timeframe)
        return self

    def at(self, timeframe):
        """The :class:`Stack` for a timeframe: these settings with the timeframe's own merged over them."""
        base = self.model_dump(mode="json", include=set(Stack.model_fields))
        overrides = self.timeframes.get(timeframe, {})
        try:
            return Stack.model_validate(_merged(base, overrides))
        except ValidationError as error:
            each = error.errors()[0]
            place = ".".join(str(part) for part in each["loc"])
            reason = each["msg"].removeprefix("Value error, ")
            raise ValueError(f"timeframes.{timeframe}.{place}: {reason}") from None


def _merged(base, over):
    """``over`` laid on ``base``, mappings key by key; a mapping of another ``kind`` replaces the whole."""
    if not (isinstance(base, dict) and isinstance(over, dict)) or over.get("kind", base.get("kind")) != base.get(
        "kind"
    ):
        return over
    return base | {key: _merged(base[key], value) if key in base else value for key, value in over.items()}
