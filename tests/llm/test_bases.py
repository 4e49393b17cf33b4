"""Bases of a folder and of the hub: complete and harmless, or refused with what is wrong."""

import http.server
import json
import os
import threading
import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from scripts.common.errors import StudyError
from scripts.llm import bases, weights
from scripts.llm.bases import hub, local

NAME, COMMIT = "someone/Tiny-Model", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path):
    """A model folder with more than a base needs."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_text(json.dumps({"model_type": "qwen2"}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    save_file({"a": torch.ones(2, 3), "b": torch.zeros(4)}, folder / "model.safetensors")
    (folder / "README.md").write_text("hello")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


KEPT = {
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "model.safetensors",
}


def shard(folder):
    """The model's weights as two shards."""
    (folder / "model.safetensors").unlink()
    places = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for name, file in places.items():
        save_file({name: torch.ones(2, 3)}, folder / file)
    (folder / weights.SHARDED).write_text(json.dumps({"weight_map": places}))
    return places


def build(folder, target):
    """A base of kind local of the folder, which the settings name by a variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_MODELS", str(folder.parent))
        settings = {"kind": "local", "path": f"$MY_MODELS/{folder.name}"}
        return bases.load("local").build(settings, {}, target, seed=1, threads=1)


def set_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_kinds_are_found_by_name():
    assert bases.available() == ["hub", "local", "merge", "scratch"]
    with pytest.raises(StudyError, match="no kind of base 'huggingface'; there are: hub, local, merge, scratch"):
        bases.load("huggingface")


def test_only_what_a_base_needs_is_taken(model, tmp_path):
    facts = build(model, tmp_path / "base")
    assert {each.name for each in (tmp_path / "base").iterdir()} == KEPT
    assert facts == {"weights": ["model.safetensors"], "tensors": 2, "parameters": 10}
    assert {Path(each) for each in local.files(model)} == {model / name for name in KEPT}


def test_what_the_user_writes_into_the_folder_later_does_not_reach_the_base(model, tmp_path):
    build(model, tmp_path / "base")
    before = weights.digests(tmp_path / "base")
    for name in KEPT:
        with open(model / name, "r+b") as file:
            file.write(b"other")
    assert weights.digests(tmp_path / "base") == before


def test_weights_of_the_cache_are_linked_and_copied_where_that_is_impossible(server, tmp_path, monkeypatch):
    fetch(tmp_path / "linked")
    blobs = tmp_path / f"cache/models--{NAME.replace('/', '--')}/blobs"
    assert any(os.path.samefile(each, tmp_path / "linked/model.safetensors") for each in blobs.iterdir())
    assert not any(os.path.samefile(each, tmp_path / "linked/config.json") for each in blobs.iterdir())
    monkeypatch.setattr(local.os, "link", lambda *_: (_ for _ in ()).throw(OSError("another device")))
    fetch(tmp_path / "copied")
    assert weights.digests(tmp_path / "copied") == weights.digests(tmp_path / "linked")


def test_shards_are_taken_with_their_index(model, tmp_path):
    places = shard(model)
    assert build(model, tmp_path / "base")["weights"] == [weights.SHARDED, *sorted(places.values())]
    kept = KEPT - {"model.safetensors"} | {weights.SHARDED, *places.values()}
    assert {Path(each) for each in local.files(model)} == {model / name for name in kept}
    assert weights.Weights(tmp_path / "base").shape("b") == (2, 3)


def without(name):
    return lambda folder: (folder / name).unlink()


def pickle_only(folder):
    (folder / "model.safetensors").unlink()


def missing_shard(folder):
    (folder / shard(folder)["b"]).unlink()


def wrong_index(folder):
    places = shard(folder)
    (folder / weights.SHARDED).write_text(json.dumps({"weight_map": places | {"c": places["a"]}}))


def leaving_index(folder):
    shard(folder)
    (folder / weights.SHARDED).write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))


def both(folder):
    whole = (folder / "model.safetensors").read_bytes()
    shard(folder)
    (folder / "model.safetensors").write_bytes(whole)


DEFECTS = {
    "two sets of weights": (both, "both model.safetensors and model.safetensors.index.json: remove the one"),
    "no index": (
        lambda folder: (without("model.safetensors")(folder), (folder / weights.SHARDED).write_text("[]")),
        "is no index of shards",
    ),
    "no config": (without("config.json"), "it has no config.json"),
    "no tokenizer": (without("tokenizer.json"), "it has no tokenizer.json .a slow tokenizer is converted"),
    "pickle": (pickle_only, "no model.safetensors .pytorch_model.bin is a pickle, which is never read"),
    "absent shard": (missing_shard, "no model-00002-of-00002.safetensors, which model.safetensors.index.json names"),
    "wrong index": (wrong_index, "differ in 1 tensors .c"),
    "index that leaves the folder": (leaving_index, "names ../secret.safetensors"),
    "code": (lambda folder: set_json(folder / "config.json", auto_map={"AutoModel": "own.M"}), "code of its own"),
    "quantised": (
        lambda folder: set_json(folder / "config.json", quantization_config={"quant_method": "gptq"}),
        r"quantised \(gptq\)",
    ),
    "pointer of git-lfs": (
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "no whole safetensors file",
    ),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json is no JSON"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_what_cannot_be_a_base_is_refused(defect, model, tmp_path):
    spoil, said = DEFECTS[defect]
    spoil(model)
    with pytest.raises(StudyError, match=f"the folder .MY_MODELS/model cannot be a base: .*{said}"):
        build(model, tmp_path / "base")
    local.files(model)  # a plan can be made whatever is wrong with it
    assert not (tmp_path / "base").exists()


def test_all_that_is_wrong_is_said_at_once(model, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()
    set_json(model / "config.json", auto_map={})
    with pytest.raises(StudyError, match="no tokenizer.json.*; it has no tokenizer_config.json; .*auto_map"):
        build(model, tmp_path / "base")
    with pytest.raises(StudyError, match="there is no such folder"):
        build(model / "nowhere", tmp_path / "base")


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download needs; ``server.answer`` is an error that it gives, ``server.asked`` a log."""

    def do_GET(self):  # noqa: N802
        self.server.asked.append(self.path)
        files = {each.name: each for each in self.server.folder.iterdir()}
        if self.server.answer and self.server.answer["at"] in self.path:
            return self.reply(self.server.answer["status"], b"", {"X-Error-Code": self.server.answer["code"]})
        if "/tree/" in self.path:
            rows = [
                {"type": "file", "path": name, "size": each.stat().st_size, "oid": name.encode().hex().ljust(40, "0")}
                for name, each in files.items()
            ]
            return self.reply(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})
        name = self.path.rsplit("/", 1)[1]
        if name not in files:
            return self.reply(404, b"", {})
        return self.reply(200, files[name].read_bytes(), {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET  # noqa: N815

    def reply(self, status, content, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def use_hub(monkeypatch, url):
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def server(model, tmp_path, monkeypatch):
    """The hub on this machine, and an empty cache."""
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    served.folder, served.answer, served.asked = model, None, []
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    use_hub(monkeypatch, f"http://127.0.0.1:{served.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def fetch(target):
    settings = {"kind": "hub", "id": NAME, "revision": COMMIT}
    return hub.build(settings, {}, target, seed=1, threads=1)


def test_a_commit_is_fetched_once_and_then_needs_no_network(server, tmp_path, monkeypatch):
    facts = fetch(tmp_path / "base")
    assert {each.name for each in (tmp_path / "base").iterdir()} == KEPT
    assert (facts["id"], facts["revision"], facts["parameters"]) == (NAME, COMMIT, 10)
    assert str(tmp_path) not in json.dumps(facts)
    assert not [path for path in server.asked if path.endswith((".bin", ".py", ".md"))]
    assert all(COMMIT in path for path in server.asked if NAME in path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(server.asked)
    assert fetch(tmp_path / "again") == facts
    assert len(server.asked) == asked
    assert weights.digests(tmp_path / "again") == weights.digests(tmp_path / "base")


@pytest.mark.parametrize("offline", [True, False])
def test_without_network_and_cache_it_says_how_to_fill_the_cache(offline, server, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the client waits between its attempts
    use_hub(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(StudyError, match=f"hf download {NAME} --revision {COMMIT}.*HF_HOME"):
        fetch(tmp_path / "base")


@pytest.mark.parametrize(
    ("at", "status", "code", "said"),
    [
        ("/tree/", 404, "RevisionNotFound", f"has no commit {COMMIT}"),
        ("/resolve/", 403, "GatedRepo", f"accept terms: do so at https://huggingface.co/{NAME} and set HF_TOKEN"),
        ("/tree/", 401, "RepoNotFound", "no repository of this name, or it is private: then set HF_TOKEN"),
    ],
)
def test_what_the_hub_refuses_is_explained(at, status, code, said, server, tmp_path):
    server.answer = {"at": at, "status": status, "code": code}
    with pytest.raises(StudyError, match=said):
        fetch(tmp_path / "base")


def test_code_of_a_repository_is_refused(server, model, tmp_path):
    set_json(model / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    with pytest.raises(StudyError, match=f"{NAME} at 0123456789ab cannot be a base: .*never run"):
        fetch(tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_cache_that_lacks_files_is_no_base(server, tmp_path, monkeypatch):
    fetch(tmp_path / "base")
    snapshot = tmp_path / f"cache/models--{NAME.replace('/', '--')}/snapshots/{COMMIT}"
    (snapshot / "model.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(StudyError, match="not wholly"):
        fetch(tmp_path / "again")
