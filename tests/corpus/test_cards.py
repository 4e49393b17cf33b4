"""Cards: Croissant that mlcroissant accepts, with the digests of the files, and a README that tells the verdict."""

import json
import warnings

from scripts.common.job import Job
from scripts.corpus import cards, check_corpus, describe_corpus, samples
from scripts.corpus.settings import Corpus
from tests.corpus.conversations import CHECKS, talk


def make(folder, parts=None):
    """A corpus of one small part, checked and described; ``parts`` are settings of further ones."""
    made = [talk(f"Question {chr(97 + n)}?", f"Answer {chr(97 + n)}.", str(n), group=f"g{n}") for n in range(20)]
    (folder / "parts").mkdir()
    samples.write(folder / "parts/made.jsonl", made)
    account = {"part": "made", "kind": "formulas", "samples": 20, "difficulty": {"easy": 20}, "language": {"en": 20}}
    (folder / "parts/made.json").write_text(json.dumps(account))
    files = {"train": made[:15], "validation": made[15:17], "test": made[17:], "quarantine": []}
    for name, part in files.items():
        samples.write(folder / f"messages/{name}.jsonl", part)
    splits = [str(folder / f"messages/{name}.jsonl") for name in files]
    inputs = {"parts": [str(folder / "parts/made.jsonl")], "splits": splits, "benchmark": []}
    params = {"formats": ["messages"], "parts": {"made": "formulas"}, "checks": CHECKS, "seed": 7}
    check_corpus.main(Job(input=inputs, output=[str(folder / "checks.json")], params=params, wildcards={"corpus": "c"}))
    parts = {"made": {"kind": "formulas", "samples": 20}} | (parts or {})
    settings = Corpus(market="m", expected_symbols=["EURUSD", "USDTRY"], parts=parts).model_dump(mode="json")
    inputs = {"checks": str(folder / "checks.json"), "accounts": [str(folder / "parts/made.json")], "splits": splits}
    inputs |= {"phases": [], "phase_accounts": [], "benchmark": []}
    params = {"formats": ["messages"], "settings": settings, "source": "files", "symbols": ["EURUSD"]}
    outputs = {"card": str(folder / "card.json"), "page": str(folder / "README.md")}
    describe_corpus.main(Job(input=inputs, output=outputs, params=params, wildcards={"corpus": "c"}))


def test_mlcroissant_accepts_the_card_and_reads_the_records(tmp_path):
    (tmp_path / "messages").mkdir()
    make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlcroissant

        dataset = mlcroissant.Dataset(jsonld=tmp_path / "card.json")
        assert not dataset.metadata.ctx.issues.errors
        records = list(dataset.records("messages_train"))
    assert len(records) == 15
    assert records[0]["messages_train/messages"] == [b"Question a?", b"Answer a."]
    assert records[0]["messages_train/difficulty"] == b"easy"


def test_the_readme_tells_verdict_parts_and_missing_symbols(tmp_path):
    (tmp_path / "messages").mkdir()
    make(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("# Corpus c\n\n**Accepted**: all ")
    assert "| made | formulas | 20 | 20 | none | 20 easy |" in text
    assert "1 of the 2 symbols of the source system are not in the market and have no samples: USDTRY." in text
    assert "| messages/train.jsonl | 15 |" in text


def test_the_readme_names_a_planted_signal_and_its_strength(tmp_path):
    (tmp_path / "messages").mkdir()
    make(
        tmp_path,
        {
            "plain": {"kind": "preferences", "per_symbol": 2},
            "control": {"kind": "preferences", "per_symbol": 2, "note": {"agreement": 0.5}},
            "noted": {"kind": "preferences", "per_symbol": 2, "note": {"agreement": 0.9}},
        },
    )
    said = [line for line in (tmp_path / "README.md").read_text().split("\n") if "planted" in line]
    assert [line.split()[1] for line in said] == ["control", "noted"]
    assert "in 50 % of the pairs. Half is chance" in said[0]
    assert said[1].endswith("in 90 % of the pairs.")


def test_a_changed_file_changes_the_card(tmp_path):
    files = {"messages/train.jsonl": {"sha256": "0" * 64, "size": 1}}
    first = cards.croissant("c", "d", "MIT", files, "1")
    assert first["distribution"][0]["sha256"] == "0" * 64
    assert [each["name"] for each in first["recordSet"]] == ["messages_train"]
    assert not cards.croissant("c", "d", "MIT", {"messages/test.jsonl": {"sha256": "0", "size": 0}}, "1")["recordSet"]
