import pytest

from scripts.common.dry_run import explain
from scripts.common.errors import StudyError

HEAD = "Building DAG of jobs...\nJob stats:\njob    count\n"


def job(rule, reason, wildcards="", kind="rule"):
    body = f"    input: a\n    reason: {reason}\n    wildcards: {wildcards}\n"
    return f"\n[Sat Nov 21 04:01:00 2026]\n{kind} {rule}:\n{body}"


def params(before, now):
    return f"Params have changed since last execution: Union of exclusive params: before: {before} now: {now} "


def test_nothing_to_be_done():
    assert explain("Nothing to be done (all requested files are present and up to date).").startswith("Nothing")


def test_jobs_are_grouped_by_what_differs_and_followers_are_counted():
    changed = params("{'rounds': 500, 'learning_rate': 0.05}", "{'rounds': 500, 'learning_rate': 0.1}")
    text = (
        HEAD
        + job("train_folds", changed, "model=xgb, block=b000")
        + job("train_folds", changed, "model=xgb, block=b001")
    )
    text += job("assemble_oof", "Input files updated by another job: x", "target=A") + job(
        "all", "Input files updated", ""
    )
    said = explain(text)
    assert said.splitlines() == [
        "3 jobs would run.",
        "  train_folds x 2: xgb b000, xgb b001",
        "      changed: learning_rate 0.05 -> 0.1",
        "What follows from them: assemble_oof",
    ]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("'scripts/a/boosters.py@1'", "'scripts/a/boosters.py@2'", "code of scripts/a/boosters.py"),
        ("['scripts/a/x.py@1', 'numpy==1']", "['scripts/a/x.py@2', 'numpy==1']", "scripts/a/x.py"),
        ("['AAA 2021-06 0f']", "['AAA 2021-06 1e']", "AAA 2021-06"),
        ("'numpy==1'", "'numpy==2'", "numpy==1 -> numpy==2"),
        ("<unreadable", "{", "<unreadable -> {"),
        ("7", "7, 8", "1 params -> 2"),
    ],
)
def test_a_changed_param_is_told_by_what_differs(before, now, said):
    assert f"changed: {said}\n" in explain(HEAD + job("train_folds", params(before, now), "model=lgb"))


def test_missing_files_are_not_listed_one_by_one():
    said = explain(
        HEAD + job("label_bars", "Missing output files: a, b; Input files updated by another job: c", "p=2021")
    )
    assert "      missing output files\n" in said


def test_checkpoints_count_and_many_jobs_are_shortened():
    text = HEAD + "".join(job("plan_folds", "Missing output files: a", f"target={i}", "checkpoint") for i in range(5))
    assert "plan_folds x 5: 0, 1, 2 and 2 more" in explain(text)


def test_what_is_no_dry_run_is_passed_on():
    with pytest.raises(StudyError, match="there is no such key"):
        explain("WorkflowError:\nthe config has one mistake:\n  sed: there is no such key")
