"""The tables say what the files say: verdicts, reasons, sums."""

import pytest

from scripts.common.atomic import write_json
from scripts.report import html_tables, summarize_study, tabulate_gates, tabulate_times
from tests.report import study_files as made

STACKS = [["up", "AAA", "1h"], ["up", "AAA", "4h"], ["down", "AAA", "1h"]]


@pytest.fixture
def verdicts():
    """The metrics and gates of an accepted, a skipped and a refused stack."""
    pairs = [made.figures(), made.skipped(), made.figures(signal=0.0, test=False)]
    return {"metrics": [pair[0] for pair in pairs], "gates": [pair[1] for pair in pairs]}


@pytest.fixture
def gate_paths(tmp_path, verdicts):
    output = {"html": "gates.html", "csv": "gates.csv"}
    return made.job(tmp_path, tabulate_gates.main, verdicts, output, params={"stacks": STACKS})


def test_the_gate_table_has_a_row_per_stack_with_every_rule(verdicts, gate_paths):
    page = made.Cells(gate_paths["html"])
    accepted, skipped, refused = page.rows[1:4]
    rules = verdicts["gates"][0]["rules"]
    assert len(accepted) == len(page.rows[0]) == 4 + len(rules)
    assert accepted[:2] == ["up · AAA · 1h", "accepted"] and refused[:2] == ["down · AAA · 1h", "refused"]
    score = verdicts["metrics"][0]["oof"]["scores"]["stack"]
    assert accepted[2].startswith(f"{score['auc']:.3f} [{score['low']:.3f}, {score['high']:.3f}] | n 5,500, effective")
    assert "✓ 6,000 | ≥ 2,000" in accepted and "no hold-out is configured" in refused
    assert [cell for cell in refused if "✗" in cell and "≥ 0.55" in cell]
    assert "3 stacks: 1 accepted, 1 refused, 1 skipped." in page.text


def test_a_skipped_stack_is_in_the_table_with_its_reason(gate_paths):
    row = made.Cells(gate_paths["html"]).rows[2]
    assert row == ["up · AAA · 4h", "skipped", "600 out-of-fold rows, 1000 needed to stack"]
    record = made.csv_rows(gate_paths["csv"])[1]
    assert (record["verdict"], record["planned_oof_rows"], record["oof_auc"]) == ("skipped", "600", "")
    assert record["reason"] == "600 out-of-fold rows, 1000 needed to stack"


def test_the_reason_of_a_refusal_is_told_and_the_csv_has_all_digits(verdicts, gate_paths):
    assert verdicts["gates"][2]["reason"] in made.Cells(gate_paths["html"]).text
    record = made.csv_rows(gate_paths["csv"])[0]
    scores = verdicts["metrics"][0]
    assert float(record["oof_auc"]) == scores["oof"]["scores"]["stack"]["auc"]
    assert float(record["test_auc_low"]) == scores["test"]["scores"]["stack"]["low"]
    assert (record["min_auc_threshold"], record["min_auc_passed"]) == ("0.55", "True")


def test_a_rule_without_a_limit_and_one_that_is_not_known_here_are_shown(tmp_path, verdicts):
    gate = verdicts["gates"][0]
    gate["rules"][1] |= {"threshold": 0, "passed": True}
    gate["rules"].append(dict(gate["rules"][0], name="a_new_rule"))
    output = {"html": "gates.html", "csv": "gates.csv"}
    paths = made.job(tmp_path, tabulate_gates.main, verdicts, output, params={"stacks": STACKS})
    page = made.Cells(paths["html"])
    assert "not limited" in page.rows[1] and page.rows[0][-1] == "a_new_rule"
    assert made.csv_rows(paths["csv"])[0]["a_new_rule_threshold"] == "2000"


def test_a_study_without_ensembles_has_an_empty_table(tmp_path):
    output = {"html": "gates.html", "csv": "gates.csv"}
    paths = made.job(tmp_path, tabulate_gates.main, {"metrics": [], "gates": []}, output, params={"stacks": []})
    assert "0 stacks: none." in made.Cells(paths["html"]).text and made.csv_rows(paths["csv"]) == []


def summary(folder, verdicts, **params):
    _, quality, metadata, manifest = made.market()
    contents = {"manifests": [manifest], "quality": [quality], "metadata": [metadata]}
    contents |= verdicts | {"folds": [made.plan(), made.plan(hours=2000), made.plan(holdout=0)]}
    fixed = {"title": "A study", "note": "", "study": "made", "sources": {"made": "simulate"}, "stacks": STACKS}
    return made.Cells(made.job(folder, summarize_study.main, contents, "overview.html", params=fixed | params))


