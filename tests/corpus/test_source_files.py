"""The files of the source systems go through the same pipeline, and their checks fail for the known reasons."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.corpus import assemble_corpus, check_corpus, curricula, samples, write_part
from tests.corpus.conversations import CHECKS

DATA = os.environ.get("QUANTMAKE_REAL_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="QUANTMAKE_REAL_DATA is not set")
SETTINGS = {
    "kind": "files",
    "prompt": "instruction",
    "context": "input",
    "answer": "output",
    "rejected": None,
    "domain": "category",
    "difficulty": "difficulty",
    "difficulties": {"extremely_complex": "extreme"},
}
SPLITS = {"validation": 0.05, "test": 0.2, "entities": []}
PAIRS = {"prompt": "prompt", "answer": "chosen", "rejected": "rejected", "domain": "pair", "difficulty": None}


def build(folder, files, form="messages", checks=CHECKS, **settings):
    """Parts, splits and checks of a corpus of files, by the scripts' own ``main``; returns the checks."""
    parts = []
    for name, path in files.items():
        out = {"samples": folder / f"{name}.jsonl", "account": folder / f"{name}.json"}
        params = {"settings": SETTINGS | settings | {"path": str(path)}, "seed": 7}
        params |= dict.fromkeys(("market", "symbols", "timeframe", "partition"))
        write_part.main(Job(input={"file": [str(path)]}, output=out, params=params, wildcards={"part": name}))
        parts.append(str(out["samples"]))
    split = {name: folder / form / f"{name}.jsonl" for name in (*samples.SPLITS, "quarantine")}
    (folder / form).mkdir()
    params = {"splits": SPLITS, "checks": checks}
    assemble_corpus.main(Job(input={"parts": parts}, output=split, params=params, wildcards={"corpus": "made"}))
    inputs = {"parts": parts, "splits": [str(each) for each in split.values()], "benchmark": []}
    params = {"formats": [form], "parts": dict.fromkeys(files, "files"), "checks": checks, "seed": 7}
    check_corpus.main(Job(input=inputs, output=[folder / "checks.json"], params=params, wildcards={"corpus": "made"}))
    return json.loads((folder / "checks.json").read_text())


def rule(checks, name):
    (found,) = [each for each in checks["rules"] if each["name"] == name]
    return found


@needs_data
def test_the_preference_pairs_have_two_texts_and_tell_the_outcome(tmp_path):
    checks = build(tmp_path, {"pairs": Path(DATA, "text/forex/real_dpo_pairs.jsonl")}, "preferences", **PAIRS)
    assert checks["verdict"] == "refused"
    assert checks["figures"]["parts"]["pairs"]["defects"]["tells the outcome"] == 2550
    assert checks["figures"]["parts"]["pairs"]["defects"]["placeholder that was not filled"] == 1425
    assert len(samples.read(tmp_path / "preferences/quarantine.jsonl")) == 2550
    # all but the question's list of features is one of two texts for each side
    made = samples.read(tmp_path / "pairs.jsonl")
    texts = {
        side: {each[side][-1]["content"].replace(each["meta"]["domain"], "@") for each in made}
        for side in ("chosen", "rejected")
    }
    assert {side: len(found) for side, found in texts.items()} == {"chosen": 2, "rejected": 2}
    assert rule(checks, "answer_skeletons") | {"passed": False, "value": 2} == rule(checks, "answer_skeletons")
    assert not rule(checks, "train_not_empty")["passed"]


@needs_data
def test_the_preference_pairs_are_told_apart_by_style_alone(tmp_path):
    lenient = CHECKS | {"on_violation": "ignore"}
    checks = build(tmp_path, {"pairs": Path(DATA, "text/forex/real_dpo_pairs.jsonl")}, "preferences", lenient, **PAIRS)
    masked = rule(checks, "masked_auc")
    assert not masked["passed"] and masked["value"] > 0.99
    assert not rule(checks, "sound_samples")["passed"]


@needs_data
def test_the_fine_tuning_samples_repeat_their_questions(tmp_path):
    path = Path(DATA, "text/forex/llm_finetune_samples.jsonl")
    checks = build(tmp_path, {"sft": path}, difficulty=None)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    repeated = Counter((row["instruction"], row["output"]) for row in rows)
    found = checks["figures"]["parts"]["sft"]["defects"]
    # 1,209 rows repeat a question: 115 of them word for word, the others with another answer
    assert found["duplicate"] == sum(number - 1 for number in repeated.values()) == 115
    assert found["same question, another answer"] > 1000
    questions = {samples.prompt_of(each) for each in samples.read(tmp_path / "messages/train.jsonl")}
    assert "What is the source paper for research paper?" not in questions


