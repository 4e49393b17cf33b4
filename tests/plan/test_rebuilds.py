"""Precise rebuilds (docs/rebuilds.md): edit a built checkout, plan, and compare with the expected set of jobs.

A missing job and a superfluous one both fail. After data edits the jobs that ran are compared: before an ingest nobody
knows which months it will change.
"""

import copy
import json
import os
import re
import shutil

import pytest

from tests.planning import plan
from tests.tiny import MONTHS, STUDY, bars, jobs_run, make_checkout, snakemake, write_bars, write_csv, write_study

STACK = "up AAA 1h"
MODELS = {"lgb": "txt", "xgb": "ubj", "cross": "txt"}
BLOCKS = ["b000", "b001", "b002", "b003"]

# The report reads files of all stages: what follows a change of a stack, of a market, and of anything at all.
FIGURES = [f"{rule} {STACK}" for rule in ("draw_auc", "draw_calibration", "draw_correlation", "draw_importance")]
PAGES = ["tabulate_gates", "summarize_study", "write_manifest", "tabulate_failures", "tabulate_times"]


def trained(model, blocks=BLOCKS):
    return [f"train_folds {block} up {model} AAA 1h" for block in blocks]


def finished(model):
    return [f"fit_final up {MODELS[model]} {model} AAA 1h", f"export_onnx up {model} AAA 1h"]


def after_training(models):
    """What follows when some models were trained again."""
    jobs = [each for model in models for each in finished(model)]
    rules = ["assemble_oof", "measure_diversity", "train_meta", "score_holdout", "compose_onnx", "verify_onnx"]
    jobs += [f"{rule} {STACK}" for rule in [*rules, "gate_ensemble", "measure_importance"]]
    return jobs + FIGURES + PAGES


def retrained(*models):
    return sorted([each for model in models for each in trained(model)] + after_training(models))


def edit(checkout, file, old, new, count=1):
    path = checkout / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new, count))


def set_key(checkout, path, value):
    study = copy.deepcopy(STUDY)
    *parents, last = path.split(".")
    place = study
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    write_study(checkout, study)


def add_statement(checkout, file):
    """An edit of code that changes what a module is, not what it does."""
    with (checkout / file).open("a") as module:
        module.write("\nEDITED = True\n")


# --- nothing


def test_a_built_checkout_plans_nothing_twice_and_elsewhere(checkout):
    assert plan(checkout) == []
    assert plan(checkout) == []


def test_touching_every_file_plans_nothing(checkout):
    for folder, _, names in os.walk(checkout):
        if ".snakemake" not in folder:
            for name in names:
                os.utime(os.path.join(folder, name))
    assert plan(checkout) == []


def test_comments_and_docstrings_plan_nothing(checkout):
    edit(checkout, "scripts/ensemble/boosters.py", '"""', '"""Other words. ')
    with (checkout / "scripts/common/job.py").open("a") as module:
        module.write("# a comment\n")
    edit(checkout, "rules/ensemble.smk", "rule train_folds:", "# a comment\nrule train_folds:")
    assert plan(checkout) == []


def test_key_order_number_format_and_written_out_defaults_plan_nothing(checkout):
    study = json.loads(json.dumps(STUDY))
    study = dict(reversed(study.items()))
    study["ensembles"]["up"]["folds"] = dict(reversed(study["ensembles"]["up"]["folds"].items()))
    study["ensembles"]["up"]["models"]["lgb"] |= {"learning_rate": "0.050", "patience": 20.0}
    study["markets"]["made"]["calendar"] = "always"
    study["device"] = "cpu"
    write_study(checkout, study)
    assert plan(checkout) == []


def test_command_line_strings_are_the_same_as_numbers(checkout):
    assert plan(checkout, config={"seed": "7"}) == []


# --- code and packages


def test_shared_booster_code_reruns_the_booster_jobs_and_what_follows(checkout):
    add_statement(checkout, "scripts/ensemble/boosters.py")
    planned = plan(checkout)
    assert [each for each in planned if each.startswith("train_folds")] == sorted(
        each for model in MODELS for each in trained(model)
    )
    assert not [
        each for each in planned if re.match("ingest|survey|summarize_market|compute|label|plan_folds|draw_q", each)
    ]
    assert set(planned) == set(retrained(*MODELS))


@pytest.mark.parametrize(("kind", "models"), [("lightgbm", ["lgb", "cross"]), ("xgboost", ["xgb"])])
def test_the_code_of_one_kind_leaves_the_others_alone(checkout, kind, models):
    add_statement(checkout, f"scripts/ensemble/models/{kind}.py")
    assert plan(checkout) == retrained(*models)


def test_a_package_pin_reruns_what_imports_it(checkout):
    edit(checkout, "envs/requirements.txt", "xgboost==3.2.0", "xgboost==3.2.1")
    assert plan(checkout) == retrained("xgb")


