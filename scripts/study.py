"""A study: the sections of all stages joined, checked against each other, in one canonical form.

`python -m scripts.study schema` prints the JSON schema that editors read, `... reference` the table of all keys.
"""

import json
import os
import sys
from typing import Literal

from pydantic import Field, PositiveInt, ValidationError, model_validator

from scripts.common.errors import StudyError
from scripts.common.settings import Name, Settings, explain
from scripts.common.timeframes import duration
from scripts.corpus.settings import Corpus
from scripts.ensemble.settings import Ensemble
from scripts.llm.cross_references import mistakes as recipe_mistakes
from scripts.llm.settings import Base, Recipe
from scripts.market import features
from scripts.market.settings import Market
from scripts.report.settings import Report

# names below a stack's folder that are no model
RESERVED = ("ensemble", "final", "labels", "onnx")


class Gpu(Settings):
    """Which GPU a job may be given, where it asks for one; changes no artifact."""

    model: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_.]+$", description="what the scheduler calls it, such as a100; null: any"
    )
    memory_gb: PositiveInt | None = Field(
        None, description="GB (10^9 bytes) that the card has at least, checked when a job starts; null: not checked"
    )


class Study(Settings):
    """Everything that one config file says. Sections that are left out are empty."""

    study: Name = Field("laptop", description="results go to results/<study>")
    seed: int = Field(7, ge=0, description="of everything that draws random numbers")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="whether GPU rules ask for a GPU; changes no artifact"
    )
    gpu: Gpu = Field(Gpu(), description="which GPU they ask for")
    markets: dict[Name, Market] = Field({}, description="stage market: bars and where they come from")
    ensembles: dict[Name, Ensemble] = Field({}, description="stage ensemble: models, stack and gates")
    corpora: dict[Name, Corpus] = Field({}, description="stage corpus: text datasets, curricula and benchmarks")
    bases: dict[Name, Base] = Field({}, description="stage llm: models that recipes start from")
    recipes: dict[Name, Recipe] = Field({}, description="stage llm: what is trained, exported and evaluated")
    report: Report = Field(Report(), description="stage report")

    @model_validator(mode="before")
    @classmethod
    def _fill_timeframes(cls, given):
        """An ensemble without timeframes is trained on its market's own."""
        markets, ensembles = given.get("markets") or {}, given.get("ensembles") or {}
        if not isinstance(ensembles, dict) or not isinstance(markets, dict):
            return given
        filled = {}
        for name, ensemble in ensembles.items():
            market = markets.get(ensemble.get("market")) if isinstance(ensemble, dict) else None
            if isinstance(market, dict) and not ensemble.get("timeframes"):
                ensemble = ensemble | {"timeframes": {market.get("timeframe", "1h"): {}}}
            filled[name] = ensemble
        return {key: value for key, value in given.items() if value is not None} | (
            {"ensembles": filled} if filled else {}
        )

    @model_validator(mode="after")
    def _references(self):
        mistakes = [text for name, each in self.ensembles.items() for text in self._mistakes(f"ensembles.{name}", each)]
        mistakes += [
            text for name, each in self.corpora.items() for text in self._corpus_mistakes(f"corpora.{name}", each)
        ]
        mistakes += recipe_mistakes(self)
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _mistakes(self, where, ensemble):
        """What an ensemble names that is not there."""
        market = self.markets.get(ensemble.market)
        if market is None:
            known = ", ".join(self.markets) or "none"
            yield f"{where}.market: there is no market '{ensemble.market}' (markets: {known})"
            return
        targets = [] if ensemble.targets == "all" else ensemble.targets
        for key, symbols in (("targets", targets), ("peers", ensemble.peers)):
            for symbol in symbols:
                if symbol not in market.symbols:
                    yield f"{where}.{key}: market '{ensemble.market}' has no symbol '{symbol}'"
                elif symbol not in market.seen:
                    yield f"{where}.{key}: '{symbol}' is one of the market's unseen symbols, which no training reads"
        for timeframe in ensemble.timeframes:
            if duration(timeframe) % duration(market.timeframe):
                yield f"{where}.timeframes: {timeframe} is no multiple of the market's {market.timeframe}"
            yield from self._stack_mistakes(where, ensemble, ensemble.at(timeframe))

    @staticmethod
    def _stack_mistakes(where, ensemble, stack):
        """What the settings for one timeframe name that is not there."""
        unknown = False
        for name, model in stack.models.items():
            if name in RESERVED:
                yield f"{where}.models: '{name}' is the name of a file or folder of every stack; rename the model"
            for each in model.features:
                if each not in features.available():
                    unknown = True
                    yield f"{where}.models.{name}.features: no feature set '{each}' ({', '.join(features.available())})"
        for each in [] if unknown else stack.meta.extra:
            try:
                features.owner(each, stack.feature_sets, ensemble.peers)
            except StudyError as error:
                yield f"{where}.meta.extra: {error}"

    def _corpus_mistakes(self, where, corpus):
        """What a corpus names that is not there."""
        if corpus.market is None:
            return
        market = self.markets.get(corpus.market)
        if market is None:
            known = ", ".join(self.markets) or "none"
            yield f"{where}.market: there is no market '{corpus.market}' (markets: {known})"
            return
        symbols = [] if corpus.symbols == "all" else corpus.symbols
        for key, names in (("symbols", symbols), ("splits.entities", corpus.splits.entities)):
            for symbol in names:
                if symbol not in market.symbols:
                    yield f"{where}.{key}: market '{corpus.market}' has no symbol '{symbol}'"
                elif symbol not in market.seen:
                    yield f"{where}.{key}: '{symbol}' is one of the market's unseen symbols, which no training reads"
        if corpus.timeframe and duration(corpus.timeframe) % duration(market.timeframe):
            yield f"{where}.timeframe: {corpus.timeframe} is no multiple of the market's {market.timeframe}"

    def check_environment(self):
        """Raise StudyError when a path names an environment variable that is not set.

        Snakemake would take what is left of it for a wildcard, and plan as if there were nothing to do.
        """
        paths = {f"markets.{name}.source": each.source for name, each in self.markets.items()}
        for name, corpus in self.corpora.items():
            paths |= {f"corpora.{name}.parts.{key}": part for key, part in corpus.parts.items()}
        paths |= {f"bases.{name}": each for name, each in self.bases.items()}
        for place, settings in paths.items():
            path = getattr(settings, "path", "")
            if "$" in os.path.expandvars(path):
                raise StudyError(f"{place}.path: '{path}' names an environment variable that is not set; set it first")

    def corpus_symbols(self, corpus):
        """The symbols that a corpus's market rows come from."""
        each = self.corpora[corpus]
        if each.market is None:
            return []
        return list(self.markets[each.market].seen) if each.symbols == "all" else list(each.symbols)

    def targets(self, ensemble):
        """The symbols that an ensemble predicts."""
        each = self.ensembles[ensemble]
        return list(self.markets[each.market].seen) if each.targets == "all" else list(each.targets)


