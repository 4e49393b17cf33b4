import json
from pathlib import Path

import pytest
import yaml

from scripts.common.errors import StudyError
from scripts.study import Study, read_study, reference, schema

ROOT = Path(__file__).parents[2]


def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path, value):
    config = default()
    place = config
    *parents, last = path.split(".")
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return config


@pytest.mark.parametrize(
    "path", sorted([ROOT / "config.yaml", *(ROOT / "studies").glob("*.yaml")]), ids=lambda p: p.name
)
def test_published_studies_are_valid_and_name_themselves(path):
    assert read_study(yaml.safe_load(path.read_text())).study


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "markets.planted.source.sgnal",
            1,
            "markets.planted.source.sgnal: there is no such key; did you mean 'signal'?",
        ),
        (
            "ensembles.planted.models.lgb.lerning_rate",
            0.2,
            "ensembles.planted.models.lgb.lerning_rate: there is no such key; did you mean 'learning_rate'?",
        ),
        ("enssembles", {}, "enssembles: there is no such key; did you mean 'ensembles'?"),
        ("ensembles.planted.folds.trian", 3, "did you mean 'train'?"),
        ("ensembles.planted.models.lgb.learning_rate", "fast", "ensembles.planted.models.lgb.learning_rate"),
        ("ensembles.planted.models.lgb.learning_rate", 3, "less than or equal to 1 (value: 3)"),
        ("ensembles.planted.market", "plantd", "there is no market 'plantd' (markets: planted, sp500)"),
        ("ensembles.planted.targets", ["OMEGA"], "ensembles.planted.targets: market 'planted' has no symbol 'OMEGA'"),
        ("ensembles.planted.models.lgb.features", ["technicl"], "no feature set 'technicl'"),
        ("ensembles.planted.timeframes", {"1h": {"folds": {"tset": 3}}}, "timeframes.1h.folds.tset"),
        ("ensembles.planted.timeframes", {"7h": {}}, "a timeframe divides a day: for example 15m"),
        ("ensembles.planted.timeframes", {"30m": {}}, "30m is no multiple of the market's 1h"),
        ("ensembles.planted.folds.validation", 8000, "is the tail of train"),
        ("ensembles.planted.folds.step", 100, "would predict rows more than once"),
        ("ensembles.planted.meta.extra", ["hvol_21"], "ensembles.planted.meta.extra: no feature 'hvol_21'"),
        (
            "ensembles.planted.models",
            {"ensemble": {"kind": "lightgbm"}},
            "'ensemble' is the name of a file or folder of every stack",
        ),
        ("markets.planted.unseen", 1, "'DELTA' is one of the market's unseen symbols"),
        ("markets.planted.source.end", "2020-01-01", "must be after start"),
        ("markets.planted.symbols", ["A/B"], "use letters, digits"),
        ("markets.planted.source", {"kind": "files"}, "markets.planted.source.path: is required and missing"),
        ("markets.planted.source", {"kind": "flies"}, "markets.planted.source"),
        ("markets.planted.source", {"kind": "binance"}, "needs a start and an end"),
        ("markets.sp500.calendar", "NYSE", "markets.sp500.calendar"),
        ("study", "a/b", "study: a name becomes part of a path"),
    ],
)
def test_mistakes_are_named_in_one_readable_block(path, value, message):
    with pytest.raises(StudyError) as error:
        read_study(changed(path, value))
    assert message in str(error.value)
    assert "For further information" not in str(error.value) and "Traceback" not in str(error.value)


def test_several_mistakes_are_told_at_once():
    config = changed("markets.planted.calender", "fx")
    config["ensembles"]["planted"]["metta"] = {}
    with pytest.raises(StudyError, match="2 mistakes"):
        read_study(config)


