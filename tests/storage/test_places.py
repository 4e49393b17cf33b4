"""What the workflow asks a store itself: manifests in time, records by address, places, objects of a folder."""

import json
import os
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from scripts.common import manifests, objects, places
from scripts.common.errors import StudyError
from scripts.report import records, write_manifest

COPIES = ".snakemake/storage/s3/bucket/a/prefix"


class Stored(str):
    """A rule's output that is an object, as Snakemake's files are; ``content`` is what the store has of it."""

    is_storage = True
    content, made, asked = None, None, 0

    @property
    def storage_object(self):
        return self

    def exists(self):
        self.asked += 1
        return self.content is not None

    def mtime(self):
        return self.made

    def retrieve_object(self):
        Path(self).write_text(json.dumps(self.content))


def store(file, content, made):
    file.content, file.made = content, made


def test_an_objects_copy_is_fetched_when_the_store_has_a_newer_one_and_asked_for_once(tmp_path):
    file = Stored(tmp_path / "deep/manifest.json")
    store(file, {"number": 1}, 1000.0)
    assert [manifests.read(file) for _ in range(3)] == [{"number": 1}] * 3
    assert file.asked == 1 and os.stat(file).st_mtime == 1000.0
    # another machine's run: this process learns of it once its own copy is gone or touched
    store(file, {"number": 2}, 2000.0)
    os.unlink(file)
    assert manifests.read(file) == {"number": 2}
    store(file, {"number": 3}, 3000.0)
    os.utime(file, (2500, 2500))
    assert manifests.read(file) == {"number": 3}


def test_a_copy_that_is_newer_than_the_object_is_what_a_job_has_just_written(tmp_path):
    file = Stored(tmp_path / "manifest.json")
    store(file, {"number": 1}, 1000.0)
    Path(file).write_text('{"number": 2}')
    assert manifests.read(file) == {"number": 2}


def test_while_an_object_is_remade_the_last_known_content_serves(tmp_path):
    file = Stored(tmp_path / "manifest.json")
    with pytest.raises(FileNotFoundError):
        manifests.read(file)
    store(file, {"number": 1}, 1000.0)
    assert manifests.read(file) == {"number": 1}
    store(file, None, None)
    os.unlink(file)
    assert manifests.read(file) == {"number": 1}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("results/tiny/llm/student/dpo/adapter_model.safetensors", "results/tiny"),
        (f"{COPIES}/results/tiny/llm/results/sft/A/training.json", "results/tiny"),
        (".snakemake/storage/s3/results/results/tiny/llm/bases/b", "results/tiny"),
    ],
)
def test_the_study_of_an_output_is_found_whatever_holds_it(path, folder):
    assert places.study_folder(path) == Path(folder)


def test_what_is_no_artifact_has_no_study():
    with pytest.raises(ValueError, match="no artifact"):
        places.study_folder("somewhere/else/x.json")


def test_paths_and_addresses_get_the_names_that_rules_use():
    name = "results/tiny/manifest.json"
    root = places.Root(f"{COPIES}/{name}", name)
    assert root.name(f"{COPIES}/results/tiny/x/y") == "results/tiny/x/y"
    assert root.name("s3://bucket/a/prefix/results/tiny/x/y") == "results/tiny/x/y"
    for other in ("s3://bucket/another/results/tiny/x", "s3://other/a/prefix/results/tiny/x", "data/AAA.csv", "/x/y"):
        assert root.name(other) == other
    here = places.Root(name, name)
    assert here.folder == Path() and here.name("results/tiny/x") == "results/tiny/x"
    assert here.name("s3://bucket/data/AAA.csv") == "s3://bucket/data/AAA.csv"
    with pytest.raises(ValueError, match="is not where"):
        places.Root(f"{COPIES}/results/other/manifest.json", name)


def test_the_names_of_records_are_read_back_long_ones_too(tmp_path):
    names = {"results/tiny/x.json", "s3://bucket/" + "a/" * 150 + "oof.parquet"}
    for each in names:
        place = records.record_path(tmp_path, each)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (tmp_path / "migration_underway").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / urlsafe_b64encode(b"x").decode()).touch()
    assert set(records.recorded_names(tmp_path)) >= names
    assert "x" not in records.recorded_names(tmp_path)


def test_jobs_are_told_where_the_objects_are_and_no_secrets(monkeypatch):
    from snakemake_storage_plugin_s3 import StorageProvider, StorageProviderSettings

    provider = object.__new__(StorageProvider)
    provider.settings = StorageProviderSettings(endpoint_url="http://x", access_key="a", secret_key="b", token="c")
    told = objects.environment(provider, "s3://bucket/a/")
    assert told == {
        "QUANTMAKE_OBJECTS": "s3://bucket/a",
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": "http://x",
        "SNAKEMAKE_STORAGE_S3_REGION": "us-east-1",
    }
    monkeypatch.delenv("QUANTMAKE_OBJECTS", raising=False)
    assert objects.at_home("results/tiny") == "results/tiny"
    monkeypatch.setenv("QUANTMAKE_OBJECTS", "s3://bucket/a")
    assert objects.at_home("results/tiny") == "s3://bucket/a/results/tiny"


def test_an_address_without_a_plugin_is_refused():
    with pytest.raises(StudyError, match=r"ftp-of-mine://x .*installed: .*s3"):
        objects.Folder("ftp-of-mine://x")


def test_what_was_made_on_the_way_is_found_in_the_store_and_not_in_an_older_run_on_disk(tmp_path, monkeypatch):
    """The manifest's job has copies of the artifacts; what these were made from is fetched."""
    fetched = []

    class Folder:
        def __init__(self, address):
            self.address = address

        def fetch(self, name):
            fetched.append(f"{self.address}/{name}")
            if name == "gone.parquet":
                raise FileNotFoundError(name)
            return tmp_path / "copy"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(objects, "Folder", Folder)
    monkeypatch.setenv("QUANTMAKE_OBJECTS", "s3://bucket/a/prefix")
    for name in ("data/AAA.csv", "results/tiny/features.parquet", f"{COPIES}/results/tiny/manifest.json"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    locate = write_manifest.locator(places.Root(f"{COPIES}/results/tiny/manifest.json", "results/tiny/manifest.json"))
    assert locate("data/AAA.csv") == Path("data/AAA.csv")
    assert locate("results/tiny/manifest.json") == Path(f"{COPIES}/results/tiny/manifest.json")
    assert fetched == []
    assert locate("results/tiny/features.parquet") == tmp_path / "copy"
    assert locate("s3://other/bars/AAA.csv") == tmp_path / "copy"
    assert not locate("results/tiny/gone.parquet").exists()
    assert fetched == [
        "s3://bucket/a/prefix/results/tiny/features.parquet",
        "s3://other/bars/AAA.csv",
        "s3://bucket/a/prefix/results/tiny/gone.parquet",
    ]
