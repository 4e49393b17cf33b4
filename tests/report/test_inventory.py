"""The manifest of a made-up tree with made-up records of Snakemake, and what verify_results says of changes to it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.report import inventory, records, verify_results, write_manifest

ROOT = Path(__file__).parents[2]
STUDY = "results/made"
BLOCK = f"{STUDY}/ensemble/up/AAA/1h/lgb/folds/b000"
TOKENS = ["scripts/ensemble/boosters.py@550a99b0d9", "scripts/ensemble/train_folds.py@0123456789", "lightgbm==4.7.0"]


def record(path, rule, inputs=(), params=()):
    """Write a record as Snakemake's persistence does."""
    place = records.record_path(".snakemake/metadata", path)
    place.parent.mkdir(parents=True, exist_ok=True)
    content = {"rule": rule, "input": sorted(inputs), "params": sorted(map(repr, params)), "record_format_version": 6}
    place.write_text(json.dumps(content | {"starttime": 1.0, "endtime": 2.0, "input_checksums": {}}))


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A study of bars and one block of two folds; returns the arguments of its write_manifest job."""
    monkeypatch.chdir(tmp_path)
    raw = write("data/AAA.csv", "1,2,3\n")
    archive = write(f"{STUDY}/market/made/archive/AAA/2021-01.parquet", "archive")
    bars = write(f"{STUDY}/market/made/bars/AAA.parquet", "bars")
    for name in ("fold_0.txt", "fold_1.txt"):
        write(f"{BLOCK}/{name}", f"model of {name}")
    write(f"{BLOCK}/.snakemake_timestamp", "")
    folds = [
        {"fold": i, "file": f"fold_{i}.txt", "sha256": inventory.digest(f"{BLOCK}/fold_{i}.txt")} for i in range(2)
    ]
    index = write(f"{BLOCK}.index.json", json.dumps({"schema": "quantmake/index/1", "folds": folds}))
    write(f"{STUDY}/logs/train_folds/b000.log", "a log")
    write(f"{STUDY}/benchmarks/train_folds/b000.tsv", "s\n1\n")
    record(archive, "fetch_archive", params=[{"kind": "files"}])
    record(bars, "ingest_symbol", [raw, archive], [{"kind": "files", "path": "data"}, "1h", None])
    for output in (BLOCK, index):
        record(output, "train_folds", [bars], ["lightgbm", *TOKENS, ["scripts/ensemble/models/lightgbm.py@aaaaaaaaaa"]])
    output = {"manifest": f"{STUDY}/manifest.json", "checksums": f"{STUDY}/SHA256SUMS"}
    return {"input": [bars, BLOCK, index], "output": output, "params": {"records": ".snakemake/metadata"}}


@pytest.fixture
def study(tree):
    """The folder of a study whose manifest is written."""
    write_manifest.main(Job(**tree))
    return Path(STUDY)


def test_every_artifact_is_listed_with_how_it_was_made(study):
    manifest = json.loads((study / "manifest.json").read_text())
    folder = "ensemble/up/AAA/1h/lgb/folds"
    assert list(manifest["artifacts"]) == [
        f"{folder}/b000.index.json",
        f"{folder}/b000/fold_0.txt",
        f"{folder}/b000/fold_1.txt",
        "market/made/archive/AAA/2021-01.parquet",
        "market/made/bars/AAA.parquet",
    ]
    fold = manifest["artifacts"][f"{folder}/b000/fold_0.txt"]
    assert (fold["rule"], fold["size"]) == ("train_folds", 19)
    assert fold["sha256"] == inventory.digest(study / folder / "b000/fold_0.txt")
    assert manifest["jobs"][fold["job"]] == {
        "rule": "train_folds",
        "inputs": [f"{STUDY}/market/made/bars/AAA.parquet"],
        "params": ["lightgbm"],
        "code": ["scripts/ensemble/boosters.py@550a99b0d9", "scripts/ensemble/models/lightgbm.py@aaaaaaaaaa"]
        + ["scripts/ensemble/train_folds.py@0123456789"],
        "packages": ["lightgbm==4.7.0"],
    }
    bars = manifest["artifacts"]["market/made/bars/AAA.parquet"]
    assert manifest["jobs"][bars["job"]]["params"] == ["1h", None, {"kind": "files", "path": "data"}]
    assert manifest["sources"] == {"data/AAA.csv": {"sha256": inventory.digest("data/AAA.csv"), "size": 6}}
    assert manifest["packages"] == ["lightgbm==4.7.0"] and manifest["git"].keys() == {"commit", "dirty"}
    assert manifest["gone"] == []


def test_equal_trees_give_equal_manifests_whatever_the_order(tree, study):
    before = (study / "manifest.json").read_bytes(), (study / "SHA256SUMS").read_bytes()
    write_manifest.main(Job(**tree | {"input": tree["input"][::-1]}))
    assert before == ((study / "manifest.json").read_bytes(), (study / "SHA256SUMS").read_bytes())


def test_a_file_without_a_record_is_listed_as_such_and_a_vanished_source_is_named(tree):
    shutil.rmtree(records.record_path(".snakemake/metadata", f"{STUDY}/market/made/bars/AAA.parquet").parent)
    write_manifest.main(Job(**tree))
    manifest = json.loads(Path(STUDY, "manifest.json").read_text())
    assert manifest["artifacts"]["market/made/bars/AAA.parquet"]["job"] is None
    record(tree["input"][0], "ingest_symbol", ["data/AAA.csv", "data/lost.csv"])
    write_manifest.main(Job(**tree))
    assert json.loads(Path(STUDY, "manifest.json").read_text())["gone"] == ["data/lost.csv"]


def test_a_study_outside_of_git_has_no_commit(tmp_path):
    assert inventory.git_state(tmp_path) == {"commit": None, "dirty": None}


def test_an_edited_checkout_is_called_dirty(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    write(tmp_path / "a.py", "1")
    git("init"), git("add", "."), git("commit", "-m", "one")
    clean = inventory.git_state(tmp_path)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    write(tmp_path / "a.py", "2")
    assert inventory.git_state(tmp_path) == {"commit": clean["commit"], "dirty": True}


def test_names_too_long_for_one_file_name_are_found_where_snakemake_puts_them(tmp_path):
    from snakemake.persistence.file import FilePersistence

    path = "results/made/" + "long/" * 100 + "a.parquet"
    theirs = FilePersistence(path=tmp_path / ".snakemake")
    place = theirs._record_path(str(tmp_path / ".snakemake/metadata"), path)
    assert str(records.record_path(tmp_path / ".snakemake/metadata", path)) == place


def test_sha256sum_reads_the_checksums(study):
    if not shutil.which("sha256sum"):
        pytest.skip("there is no sha256sum on this machine")
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=study).returncode == 0
    assert "  manifest.json" in (study / "SHA256SUMS").read_text()
    write(study / "market/made/bars/AAA.parquet", "other")
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=study, capture_output=True, text=True)
    assert done.returncode == 1 and "market/made/bars/AAA.parquet: FAILED" in done.stdout


def test_an_untouched_study_is_verified_logs_timings_and_the_page_do_not_count(study):
    write(study / "logs/other.log", "new")
    write(study / "benchmarks/times.csv", "new")
    write(study / "report.html", "<html>")
    assert "5 files are as the manifest lists them, 1 folders with an index included" in verify_results.verify(study)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: (s / "market/made/bars/AAA.parquet").unlink(), ["1 deleted", "bars/AAA.parquet (made by ingest_"]),
        (lambda s: write(s / "market/made/bars/AAA.parquet", "bats"), ["1 altered", "bars/AAA.parquet", "4 bytes)"]),
        (lambda s: write(s / "market/old.parquet", "x"), ["1 unlisted", "market/old.parquet"]),
        (lambda s: write(s / "ensemble/.oof.part77.parquet", "x"), ["1 unlisted", ".oof.part77.parquet"]),
        (lambda s: (s / f"{BLOCK[13:]}/fold_1.txt").unlink(), ["1 deleted", "1 unlike the index", "named by"]),
        (lambda s: write(s / f"{BLOCK[13:]}/fold_1.txt", "y"), ["1 altered", "fold_1.txt (is not the model that"]),
        (lambda s: write(s / f"{BLOCK[13:]}/fold_2.txt", "y"), ["1 unlisted", "fold_2.txt (is not named by"]),
        (lambda s: write(s / f"{BLOCK[13:]}.index.json", "{"), ["1 altered", "cannot be read as the index"]),
        (lambda s: (s / "manifest.json").unlink(), ["manifest.json is not there", "make run"]),
        (lambda s: (s / "SHA256SUMS").unlink(), ["do not agree"]),
        (lambda s: write(s / "manifest.json", "[]"), ["do not agree"]),
    ],
    ids=["deleted", "altered", "unlisted", "leftover", "fold-deleted", "fold-altered", "fold-added", "index"]
    + ["manifest", "checksums", "rewritten"],
)
def test_what_differs_is_named_with_what_to_do(study, change, says):
    change(study)
    with pytest.raises(StudyError) as error:
        verify_results.verify(study)
    for text in says:
        assert text in str(error.value)


def test_a_digest_changed_in_the_manifest_itself_is_noticed(study):
    manifest = json.loads((study / "manifest.json").read_text())
    next(iter(manifest["artifacts"].values()))["sha256"] = "0" * 64
    write(study / "manifest.json", json.dumps(manifest))
    with pytest.raises(StudyError, match="do not agree"):
        verify_results.verify(study)


def test_the_command_line_says_by_its_exit_code(study, capsys):
    command = [sys.executable, "-m", "scripts.report.verify_results", STUDY]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, "") and "5 files" in done.stdout
    write(study / "market/made/bars/AAA.parquet", "other")
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and "bars/AAA.parquet" in done.stderr and "Traceback" not in done.stderr
    assert verify_results.command_line([]) == 2 and "usage" in capsys.readouterr().err


def test_as_a_job_it_fails_with_the_list(study):
    verify_results.main(Job(params={"study": STUDY}))
    (study / "market/made/bars/AAA.parquet").unlink()
    with pytest.raises(StudyError, match=r"1 deleted(.|\n)*bars/AAA.parquet"):
        verify_results.main(Job(params={"study": STUDY}))
