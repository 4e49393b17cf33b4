"""The page of failed trainings tells what happened, where, and what to do."""

from scripts.common.job import Job
from scripts.common.training import failures
from scripts.common.training.health import Finding
from scripts.report import tabulate_failures


def make(folder):
    page = folder / "benchmarks" / "failures.html"
    tabulate_failures.main(Job(output={"html": str(page)}, params={"study": str(folder)}))
    return page.read_text()


def test_class_job_step_evidence_and_remedy_are_told_and_open_ones_come_first(tmp_path):
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(b"x")
    found = Finding("out_of_memory", None, "stop", {"error": "OutOfMemoryError"}, "lower batch")
    failures.write(tmp_path, "train_dpo", "v1", found)
    failures.resolve(tmp_path, "train_dpo", "v1")
    evidence = {"best_smoothed_loss": 0.123456789, "non_finite": "<b>loss</b>", "last_loss": None}
    found = Finding("non_finite", 1234, "stop", evidence, "lower learning_rate from 0.0002 to 0.0001")
    failures.write(tmp_path, "train_sft", "forex_v1/A", found, [weights], 1200)
    page = make(tmp_path)
    assert "2 trainings failed: 1 not resolved, 1 resolved" in page
    for said in (
        "numbers that are not finite",
        "forex_v1/A",
        "1,234",
        "best smoothed loss: 0.123457",
        "&lt;b&gt;loss",
        "last loss: not known",
        "lower learning_rate from 0.0002 to 0.0001",
        "step 1200: adapter_model.safetensors",
    ):
        assert said in page
    assert page.index("train_sft") < page.index("train_dpo")
    assert '<span class="failed">no</span>' in page and '<span class="met">yes</span>' in page
    assert make(tmp_path) == page


def test_a_study_without_failures_says_so(tmp_path):
    assert "No training failed." in make(tmp_path)