def read_study(config):
    """The :class:`Study` of a config mapping; raises StudyError with one block that names every mistake."""
    try:
        return Study.model_validate(dict(config))
    except ValidationError as error:
        raise StudyError(explain(error, Study)) from None


def schema():
    """The JSON schema of a study's config, as text."""
    return json.dumps(Study.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def reference():
    """All keys of a study's config as Markdown: a table per section, with type, default and meaning."""
    whole = Study.model_json_schema()
    sections = {"Study": whole} | dict(sorted(whole["$defs"].items()))
    lines = ["# Every key of a study's config", "", "Made by `make schema`. A key without a default is required.", ""]
    for name, section in sections.items():
        lines += [f"## {name}", "", section.get("description", "").split("\n\n")[0].replace("\n", " "), ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        for key, field in section["properties"].items():
            default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
            default = "see its section" if len(default) > 40 else default
            lines.append(f"| `{key}` | {_type(field)} | {default} | {field.get('description', '')} |")
        lines.append("")
    return "\n".join(lines)


def _type(field):
    """A field's type in a word or two; sections by their names."""
    if "$ref" in field:
        return field["$ref"].rsplit("/", 1)[-1]
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{each}`" for each in field["enum"])
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(dict.fromkeys(_type(each) for each in field[key]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"mapping of names to {_type(field['additionalProperties'])}"
    return {"object": "mapping", "null": "null"}.get(field.get("type"), field.get("format", field.get("type", "any")))


if __name__ == "__main__":
    print({"schema": schema, "reference": reference}[sys.argv[1]](), end="")