def test_the_canonical_form_is_the_same_for_equal_configs():
    config = default()
    shuffled = json.loads(json.dumps(config, sort_keys=True, default=str))
    shuffled["ensembles"]["planted"]["models"]["lgb"]["learning_rate"] = "0.050"
    # models keep the order in which the config names them: it is the order of columns, a part of the result
    shuffled["ensembles"]["planted"]["models"] = {
        name: shuffled["ensembles"]["planted"]["models"][name] for name in config["ensembles"]["planted"]["models"]
    }
    one, other = read_study(config), read_study(shuffled)
    assert one.ensembles["planted"].at("1h").model_dump(mode="json") == other.ensembles["planted"].at("1h").model_dump(
        mode="json"
    )
    assert one.markets["planted"].model_dump(mode="json") == other.markets["planted"].model_dump(mode="json")
    again = read_study(one.model_dump(mode="json"))
    assert again == one


def test_a_timeframe_overrides_what_it_names_and_nothing_else():
    config = changed(
        "ensembles.planted.timeframes", {"1h": {}, "4h": {"folds": {"train": 3000}, "label": {"horizon": 2}}}
    )
    ensemble = read_study(config).ensembles["planted"]
    assert ensemble.at("4h").folds.train == 3000 and ensemble.at("1h").folds.train == 8000
    assert ensemble.at("4h").folds.test == ensemble.at("1h").folds.test
    assert (ensemble.at("4h").label.horizon, ensemble.at("1h").label.horizon) == (2, 5)


def test_a_section_that_is_left_out_is_empty():
    study = read_study({"study": "empty"})
    assert study.markets == {} and study.ensembles == {}


def test_an_ensemble_without_timeframes_uses_its_markets_own():
    study = read_study(changed("ensembles.planted.timeframes", None))
    assert list(study.ensembles["planted"].timeframes) == ["1h"]


def test_the_json_schema_for_editors_is_in_sync_and_named_in_the_first_line():
    assert (ROOT / "resources/study.schema.json").read_text() == schema(), "run `make schema`"
    assert (ROOT / "docs/config.md").read_text() == reference(), "run `make schema`"
    first = (ROOT / "config.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=resources/study.schema.json"


def test_every_key_has_a_default_except_those_only_the_user_knows():
    required = {
        f"{name}.{field}"
        for name, definition in Study.model_json_schema()["$defs"].items()
        for field in definition.get("required", [])
    }
    assert {each for each in required if not each.endswith(".kind")} == {
        "Corpus.parts",
        "Decisions.corpus",
        "Ensemble.market",
        "Ensemble.models",
        "FeatureRows.per_symbol",
        "Files.path",
        "Formulas.samples",
        "Harness.tasks",
        "HeldOut.corpus",
        "Hub.id",
        "Hub.revision",
        "Local.path",
        "Market.source",
        "Market.symbols",
        "Merged.method",
        "Merged.models",
        "Note.agreement",
        "Notes.samples",
        "Pairs.corpus",
        "Phase.easy",
        "Phase.extreme",
        "Phase.hard",
        "Phase.medium",
        "Phase.samples",
        "Preferences.per_symbol",
        "QuestionSet.corpus",
        "Questions.domain",
        "Recipe.base",
        "Recipe.corpus",
        "Rewards.samples",
        "Scratch.corpora",
        "Split.test",
        "TextFiles.path",
        "Trades.per_symbol",
    }


def test_an_environment_variable_that_is_not_set_is_named(monkeypatch):
    """Snakemake would take the rest of `${X}` for a wildcard and find nothing to do."""
    monkeypatch.delenv("NO_SUCH_FOLDER", raising=False)
    source = {"kind": "files", "path": "${NO_SUCH_FOLDER}/bars"}
    found = read_study({"markets": {"mine": {"source": source, "symbols": ["A"]}}})
    with pytest.raises(StudyError, match=r"markets.mine.source.path: '\$\{NO_SUCH_FOLDER\}/bars' names an environment"):
        found.check_environment()
    monkeypatch.setenv("NO_SUCH_FOLDER", "/data")
    found.check_environment()