def test_a_feature_set_reruns_itself_and_the_models_that_use_it(checkout):
    add_statement(checkout, "scripts/market/features/cross_asset.py")
    planned = plan(checkout)
    panels = [each for each in planned if each.startswith("compute")]
    assert panels and all(each.startswith("compute_panel") for each in panels)
    assert set(planned) - set(panels) == set(retrained("cross"))


def test_the_gate_reruns_alone(checkout):
    add_statement(checkout, "scripts/ensemble/gates.py")
    gated = [f"gate_ensemble {STACK}", "gate_ensemble up AAA 4h", f"draw_auc {STACK}", f"draw_calibration {STACK}"]
    assert set(plan(checkout)) == {*gated, *PAGES}


def test_an_unused_kind_reruns_nothing(checkout):
    for file in ("sources/binance.py", "sources/simulate.py"):
        add_statement(checkout, f"scripts/market/{file}")
    add_statement(checkout, "scripts/ensemble/metas/mlp.py")
    assert plan(checkout) == []


def test_a_new_feature_set_reruns_nothing_until_it_is_used(checkout):
    shutil.copy(checkout / "scripts/market/features/technical.py", checkout / "scripts/market/features/another.py")
    assert plan(checkout) == []


# --- config


def test_one_hyper_parameter_reruns_one_model(checkout):
    set_key(checkout, "ensembles.up.models.xgb.learning_rate", 0.1)
    assert plan(checkout) == retrained("xgb")


def test_a_new_model_trains_itself_and_the_stack(checkout):
    set_key(checkout, "ensembles.up.models.extra", {"kind": "xgboost", "rounds": 5})
    new = ["fit_final up ubj extra AAA 1h", "export_onnx up extra AAA 1h", *trained("extra")]
    assert set(plan(checkout)) == {*new, *after_training([])}


def test_a_gate_threshold_reruns_the_gate(checkout):
    set_key(checkout, "ensembles.up.gates.min_auc", 0.6)
    gated = [f"gate_ensemble {STACK}", f"draw_auc {STACK}", f"draw_calibration {STACK}"]
    assert set(plan(checkout)) == {*gated, *PAGES}


def test_the_seed_does_not_reach_what_does_not_draw(checkout):
    set_key(checkout, "seed", 8)
    assert {each.split()[0] for each in plan(checkout)}.isdisjoint({"ingest_symbol", "compute_features", "label_bars"})
    assert set(retrained(*MODELS)) == set(plan(checkout))


def test_block_size_retrains_all(checkout):
    set_key(checkout, "ensembles.up.folds.per_job", 7)
    ran = jobs_run(snakemake(checkout))
    assert {each.split()[3] for each in ran if each.startswith("train_folds")} == set(MODELS)


def test_the_meta_model_leaves_the_bases_alone(checkout):
    set_key(checkout, "ensembles.up.meta.C", 0.5)
    rules = [
        "train_meta",
        "score_holdout",
        "gate_ensemble",
        "compose_onnx",
        "verify_onnx",
        "draw_auc",
        "draw_calibration",
    ]
    assert set(plan(checkout)) == {*(f"{rule} {STACK}" for rule in rules), *PAGES}


# --- data: what ran is compared


def ran_after(checkout):
    ran = jobs_run(snakemake(checkout))
    assert plan(checkout) == []
    return ran


def correct(checkout, symbol, hour):
    """Change the volume of one bar of a symbol's source."""
    frame = bars(symbol)
    frame.loc[frame["timestamp"].dt.strftime("%Y-%m-%d %H") == hour, "volume"] *= 1.01
    write_csv(checkout, symbol, frame)


def of(rule, ran):
    return [each for each in ran if each.split()[0] == rule]


def test_an_appended_month_reruns_what_contains_it_or_looks_back_at_it(checkout):
    study = copy.deepcopy(STUDY)
    for symbol in ("AAA", "BBB", "CCC"):
        write_bars(checkout, symbol, MONTHS.append(MONTHS[-1:] + 1))
    write_study(checkout, study)
    ran = ran_after(checkout)
    assert of("ingest_symbol", ran) == [f"ingest_symbol made {symbol}" for symbol in ("AAA", "BBB", "CCC")]
    assert of("compute_features", ran) == ["compute_features technical made 2021-10 AAA 1h"]
    assert of("compute_panel", ran) == ["compute_panel cross_asset made 2021-10 1h"]
    # the hold-out's start moves on by a month: the label of August's last rows may now be known
    assert set(of("label_bars", ran)) <= {f"label_bars up 2021-{month} AAA 1h" for month in ("07", "08", "09", "10")}
    blocks = {each.split()[1] for each in of("train_folds", ran)}
    assert "b000" not in blocks and "b001" not in blocks and blocks


