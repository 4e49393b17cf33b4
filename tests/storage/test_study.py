"""A tiny study whose results are objects: equal to those on disk, rebuilt as precisely, and no half of one is taken for
a whole one. The store is moto on loopback, not AWS."""

import copy
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from scripts.common import recovery
from scripts.common.errors import StudyError
from scripts.report import verify_results
from tests import tiny
from tests.planning import ROOT, plan
from tests.storage.stores import KEY, Store, Stored

STACK = "results/tiny/ensemble/up/AAA/1h"
BLOCK = f"{STACK}/lgb/folds/b000"

# every kind of input and output in few jobs: checkpoints, folders, panels, files of the user's, a corpus
SMALL = copy.deepcopy(tiny.STUDY)
SMALL["markets"]["made"]["partition"] = "quarter"
SMALL["ensembles"]["up"]["timeframes"] = {"1h": {}}
SMALL["ensembles"]["up"]["folds"] |= {"test": 400, "step": 400, "per_job": 4}
del SMALL["ensembles"]["up"]["models"]["xgb"]
SMALL["corpora"] = {
    "notes": {
        "market": "made",
        "symbols": ["BBB"],
        "parts": {
            "states": {"kind": "features", "per_symbol": 30},
            "own": {"kind": "files", "path": "notes.jsonl"},
        },
    }
}


