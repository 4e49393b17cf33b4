import stat
from pathlib import Path

import pytest

from scripts.common.atomic import write_json
from scripts.common.attempts import Attempt
from scripts.report import accounting, attempt_table, tabulate_times
from scripts.report.accounting import Allocation
from tests.report import study_files as made


def attempt(start, seconds=None, outcome="done", slurm_job=None, peak_mb=None, **request):
    end = None if seconds is None else start + seconds
    return Attempt(start, end, None if end is None else outcome, "node1", slurm_job, request, peak_mb)


def table(accounts, peaks=(), allocations=()):
    rows = attempt_table.totals(accounts, dict(peaks), dict(allocations))
    return {row[0]: dict(zip(attempt_table.COLUMNS, row, strict=True)) for row in rows}


def test_attempts_are_counted_and_lost_time_is_added_up():
    found = table(
        {
            "train_sft/r/a": [attempt(0, 50, "MemoryError"), attempt(100, 30)],
            "train_sft/r/b": [attempt(0, 20)],
            "label_bars/x": [attempt(0, 1)],
        }
    )
    assert list(found) == ["label_bars", "train_sft", "all"]
    sft = found["train_sft"]
    assert [sft[each] for each in ("jobs", "attempts", "failed", "killed")] == [2, 3, 1, 0]
    assert (sft["run_s"], sft["lost_s"], sft["gpu_hours"]) == (50, 50, 0)
    assert (found["all"]["jobs"], found["all"]["attempts"], found["all"]["run_s"]) == (3, 4, 51)


def test_what_nobody_measured_is_none_and_a_dash():
    found = table({"train_sft/r/a": [attempt(0, gpu=1), attempt(10, 30, gpu=1)]})["train_sft"]
    unknown = ("queue_median_s", "queue_max_s", "lost_s", "peak_mb", "request_mb", "peak_share", "gpu_hours")
    assert {name: found[name] for name in unknown} == dict.fromkeys(unknown)
    assert (found["killed"], found["run_s"]) == (1, 30)


def test_the_accounts_of_slurm_tell_the_queue_and_when_a_killed_job_ended():
    tries = [attempt(1000, gpu=2, slurm_job="7"), attempt(2000, 3600, gpu=2, slurm_job="8")]
    of_slurm = {"7": Allocation(900, 990, 1500), "8": Allocation(1600, 1630, None)}
    found = table({"train_sft/r/a": tries}, allocations=of_slurm)["train_sft"]
    assert (found["queue_median_s"], found["queue_max_s"]) == (60, 90)
    assert found["lost_s"] == 500 and found["gpu_hours"] == pytest.approx(2 * (500 + 3600) / 3600)


def test_jobs_of_one_allocation_waited_once():
    together = {f"label_bars/{name}": [attempt(0, 1, slurm_job="7")] for name in "abc"}
    together["label_bars/d"] = [attempt(0, 1, slurm_job="8")]
    of_slurm = {"7": Allocation(0, 10, 20), "8": Allocation(0, 40, 50)}
    assert table(together, allocations=of_slurm)["label_bars"]["queue_median_s"] == 25


def test_the_job_nearest_to_its_request_is_shown():
    found = table(
        {
            "label_bars/a": [attempt(0, 1, peak_mb=300, mem_mb=1000)],
            "label_bars/b": [attempt(0, 1, "MemoryError", peak_mb=990, mem_mb=1000), attempt(5, 1, mem_mb=2000)],
            "label_bars/c": [attempt(0, 1, peak_mb=90, mem_mb=500)],
        },
        peaks={"label_bars/a": 280, "label_bars/b": 700},
    )["label_bars"]
    assert (found["peak_mb"], found["request_mb"], found["peak_share"]) == (700, 2000, 0.35)


def fake_sacct(folder, monkeypatch, body):
    program = folder / "sacct"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_accounting_is_asked_once_for_all_jobs(tmp_path, monkeypatch):
    answer = 'echo "$SLURM_TIME_FORMAT $*" >> asked; printf "7|100|160|Unknown\\n8|5|6|9\\n"'
    monkeypatch.chdir(tmp_path)
    fake_sacct(tmp_path, monkeypatch, answer)
    found = accounting.allocations(["8", "7", "8"])
    assert found == {"7": Allocation(100, 160, None), "8": Allocation(5, 6, 9)}
    assert found["7"].queued == 60 and Allocation(None, 3, 4).queued is None
    asked = Path("asked").read_text().splitlines()
    assert len(asked) == 1 and asked[0].startswith("%s ") and asked[0].endswith("-j 7,8")


@pytest.mark.parametrize("body", ["echo Slurm accounting storage is disabled >&2; exit 1", "sleep 5"])
def test_accounting_that_is_off_or_does_not_answer_tells_nothing(tmp_path, monkeypatch, body):
    monkeypatch.setattr(accounting, "PATIENCE", 0.2)
    fake_sacct(tmp_path, monkeypatch, body)
    assert accounting.allocations(["7"]) == {}


def test_without_slurm_nobody_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert accounting.allocations(["7"]) == {}


def test_the_page_of_times_shows_the_attempts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place, lines in {
        "train_sft/r/a": [("a", 0, 10, 900), ("b", 20, 80, 400)],
        "tabulate_times": [("c", 90, None, None)],
    }.items():
        path = Path(f".work/{tmp_path.name}/attempts/{place}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, start, end, peak in lines:
            write_json(
                path.with_suffix(".part"), {"attempt": name, "start": start, "host": "n", "request": {"mem_mb": 1000}}
            )
            text = " ".join(path.with_suffix(".part").read_text().split()) + "\n"
            if end:
                outcome = "done" if name == "b" else "MemoryError"
                text += f'{{"attempt": "{name}", "end": {end}, "outcome": "{outcome}", "peak_mb": {peak}}}\n'
            path.write_text((path.read_text() if path.exists() else "") + text)
    output = {"html": "times.html", "csv": "times.csv", "attempts": "attempts.csv"}
    params = {"benchmarks": str(tmp_path / "benchmarks")}
    paths = made.job(tmp_path, tabulate_times.main, {}, output, params=params)
    page, rows = made.Cells(paths["html"]), made.csv_rows(paths["attempts"])
    assert [row["rule"] for row in rows] == ["train_sft", "all"]  # the job that makes the table has not ended
    assert rows[0]["attempts"] == "2" and rows[0]["queue_max_s"] == "" and rows[0]["peak_share"] == "0.4"
    cells = ["train_sft", "1", "2", "1", "0", "–", "–", "60", "10", "400", "1,000", "40%", "0.00"]
    assert cells in page.rows


def test_the_tiny_study_has_its_attempts_counted(built):
    rows = {row["rule"]: row for row in made.csv_rows(built / "results/tiny/benchmarks/attempts.csv")}
    folds = rows["train_folds"]
    blocks = len(list(built.glob("results/tiny/ensemble/*/*/*/*/folds/*.index.json")))
    assert int(folds["jobs"]) == int(folds["attempts"]) == blocks > 0
    assert (folds["failed"], folds["killed"], folds["queue_max_s"]) == ("0", "0", "")
    assert 100 < float(folds["peak_mb"]) < float(folds["request_mb"])
    assert float(folds["run_s"]) > 0 and rows["all"]["gpu_hours"] == "0.0"
