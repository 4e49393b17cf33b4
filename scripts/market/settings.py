"""The ``markets`` section of a study's config."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from scripts.common.settings import Name, Settings, Timeframe
from scripts.common.timeframes import CALENDARS

Calendar = Literal[CALENDARS]


class Simulate(Settings):
    """A seeded market with a known predictable part."""

    kind: Literal["simulate"]
    start: date = Field(date(2021, 1, 1), description="first day")
    end: date = Field(date(2024, 1, 1), description="the day after the last one; a later end changes no earlier bar")
    signal: float = Field(0.0, ge=0, description="strength of the predictable part of returns; 0 is none")
    signal_horizon: PositiveInt = Field(5, description="bars over which the oracle's AUC is measured")
    correlation: float = Field(0.6, ge=0, lt=1, description="of the symbols' returns")
    annual_volatility: PositiveFloat = Field(0.6, description="standard deviation of a year's log return")

    @model_validator(mode="after")
    def _ends_after_start(self):
        if self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be after start ({self.start})")
        return self


class Bundled(Settings):
    """Real daily bars that come with the arch package: SP500, NASDAQ, VIX (1999 to 2018)."""

    kind: Literal["bundled"]


class Columns(Settings):
    """Names (or, in a file without a header, positions from 0) of the source's columns."""

    timestamp: str | int = Field("timestamp", description="the bar's open time")
    open: str | int = Field("open", description="price")
    high: str | int = Field("high", description="price")
    low: str | int = Field("low", description="price")
    close: str | int = Field("close", description="price")
    volume: str | int | None = Field("volume", description="null: the source has none, the volume is 0")
    amount: str | int | None = Field(None, description="turnover in the quote currency")
    bid: str | int | None = Field(None, description="at the bar's close")
    ask: str | int | None = Field(None, description="at the bar's close")


class Files(Settings):
    """Your own bars: one csv or parquet file per symbol, gz allowed."""

    kind: Literal["files"]
    path: str = Field(description="the folder; relative to where snakemake runs; environment variables are expanded")
    pattern: str = Field("{symbol}.parquet", description="the file of a symbol")
    columns: Columns = Columns()
    timezone: str = Field("UTC", description="zone of stamps that name none; its DST rules are applied")
    timestamp_format: str | None = Field(
        None, description="strptime format, or 's', 'ms', 'us' for epochs; null: found"
    )
    skip_rows: int = Field(0, ge=0, description="banner lines before the header")
    header: bool = Field(True, description="false: the columns are given by position")
    price_scale: PositiveFloat = Field(1.0, description="prices in the file are multiplied by this")
    volume_scale: PositiveFloat = Field(1.0, description="volumes in the file are multiplied by this")

    @field_validator("pattern")
    @classmethod
    def _names_the_symbol(cls, value):
        if "{symbol}" not in value:
            raise ValueError("must contain {symbol}")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value):
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except Exception:
            raise ValueError("is no time zone of the IANA data base, such as UTC or America/New_York") from None
        return value


class Binance(Settings):
    """Monthly kline archives with their checksums."""

    kind: Literal["binance"]
    base_url: str = Field("https://data.binance.vision", description="where the folder data/ of the archives is")
    market: Literal["spot", "um"] = Field("spot", description="spot, or um for USDT-margined futures")
    retries: int = Field(4, ge=0, description="further tries of a failed download, with a growing pause")
    timeout: PositiveFloat = Field(60.0, description="seconds")


Source = Annotated[Simulate | Bundled | Files | Binance, Field(discriminator="kind")]


class Span(Settings):
    """Bars outside of [start, end) are left out."""

    start: date | None = Field(None, description="first day")
    end: date | None = Field(None, description="the day after the last one")


class Split(Settings):
    """Whether each symbol's bars are also written as a train and a test file."""

    test: PositiveInt = Field(description="rows at the end of each symbol that are the test file")


class Checks(Settings):
    """What counts as a defect of a bar and what is done about it."""

    max_gap: str = Field(
        "6h", pattern=r"^[1-9]\d*[mhd]$", description="longest silence in open hours without a finding"
    )
    max_abs_log_return: PositiveFloat = Field(0.35, description="largest move of one bar that is believed")
    on_violation: Literal["quarantine", "fail", "ignore"] = Field(
        "quarantine", description="bad rows are kept apart with the reason, stop the run, or stay"
    )


class Groups(Settings):
    """The groups of firms that a symbol belongs to: names of your choice."""

    sector: str | None = Field(None, description="the widest group")
    industry: str | None = Field(None, description="a part of the sector")
    subindustry: str | None = Field(None, description="a part of the industry")


class Market(Settings):
    """One market: symbols that share a source, a timeframe and a calendar."""

    source: Source = Field(description="where the bars come from")
    symbols: list[Name] = Field(min_length=1, description="names of instruments; they become file names")
    span: Span = Field(Span(), description="which part of the source is used")
    unseen: int = Field(0, ge=0, description="how many symbols, from the end of the list, are kept out of all training")
    split: Split | None = Field(None, description="null: no train and test files of bars are written")
    timeframe: Timeframe = Field("1h", description="of the source; ensembles may use coarser ones")
    calendar: Calendar = Field("always", description="when the market is open")
    partition: Literal["month", "quarter", "year"] = Field(
        "quarter", description="the grain of feature files and rebuilds"
    )
    checks: Checks = Field(Checks(), description="what counts as a defect")
    industries: dict[Name, Groups] | str | None = Field(
        None,
        description="groups of the symbols, or a csv with symbol, sector, industry, subindustry; null: formulas that "
        "neutralise by group are left out of the features",
    )
    benchmark: Name | None = Field(
        None, description="a symbol of the market that formulas compare with; null: those formulas are left out"
    )
    factors: str | None = Field(
        None,
        description="a csv with date, mkt, smb, hml: daily Fama-French factors as fractions; null: formulas that use "
        "them are left out",
    )

    @model_validator(mode="after")
    def _consistent(self):
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols: each symbol may stand there once")
        if "panel" in self.symbols:
            raise ValueError("symbols: 'panel' is the name of the folder of panel features; rename the symbol")
        if self.unseen >= len(self.symbols):
            raise ValueError(f"unseen: {self.unseen} of {len(self.symbols)} symbols leaves none to train on")
        if self.source.kind == "binance" and not (self.span.start and self.span.end):
            raise ValueError("span: a binance source needs a start and an end, which say what to download")
        if self.benchmark and self.benchmark not in self.symbols:
            raise ValueError(f"benchmark: '{self.benchmark}' is none of the market's symbols; add it to them")
        if isinstance(self.industries, dict):
            lacking = [symbol for symbol in self.symbols if symbol not in self.industries]
            if lacking:
                raise ValueError(f"industries: {', '.join(lacking)} have none; name the groups of every symbol")
        return self

    @property
    def seen(self):
        """The symbols that may be trained on."""
        return self.symbols[: len(self.symbols) - self.unseen]

    @property
    def kept_out(self):
        """The symbols that no training reads."""
        return self.symbols[len(self.symbols) - self.unseen :]