@pytest.fixture(scope="module")
def store():
    server = Store()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("SNAKEMAKE_STORAGE_S3_ENDPOINT_URL", server.url)
        yield server
    server.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The study on disk; tests copy it and never change it."""
    folder = make(tmp_path_factory.mktemp("local") / "checkout")
    tiny.snakemake(folder)
    return folder


@pytest.fixture(scope="module")
def remote(tmp_path_factory, store):
    """The study as objects. Tests leave it as they found it."""
    study = Stored(make(tmp_path_factory.mktemp("remote") / "checkout"), store, "a/prefix")
    study.snakemake()
    return study


def make(folder):
    tiny.make_checkout(folder, SMALL)
    lines = [json.dumps({"messages": conversation(number)}) + "\n" for number in range(40)]
    (folder / "notes.jsonl").write_text("".join(lines))
    return folder


def conversation(number):
    asked = {"role": "user", "content": f"What is {number} and {number}?"}
    return [asked, {"role": "assistant", "content": f"{2 * number}."}]


def both(edit, local, remote, tmp_path):
    """An edit of copies of both checkouts: the one on disk, and the one whose results are the same objects."""
    here = shutil.copytree(local, tmp_path / "local", symlinks=True)
    there = Stored(shutil.copytree(remote.checkout, tmp_path / "remote", symlinks=True), remote.store, remote.prefix)
    edit(here), edit(there.checkout)
    return here, there


def set_key(path, value):
    def edit(checkout):
        study = copy.deepcopy(SMALL)
        *parents, last = path.split(".")
        place = study
        for key in parents:
            place = place[key]
        place[last] = value
        tiny.write_study(checkout, study)

    return edit


def add_statement(file):
    def edit(checkout):
        with open(checkout / file, "a") as module:
            module.write("\nEDITED = True\n")

    return edit


def test_every_object_is_the_file_of_a_run_on_disk(local, remote):
    assert remote.contents() == tiny.contents(local)


def test_what_is_named_by_the_rules_is_stored_and_what_is_the_users_stays(remote):
    tops = {name.split("/")[0] for name in remote.names()}
    assert tops == {"results"}
    assert not (remote.checkout / "results").exists()
    copies = [path for path in (remote.checkout / ".snakemake/storage").rglob("*") if path.is_file()]
    assert not [path for path in copies if not {"logs", "benchmarks"} & set(path.parts)]


def test_times_are_read_from_the_store(remote):
    times = remote.object("results/tiny/benchmarks/times.csv").get()["Body"].read().decode()
    rules = [line.split(",")[0] for line in times.splitlines()]
    assert {"train_folds", "ingest_symbol", "write_part", "all"} <= set(rules)
    page = remote.object("results/tiny/benchmarks/times.html").get()["Body"].read().decode()
    assert "Latency of the composed ONNX graph" in page


def test_a_second_run_has_nothing_to_do(remote):
    assert "Nothing to be done" in remote.snakemake("--dry-run").stdout + remote.snakemake("--dry-run").stderr


@pytest.mark.parametrize(
    "edit",
    [
        set_key("ensembles.up.gates.min_auc", 0.7),
        set_key("ensembles.up.folds.per_job", 2),
        set_key("corpora.notes.parts.states.per_symbol", 20),
        add_statement("scripts/ensemble/boosters.py"),
        add_statement("scripts/market/features/cross_asset.py"),
    ],
    ids=["gate", "blocks", "corpus", "module", "kind"],
)
def test_an_edit_plans_the_jobs_that_it_plans_on_disk(edit, local, remote, tmp_path):
    here, there = both(edit, local, remote, tmp_path)
    expected = plan(here)
    assert expected and there.plan() == expected


def test_a_vanished_object_plans_what_a_deleted_file_plans(local, remote, tmp_path):
    path = f"{STACK}/onnx/parity.json"
    here, there = both(lambda checkout: None, local, remote, tmp_path)
    (here / path).unlink()
    content = remote.object(path).get()["Body"].read()
    remote.object(path).delete()
    try:
        with pytest.raises(StudyError, match=r"1 deleted(.|\n)*onnx/parity.json \(made by verify_onnx"):
            verify_results.verify(f"{remote.address}/results/tiny")
        planned = there.plan()
    finally:
        remote.object(path).put(Body=content)
    assert planned == plan(here) and "verify_onnx up AAA 1h" in planned


def test_a_corrected_bar_rebuilds_the_same_jobs_to_the_same_bytes(local, remote, tmp_path):
    def correct(checkout):
        frame = tiny.bars("CCC")
        frame.loc[frame.index[-5], "close"] *= 1.0001
        tiny.write_csv(checkout, "CCC", frame)

    here, there = both(correct, local, remote, tmp_path)
    kept = remote.contents()
    ran = tiny.jobs_run(tiny.snakemake(here))
    assert tiny.jobs_run(there.snakemake()) == ran
    assert 0 < len([job for job in ran if job.startswith("compute_panel")]) < 3
    assert there.contents() == tiny.contents(here) != kept
    assert "files are as the manifest lists them" in verify_results.verify(f"{remote.address}/results/tiny")


def test_a_checkout_without_records_takes_the_objects_as_they_are(remote, tmp_path):
    clone = Stored(make(tmp_path / "clone"), remote.store, remote.prefix)
    long_ago = time.time() - 10_000_000
    for file in [*(clone.checkout / "data").iterdir(), clone.checkout / "notes.jsonl"]:
        os.utime(file, (long_ago, long_ago))
    assert clone.plan() == []
    os.utime(clone.checkout / "data/CCC.csv")
    rules = {job.split()[0] for job in clone.plan()}
    assert "ingest_symbol" in rules and not {"compute_features", "train_folds", "write_part"} & rules


@pytest.mark.parametrize(
    ("name", "passing", "kept"),
    [("b000/fold_", 1, False), ("b000.index.json", 0, True)],
    ids=["half a folder", "whole without a record"],
)
def test_a_run_killed_in_the_middle_of_an_upload_leaves_nothing_half(remote, name, passing, kept):
    before, target = remote.contents(), f"{BLOCK}.index.json"
    folds = [key for key in remote.names(f"{BLOCK}/") if "fold_" in key]
    for key in [*remote.names(f"{BLOCK}/"), target, f"{STACK}/lgb/oof/b000.parquet"]:
        remote.object(key).delete()
    remote.killed_in(name, passing, kept, target)
    there = remote.names(BLOCK)
    assert len([key for key in there if key in folds]) == (len(folds) if kept else 1) and (target in there) == kept
    with pytest.raises(StudyError, match="b000"):
        verify_results.verify(f"{remote.address}/results/tiny")
    removed = recovery.recover(remote.checkout)
    assert f"{remote.address}/{BLOCK}" in removed and (f"{remote.address}/{target}" in removed) == kept
    assert not remote.names(BLOCK)
    assert tiny.jobs_run(remote.snakemake(target)) == ["train_folds b000 up lgb AAA 1h"]
    assert remote.contents() == before


def test_wrong_credentials_are_said_before_anything_runs(remote, tmp_path, monkeypatch):
    stranger = Stored(make(tmp_path / "stranger"), remote.store, remote.prefix)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    done = stranger.snakemake(check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "cannot be reached" in said and "credentials" in said
    assert "Traceback" not in said and tiny.jobs_run(done) == [] and not (stranger.checkout / ".work").exists()
    command = [sys.executable, "-m", "scripts.report.verify_results", f"{remote.address}/results/tiny"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "credentials" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (f"{STACK}/oof.parquet", r"1 altered(.|\n)*oof.parquet \(made by assemble_oof; 7 bytes instead of"),
        (f"{BLOCK}/fold_1.txt", r"1 altered(.|\n)*unlike the index(.|\n)*fold_1.txt \(is not the model that"),
    ],
)
def test_a_corrupted_object_is_found(remote, path, says):
    content = remote.object(path).get()["Body"].read()
    remote.object(path).put(Body=b"garbage")
    try:
        with pytest.raises(StudyError, match=says):
            verify_results.verify(f"{remote.address}/results/tiny")
    finally:
        remote.object(path).put(Body=content)
    assert verify_results.command_line([f"{remote.address}/results/tiny"]) == 0


def test_the_rule_verifies_the_objects_with_the_endpoint_of_the_command_line(remote, monkeypatch):
    monkeypatch.delenv("SNAKEMAKE_STORAGE_S3_ENDPOINT_URL")
    remote.object(f"{STACK}/left_over.json").put(Body=b"{}")
    try:
        done = remote.snakemake("verify_results", check=False)
    finally:
        remote.object(f"{STACK}/left_over.json").delete()
    assert done.returncode == 1 and "left_over.json" in done.stderr
