"""Rebuilds of the language stage that are run; what an edit reruns stands in llm_edits.py."""

import shutil
from pathlib import Path

import pytest

from tests.plan.edits import key
from tests.planning import plan
from tests.tiny import CHAT, contents, jobs_run, make_checkout, snakemake


@pytest.fixture
def checkout(chatted, tmp_path):
    """A copy of the built checkout of language models, to edit."""
    return Path(shutil.copytree(chatted, tmp_path / "checkout", symlinks=True))


def test_a_deleted_file_of_a_model_is_made_again_and_stops_there(checkout):
    """The same bytes come back, so nothing after the merge is trained, converted or asked again."""
    before = contents(checkout)
    shutil.rmtree(checkout / "results/tiny/llm/student/merged")
    assert "merge_adapter student" in plan(checkout)
    ran = jobs_run(snakemake(checkout))
    assert not [job for job in ran if job.startswith(("train_", "build_base", "score_reference"))], ran
    assert contents(checkout) == before
    assert plan(checkout) == []


def test_the_manifest_knows_what_is_in_model_folders(checkout):
    from scripts.common.errors import StudyError
    from scripts.report import verify_results

    study = checkout / "results/tiny"
    verify_results.verify(study)
    (study / "llm/student/merged/config.json").write_text("{}")
    with pytest.raises(StudyError, match="merged/config.json"):
        verify_results.verify(study)


def test_a_rebuild_makes_the_files_of_a_build_at_once_on_other_thread_counts(checkout, tmp_path):
    """Adapters, merged weights, GGUF files and every number about them: equal byte for byte."""
    edit, again = key("recipes.student.dpo.beta", 0.2), make_checkout(tmp_path / "again", CHAT)
    edit(checkout)
    ran = jobs_run(snakemake(checkout))
    assert "train_dpo student" in ran and not [job for job in ran if job.startswith(("train_sft", "build_base"))]
    edit(again)
    rules = ("train_sft", "train_dpo", "merge_adapter", "convert_gguf", "evaluate_llm", "verify_gguf")
    snakemake(again, "--set-threads", "build_base=1", *(f"{rule}=2" for rule in rules))
    rebuilt, built = contents(checkout), contents(again)
    assert sorted(rebuilt) == sorted(built)
    assert [name for name in built if rebuilt[name] != built[name]] == []
