"""Rebuilds that are run, and laws of all plans; what an edit reruns stands in ensemble_edits.py (docs/rebuilds.md)."""

import copy
import json
import re

from tests.plan import ensemble_edits
from tests.plan.edits import difference
from tests.planning import plan
from tests.tiny import STUDY, jobs_run, make_checkout, snakemake, write_study

STACK = "up AAA 1h"

# The report reads files of all stages: what follows a change of a stack, of a market, and of anything at all.
FIGURES = [f"{rule} {STACK}" for rule in ("draw_auc", "draw_calibration", "draw_correlation", "draw_importance")]
PAGES = ["tabulate_gates", "summarize_study", "write_manifest", "tabulate_failures", "tabulate_times"]


def set_key(checkout, path, value):
    study = copy.deepcopy(STUDY)
    *parents, last = path.split(".")
    place = study
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    write_study(checkout, study)


# --- nothing


def test_a_built_checkout_plans_nothing_twice_and_elsewhere(checkout):
    assert plan(checkout) == []
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


# --- data: what ran is compared


def ran_after(checkout):
    ran = jobs_run(snakemake(checkout))
    assert plan(checkout) == []
    return ran


def of(rule, ran):
    return [each for each in ran if each.split()[0] == rule]


def test_an_appended_month_runs_what_the_table_says(checkout):
    edit = next(each for each in ensemble_edits.DATA if each.name == "a month more")
    edit.change(checkout)
    assert not difference(edit.reruns, set(ran_after(checkout)))


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


def test_lost_bars_are_missed(checkout):
    """What follows is known after the ingest alone: before it, a dry run names all that might."""
    (checkout / "results/tiny/market/made/bars/AAA.parquet").unlink()
    assert "ingest_symbol made AAA" in plan(checkout)


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
