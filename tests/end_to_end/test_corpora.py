"""The tiny study of corpora, built by the command line: contents, determinism, splits, curriculum, benchmark."""

import json
import re

import pytest

from scripts.corpus import samples
from tests.tiny import TALK, contents, make_checkout, snakemake


@pytest.fixture(scope="module")
def corpora(talked):
    return talked / "results/tiny/corpus"


def read(folder, *names):
    return [each for name in names for each in samples.read(folder / f"{name}.jsonl")]


def test_every_part_has_its_count_and_every_corpus_is_accepted(corpora):
    for corpus, settings in TALK["corpora"].items():
        checks = json.loads((corpora / corpus / "checks.json").read_text())
        assert checks["verdict"] == "accepted", checks["reason"]
        for name, part in settings["parts"].items():
            wanted = part.get("samples") or 2 * part.get("per_symbol", 0)
            wanted = wanted or sum(part.get(each, 0) for each in ("easy", "medium", "hard", "extreme"))
            assert samples.count_lines(corpora / corpus / f"parts/{name}.jsonl") == wanted


def test_splits_hold_all_samples_once_and_share_no_period(corpora):
    for form in ("messages", "preferences", "prompts"):
        parts = {name: read(corpora / f"trading/{form}", name) for name in samples.SPLITS}
        ids = [each["meta"]["id"] for part in parts.values() for each in part]
        assert len(ids) == len(set(ids)) and not read(corpora / f"trading/{form}", "quarantine")
        assert parts["train"] and parts["test"]
        periods = {
            name: {each["meta"]["group"] for each in part if each["meta"]["time"]} for name, part in parts.items()
        }
        assert not periods["train"] & periods["test"] and not periods["train"] & periods["validation"]
        if periods["test"]:
            assert max(periods["train"]) < min(periods["validation"] | periods["test"])


def test_phases_have_their_mix_and_share_nothing(corpora):
    phases = {name: read(corpora / "wealth/phases", name) for name in "ABC"}
    ids = [each["meta"]["id"] for part in phases.values() for each in part]
    assert len(ids) == len(set(ids)) == 80
    account = json.loads((corpora / "wealth/phases/C.json").read_text())
    assert {key: each["taken"] for key, each in account["buckets"].items()} == {
        "easy": 2,
        "medium": 5,
        "hard": 7,
        "extreme": 6,
    }
    trained = {each["meta"]["id"] for each in read(corpora / "wealth/messages", "train")}
    assert set(ids) <= trained


def test_the_benchmark_never_meets_training(corpora):
    asked = read(corpora / "wealth", "benchmark")
    assert len(asked) == 20
    trained = {samples.prompt_of(each) for each in read(corpora / "wealth/messages", *samples.SPLITS)}
    assert not {samples.prompt_of(each) for each in asked} & trained
    rules = {each["name"]: each for each in json.loads((corpora / "wealth/checks.json").read_text())["rules"]}
    assert all(rules[f"contamination_{kind}"]["passed"] for kind in ("exact", "ngram", "similar"))
    assert all(each["answer"]["kind"] in ("number", "choice") and each["meta"]["reference"] for each in asked)


def test_the_report_has_the_corpora(talked):
    page = (talked / "results/tiny/report/corpora.html").read_text()
    assert re.search(r"Corpus trading", page) and "Formula catalogue" in page


def test_equal_by_bytes_on_a_rerun_with_other_threads(talked, tmp_path):
    again = make_checkout(tmp_path / "again", TALK)
    snakemake(again, "--cores", "1")
    first, second = contents(talked), contents(again)
    assert {path for path in first if "corpus/" in path} == {path for path in second if "corpus/" in path}
    assert [path for path, content in first.items() if "corpus/" in path and second[path] != content] == []