@needs_data
def test_the_curated_formulas_are_42_and_not_53(tmp_path):
    checks = build(tmp_path, {"curated": Path(DATA, "text/forex/high_quality_formulas.jsonl")}, difficulty=None)
    assert checks["figures"]["parts"]["curated"]["defects"] == {"duplicate": 11}
    kept = sum(len(samples.read(tmp_path / "messages" / f"{name}.jsonl")) for name in samples.SPLITS)
    assert kept == 42


@needs_data
def test_the_domain_buckets(tmp_path):
    checks = build(tmp_path, {"buckets": Path(DATA, "text/elson_domain_buckets_mit.jsonl")})
    found = checks["figures"]["parts"]["buckets"]["defects"]
    assert rule(checks, "not_empty")["value"] == 16539
    assert found["duplicate"] == 82 and found["same question, another answer"] > 1275
    assert found["URL"] > 117 and found["fragment"] > 50
    apart = samples.read(tmp_path / "messages/quarantine.jsonl")
    kept = [each for name in samples.SPLITS for each in samples.read(tmp_path / "messages" / f"{name}.jsonl")]
    assert len(apart) + len(kept) == 16539
    assert sum("amazonaws" in json.dumps(each) for each in apart) == 117
    assert not any("amazonaws" in json.dumps(each) for each in kept)


@needs_data
def test_the_curriculums_phase_a_is_not_what_its_log_says(tmp_path):
    rows = Path(DATA, "text/elson/curriculum_runs__manifest_phaseA_20260119_174812.jsonl").read_text().splitlines()
    drawn = Counter(json.loads(row)["difficulty"] for row in rows)
    assert drawn == {"medium": 310, "hard": 75, "extremely_complex": 4}
    build(tmp_path, {"buckets": Path(DATA, "text/elson_domain_buckets_mit.jsonl")})
    tax = [each for each in samples.read(tmp_path / "buckets.jsonl") if each["meta"]["domain"] == "federal_income_tax"]
    phase = {"samples": 389, "easy": 0.35, "medium": 0.35, "hard": 0.25, "extreme": 0.05, "order": "blocks"}
    with pytest.raises(StudyError, match="easy: 136 wanted, 0 there.*extreme: 20 wanted, 4 there"):
        curricula.draw(tax, {"A": phase}, "error", 7)


@needs_data
def test_the_reinforcement_prompts_are_fewer_than_the_log_says(tmp_path):
    files = {name: Path(DATA, f"text/forex/{name}.jsonl") for name in ("grpo_train", "grpo_val")}
    build(tmp_path, files, difficulty=None)
    accounts = [json.loads((tmp_path / f"{name}.json").read_text()) for name in files]
    assert [each["samples"] for each in accounts] == [200, 50]


def test_an_empty_file_is_one_clear_error(tmp_path):
    (tmp_path / "easy.jsonl").write_text("")
    with pytest.raises(StudyError, match="part bucket: .*easy.jsonl is empty"):
        build(tmp_path, {"bucket": tmp_path / "easy.jsonl"})


def test_rows_that_are_no_samples_are_kept_apart_with_the_reason(tmp_path):
    rows = [
        '{"instruction": "What is a bond?", "output": "A loan to an issuer.", "difficulty": "easy"}',
        '{"instruction": "What is a share?", "output": " "}',
        "not json",
        '["a", "list"]',
        '{"instruction": "", "output": "An answer."}',
        '{"instruction": "How hard?", "output": "Very.", "difficulty": "brutal"}',
        '{"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]}',
        '{"messages": [{"role": "user", "content": "Hi?"}]}',
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(rows))
    checks = build(tmp_path, {"mine": tmp_path / "mine.jsonl"})
    assert checks["figures"]["parts"]["mine"]["defects"] == {
        "difficulty 'brutal' is none of easy, medium, hard, extreme": 1,
        "empty answer": 1,
        "empty question": 2,
        "no JSON object": 2,
    }
    apart = samples.read(tmp_path / "messages/quarantine.jsonl")
    assert [each["row"].get("line") for each in apart][1] == "not json"
    with pytest.raises(StudyError, match="6 wrong samples of 8"):
        build_again(tmp_path, "fail")


def build_again(folder, on_violation):
    again = folder / "again"
    again.mkdir()
    return build(again, {"mine": folder / "mine.jsonl"}, checks=CHECKS | {"on_violation": on_violation})


def test_a_pointer_to_the_data_is_not_the_data(tmp_path):
    (tmp_path / "lfs.jsonl").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(StudyError, match="Git LFS pointer"):
        build(tmp_path, {"mine": tmp_path / "lfs.jsonl"})