def test_the_overview_says_in_plain_words_what_was_concluded(tmp_path, verdicts):
    page = summary(tmp_path, verdicts, note="Made & <kept>.")
    accepted, skipped, refused = page.rows[1:4]
    score = verdicts["metrics"][0]["oof"]["scores"]["stack"]
    assert f"AUC {score['auc']:.3f} [{score['low']:.3f}, {score['high']:.3f}] on 5,500 out-of-fold rows" in accepted[2]
    assert "hold-out rows" in accepted[2] and "Better than noise (p = " in accepted[2]
    assert skipped[1:] == ["skipped", "Not trained: 600 out-of-fold rows, 1000 needed to stack."]
    assert "No hold-out is configured." in refused[2] and "Refused: " in refused[2]
    assert "Made & <kept>." in page.text and "What must not be compared" in page.text


def test_the_overview_lists_the_markets_with_the_oracle_and_what_was_kept_out(tmp_path, verdicts):
    page = summary(tmp_path, verdicts)
    row = next(row for row in page.rows if row[0] == "made")
    kept = f"{made.market()[1]['rows']['kept']:,}"
    assert row[1:4] == ["simulate", "AAA, BBB | unseen: BBB", "1h, always"]
    assert row[6:] == [kept, "2", "1 error, 1 warning", "0.615"]


def benchmark(folder, name, *lines):
    path = folder / "out" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    rows = [f"{s}\t0:00:01\t{rss}\t-\t-\t-\t0.0\t0.0\t0.0\t{cpu}" for s, rss, cpu in lines]
    path.write_text("\n".join([head, *rows]) + "\n")


def test_times_are_summed_by_rule_with_a_total(tmp_path):
    benchmark(tmp_path, "train_folds/up/AAA/1h/lgb/b000", ("10.0", "200.0", "8.0"))
    benchmark(tmp_path, "train_folds/up/AAA/1h/lgb/b001", ("30.0", "300.0", "25.0"))
    benchmark(tmp_path, "train_folds/up/AAA/1h/xgb/b000", ("20.0", "-", "NA"))
    benchmark(tmp_path, "tabulate_gates", ("0.5", "-", "0.1"))
    latency = {"onnx": {"p50_ms": 0.051, "p95_ms": 0.07}, "native": {"p50_ms": 0.308, "p95_ms": 0.4}}
    content = {"schema": "quantmake/onnx_latency/1", "threads": 1, "batch": {"1": {"repetitions": 1000, **latency}}}
    write_json(tmp_path / "out/onnx_latency/up/AAA/1h.json", content)
    output = {"html": "times.html", "csv": "times.csv", "attempts": "attempts.csv"}
    paths = made.job(tmp_path, tabulate_times.main, {}, output, params={"benchmarks": tmp_path / "out"})
    rows = made.csv_rows(paths["csv"])
    assert [row["rule"] for row in rows] == ["train_folds", "tabulate_gates", "all"]
    assert list(rows[0].values())[1:] == ["3", "60.0", "20.0", "30.0", "33.0", "300.0"]
    assert (rows[2]["jobs"], float(rows[2]["seconds"]), float(rows[2]["cpu_seconds"])) == ("4", 60.5, 33.1)
    page = made.Cells(paths["html"])
    assert ["train_folds", "3", "60.0", "20.0", "30.0", "33.0", "300"] in page.rows
    assert ["up · AAA · 1h", "1", "0.051", "0.070", "0.308", "0.400", "1,000"] in page.rows
    assert ["tabulate_gates", "1", "0.5", "0.5", "0.5", "0.1", "–"] in page.rows


def test_a_study_without_benchmarks_has_an_empty_time_table(tmp_path):
    output = {"html": "times.html", "csv": "times.csv", "attempts": "attempts.csv"}
    paths = made.job(tmp_path, tabulate_times.main, {}, output, params={"benchmarks": tmp_path / "out"})
    assert made.csv_rows(paths["csv"]) == [] and "Time per rule" in made.Cells(paths["html"]).text


def test_text_from_files_is_escaped():
    page = html_tables.page("<a>", html_tables.table(["x"], [["<script>alert(1)</script>"], [None]]))
    assert "<script" not in page and "&lt;script&gt;" in page and "<title>&lt;a&gt;</title>" in page
