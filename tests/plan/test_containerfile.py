"""Containerfile, read but not built: nothing here has a container engine."""

import fnmatch
import re
import subprocess

import pytest

from tests.containerfile import ROOT, instructions, variables


def texts(keyword):
    return [text for each, text in instructions() if each == keyword]


def ignored(path):
    """Whether the build leaves ``path`` out: of the lines that match it or a folder of it, the last one decides."""
    left_out, parts = False, path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for line in (ROOT / ".containerignore").read_text().splitlines():
        if line and not line.startswith("#") and any(fnmatch.fnmatchcase(each, line.lstrip("!")) for each in above):
            left_out = not line.startswith("!")
    return left_out


def test_it_begins_with_a_public_image_of_the_python_that_the_pins_are_for():
    (base,) = texts("FROM")
    assert re.fullmatch(r"python:3\.11-slim-\w+", base)
    assert "libgomp1" in texts("RUN")[0]


def test_what_it_copies_is_there_and_is_no_more_than_the_pins():
    (copied,) = texts("COPY")
    sources = copied.split()[:-1]
    assert sorted(sources) == ["envs/cloud.txt", "envs/requirements.txt"]
    for each in sources:
        assert (ROOT / each).is_file() and not ignored(each), each
    # and what it installs from is what it copied, or made of that
    named = set(re.findall(r"/opt/quantmake/(\w+\.txt)", " ".join(texts("RUN"))))
    assert named == {"requirements.txt", "cloud.txt", "plugins.txt"}


@pytest.mark.parametrize("path", ["results/x/a.parquet", ".work/x", ".venv/bin/python", ".git/HEAD", "config.yaml"])
def test_nothing_else_of_the_checkout_is_sent_to_the_build(path):
    assert ignored(path)
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


def test_the_wheels_it_keeps_are_those_of_the_pinned_storage_plugins():
    (line,) = [text for text in texts("RUN") if "pip download" in text]
    grep, download = line.split(" && ")
    chosen = grep.split(" > ")[0].replace("/opt/quantmake/cloud.txt", str(ROOT / "envs/cloud.txt"))
    found = subprocess.run(chosen, shell=True, capture_output=True, text=True, check=True).stdout.split()
    assert {each.split("==")[0] for each in found} == {
        f"snakemake-storage-plugin-{each}" for each in ("s3", "gcs", "fs")
    }
    assert all("==" in each for each in found) and f"--dest {variables()['PIP_FIND_LINKS']} " in download
    # without these a job's own `pip install` asks the network, and takes what is newest there
    assert variables()["PIP_NO_INDEX"] == variables()["PIP_NO_DEPS"] == "1"
    # and the settings come after what the image itself installs
    order = [keyword for keyword, text in instructions() if "pip " in text or keyword == "ENV"]
    assert order == ["RUN", "RUN", "ENV"]


def test_jobs_are_no_root_and_the_image_holds_no_secret_and_no_path_of_a_machine():
    assert texts("USER") == ["1000"] and [keyword for keyword, _ in instructions()][-2:] == ["USER", "WORKDIR"]
    assert not [name for name in variables() if re.search("KEY|TOKEN|SECRET|PASSWORD", name)]
    assert not re.search(r"https?:|/home/|/root/|/work/|/tmp/", (ROOT / "Containerfile").read_text())
