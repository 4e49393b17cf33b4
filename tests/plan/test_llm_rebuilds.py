"""Precise rebuilds of the language stage: one changed setting reruns its own stage of the chain and what follows."""

import copy
import shutil
from pathlib import Path

import pytest

from tests import planning
from tests.tiny import CHAT, contents, jobs_run, make_checkout, snakemake, write_study

ARTIFACTS = ["base", "sft-A", "sft-B", "sft-C", "dpo", "merged", "F32", "Q8_0"]
PAGES = ["tabulate_failures", "tabulate_times", "write_manifest"]
TABLES = ["draw_llms", "tabulate_llms", *PAGES]
CURVES = ["draw_losses student"]
EXPORTED = ["export_lora_gguf student", "merge_adapter student"]
PREFERRED = ["score_reference student", "train_dpo student"]


def converted(quant):
    """The jobs of one GGUF file."""
    # the wildcard that tells the base's file from the merged model's is empty
    return [
        f"convert_gguf {quant} student ",
        *(f"{rule} {quant} student" for rule in ("verify_gguf", "write_modelfile")),
    ]


def judged(artifacts):
    """The evaluations of some artifacts and what follows from them."""
    return [f"evaluate_llm {each} student" for each in artifacts] + ["compare_llms student", *TABLES]


def followed(jobs, artifacts, extra=()):
    """Trainings, what is exported in the end, and the evaluations of what they made."""
    files = [*converted("F32"), *converted("Q8_0")]
    return sorted([*jobs, *EXPORTED, *files, *judged(artifacts), *CURVES, *extra])


@pytest.fixture
def checkout(chatted, tmp_path):
    """A copy of the built checkout of language models, to edit."""
    return Path(shutil.copytree(chatted, tmp_path / "checkout", symlinks=True))


def plan(checkout):
    """What `make plan` shows: the checks of recipes are brought up to date first."""
    snakemake(checkout, "--allowed-rules", "check_recipe", "admit_recipe", "checks", "--", "checks")
    return planning.plan(checkout)


def change(checkout, path, value):
    study = copy.deepcopy(CHAT)
    *parents, last = path.split(".")
    place = study
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    write_study(checkout, study)


def test_a_built_checkout_plans_nothing(checkout):
    assert plan(checkout) == []


def test_beta_reruns_dpo_and_not_sft(checkout):
    change(checkout, "recipes.student.dpo.beta", 0.2)
    assert plan(checkout) == followed(["train_dpo student"], ["dpo", "merged", "F32", "Q8_0"])


def test_a_length_of_pairs_scores_the_reference_again(checkout):
    change(checkout, "recipes.student.dpo.max_length", 1000)
    assert plan(checkout) == followed(PREFERRED, ["dpo", "merged", "F32", "Q8_0"])


def test_phase_c_leaves_a_and_b_alone(checkout):
    change(checkout, "recipes.student.phases.C.sft", {"learning_rate": 0.0004})
    jobs = ["train_sft C student", *PREFERRED]
    assert plan(checkout) == followed(jobs, ["sft-C", "dpo", "merged", "F32", "Q8_0"])


def test_phase_a_moves_the_phases_after_it_and_not_the_base(checkout):
    change(checkout, "recipes.student.phases.A", {"sft": {"epochs": 2}})
    jobs = [*(f"train_sft {each} student" for each in "ABC"), *PREFERRED]
    assert plan(checkout) == followed(jobs, ARTIFACTS[1:])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("recipes.student.evaluation.texts.samples", 9),
        ("recipes.student.evaluation.prices", {"kind": "pairs", "corpus": "trading", "samples": 4}),
    ],
)
def test_an_evaluation_set_reruns_only_evaluations(checkout, path, value):
    change(checkout, path, value)
    assert plan(checkout) == sorted(judged(ARTIFACTS))


def test_one_more_quant_is_one_more_file(checkout):
    change(checkout, "recipes.student.export.quants", ["F32", "Q8_0", "F16"])
    assert plan(checkout) == sorted([*converted("F16"), *judged(["F16"])])


def test_a_gate_verifies_again_and_converts_nothing(checkout):
    change(checkout, "recipes.student.export.max_kl", {"Q8_0": 0.01})
    assert plan(checkout) == sorted(["verify_gguf Q8_0 student", "tabulate_llms", *PAGES])


def test_a_system_prompt_reaches_the_modelfiles_alone(checkout):
    change(checkout, "recipes.student.export.modelfile", {"system": "Answer briefly."})
    modelfiles = [f"write_modelfile {quant} student" for quant in ("F32", "Q8_0")]
    assert plan(checkout) == sorted([*modelfiles, "tabulate_llms", *PAGES])  # the checks tried it first


def test_the_base_moves_everything(checkout):
    change(checkout, "bases.tiny.steps", 41)
    jobs = [
        "build_base tiny",
        "check_recipe student",
        "admit_recipe student",
        *(f"train_sft {each} student" for each in "ABC"),
        *PREFERRED,
    ]
    assert plan(checkout) == followed(jobs, ARTIFACTS, ["convert_gguf F32 student -base"])


def test_a_kind_of_evaluation_set_reruns_evaluations(checkout):
    with (checkout / "scripts/llm/evaluations/pairs.py").open("a") as module:
        module.write("\nEDITED = True\n")
    assert plan(checkout) == sorted(judged(ARTIFACTS))


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


def test_two_runs_on_other_thread_counts_make_the_same_files(chatted, tmp_path):
    """Adapters, merged weights, GGUF files and every number about them: equal byte for byte."""
    folder = make_checkout(tmp_path / "again", CHAT)
    rules = ("train_sft", "train_dpo", "merge_adapter", "convert_gguf", "evaluate_llm", "verify_gguf")
    snakemake(folder, "--set-threads", "build_base=1", *(f"{rule}=2" for rule in rules))
    before, after = contents(chatted), contents(folder)
    assert sorted(before) == sorted(after)
    assert [name for name in before if before[name] != after[name]] == []