def test_a_correction_of_a_peer_leaves_the_other_symbols_features_alone(checkout):
    correct(checkout, "BBB", "2021-06-15 12")
    ran = ran_after(checkout)
    assert of("ingest_symbol", ran) == ["ingest_symbol made BBB"]
    assert of("compute_features", ran) == [] and of("label_bars", ran) == []
    # the month itself, and the one that looks back at it
    assert of("compute_panel", ran) == [f"compute_panel cross_asset made 2021-{month} 1h" for month in ("06", "07")]
    assert {each.split()[3] for each in of("train_folds", ran)} == {"cross"}


def test_a_correction_of_an_old_month_leaves_later_blocks_alone(checkout):
    correct(checkout, "AAA", "2021-01-10 12")
    ran = ran_after(checkout)
    assert of("compute_features", ran) == [f"compute_features technical made 2021-{m} AAA 1h" for m in ("01", "02")]
    assert of("label_bars", ran) == ["label_bars up 2021-01 AAA 1h"]
    # b001 trains on February, whose first bars look back at January; b002 begins in April
    assert {each.split()[1] for each in of("train_folds", ran)} == {"b000", "b001"}


def test_a_rewritten_source_with_equal_bars_stops_at_the_survey(checkout):
    path = checkout / "data/AAA.csv"
    path.write_text(path.read_text() + "\n")
    ran = jobs_run(snakemake(checkout))
    assert {each.split()[0] for each in ran} <= {
        "ingest_symbol",
        "survey_market",
        "summarize_market",
        "draw_quality",
        *PAGES,
    }
    assert of("ingest_symbol", ran) == ["ingest_symbol made AAA"]


@pytest.mark.parametrize(
    ("lost", "job"),
    [
        ("market/made/bars/AAA.parquet", "ingest_symbol made AAA"),
        ("market/made/manifest.json", "survey_market made"),
        ("ensemble/up/AAA/1h/folds.json", "plan_folds up AAA 1h"),
        ("market/made/features/technical/1h/AAA/2021-03.parquet", "compute_features technical made 2021-03 AAA 1h"),
        ("ensemble/up/AAA/1h/labels/2021-03.parquet", "label_bars up 2021-03 AAA 1h"),
        ("ensemble/up/AAA/1h/lgb/folds/b001.index.json", "train_folds b001 up lgb AAA 1h"),
        ("ensemble/up/AAA/1h/oof.parquet", "assemble_oof up AAA 1h"),
        ("ensemble/up/AAA/1h/onnx/xgb.onnx", "export_onnx up xgb AAA 1h"),
    ],
)
def test_a_deleted_artifact_is_missed(checkout, lost, job):
    path = checkout / "results/tiny" / lost
    path.unlink()
    assert job in plan(checkout)


def test_the_hold_out_is_read_by_one_rule(checkout):
    """By ancestry: no job that trains, stacks or exports has a file of the hold-out's periods above it."""
    from tests.planning import workflow

    holdout = json.loads((checkout / "results/tiny/ensemble/up/AAA/1h/folds.json").read_text())["holdout"]
    first = holdout["start"][:7]
    with workflow(checkout) as flow:
        readers = set()
        for job in flow.dag.jobs:
            above = {str(path) for path in job.input}
            for ancestor in flow.dag.bfs(flow.dag._dependencies, job):
                above |= {str(path) for path in ancestor.input}
            periods = {
                match[1]
                for path in above
                if (match := re.search(r"/(?:labels|AAA|panel)/(\d{4}-\d{2})\.parquet", path))
            }
            if any(period >= first for period in periods):
                readers.add(job.rule.name)
    allowed = {"score_holdout", "gate_ensemble", "all", *(each.split()[0] for each in [*FIGURES, *PAGES])}
    assert "score_holdout" in readers
    assert readers <= allowed, readers - allowed


# --- more than one


def test_another_target_leaves_the_first_alone(checkout):
    set_key(checkout, "ensembles.up.targets", ["AAA", "BBB"])
    ran = ran_after(checkout)
    own = [each for each in ran if "BBB" in each.split() or "AAA" in each.split()]
    assert own and all("BBB" in each.split() for each in own)
    assert of("compute_panel", ran) == []
    assert (checkout / "results/tiny/ensemble/up/BBB/1h/onnx/ensemble.onnx").is_file()
    assert (checkout / "results/tiny/ensemble/up/BBB/4h/gate.json").is_file()


def test_archives_are_planned_by_month(tmp_path):
    source = {"kind": "binance", "base_url": "http://127.0.0.1:9", "market": "um"}
    span = {"start": "2021-11-15", "end": "2022-02-01"}
    market = {"source": source, "symbols": ["AAA", "BBB"], "span": span}
    folder = make_checkout(tmp_path / "checkout", {"study": "tiny", "markets": {"coins": market}})
    planned = plan(folder)
    months = ("2021-11", "2021-12", "2022-01")
    expected = [f"fetch_archive coins {month} {symbol}" for month in months for symbol in ("AAA", "BBB")]
    assert sorted(of("fetch_archive", planned)) == sorted(expected)
    assert of("ingest_symbol", planned) == ["ingest_symbol coins AAA", "ingest_symbol coins BBB"]
