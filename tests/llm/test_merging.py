"""Merged models: equal to mergekit's, to the formulas, and to themselves; what does not fit is refused before work."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from scripts.common.errors import StudyError
from scripts.llm import merging, weights
from scripts.llm.bases import merge
from tests.llm import freeze_mergekit

DEFAULTS = {"t": 0.5, "density": 0.5, "onto": None, "dtype": None, "shard": "5GB"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """``{name: (folder, index)}``."""
    made = freeze_mergekit.make_models(tmp_path_factory.mktemp("models"))
    return {name: with_index(folder) for name, folder in made.items()}


def with_index(folder):
    index = folder.with_name(f"{folder.name}.index.json")
    weights.write_index(folder, index, {})
    return folder, index


def build(settings, models, folder, *, seed=1, threads=1):
    """``(Weights, facts)`` of a merge."""
    settings = DEFAULTS | settings
    names = [*settings["models"], *([settings["onto"]] if settings["onto"] else [])]
    given = {"texts": [], "models": {name: models[name] for name in dict.fromkeys(names)}}
    facts = merge.build(settings, given, folder, seed=seed, threads=threads)
    return weights.Weights(folder), facts


def random(*shape, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype("float32"))


@pytest.mark.parametrize("case", freeze_mergekit.CASES)
def test_it_is_what_mergekit_makes(case, models, tmp_path):
    frozen = {name: values for name, values in load_file(freeze_mergekit.VALUES).items() if name.startswith(f"{case}/")}
    made, _ = build(freeze_mergekit.CASES[case], models, tmp_path / "merged")
    assert {f"{case}/{name}" for name in made.names} == set(frozen)
    for name in made.names:
        ours, theirs = freeze_mergekit.sampled(made.read(name).numpy()), frozen[f"{case}/{name}"]
        assert np.abs(ours - theirs)[:-2].max() < 1e-6, name
        assert np.abs(ours - theirs)[-2:].max() < 1e-6 * max(1, theirs[-1]), name


def test_slerp_keeps_the_length_and_ends_where_it_should():
    one, two = random(30, 50), random(30, 50, seed=1)
    two *= one.norm() / two.norm()
    half = merging.slerp(one, two, 0.5, torch.float64)
    assert float(half.norm()) == pytest.approx(float(one.norm()), rel=1e-6)
    assert torch.equal(merging.slerp(one, two, 0.0, torch.float32), one)
    assert torch.equal(merging.slerp(one, two, 1.0, torch.float32), two)


def test_a_list_of_t_runs_over_the_layers():
    at = [merging.at_layer([0.0, 1.0, 0.5], f"model.layers.{layer}.mlp.up_proj.weight", 5) for layer in range(5)]
    assert at == [0.0, 0.5, 1.0, 0.75, 0.5]
    for name in ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"):
        assert merging.at_layer([0.2, 1.0], name, 5) == 0.2
        assert merging.at_layer(0.7, name, 5) == 0.7


def test_ties_keeps_the_largest_takes_the_elected_sign_and_averages_it():
    onto = torch.zeros(4, dtype=torch.float64)
    one, two = torch.tensor([9.0, -8.0, 1.0, 7.0]), torch.tensor([3.0, 9.0, 8.0, 1.0])
    made = merging.ties([one, two], [1.0, 1.0], onto, 0.75, torch.float64)
    assert made.tolist() == [6.0, 9.0, 8.0, 7.0]  # 1s are trimmed; 9 outvotes -8; 9 and 3 are averaged


def test_of_equal_values_ties_keeps_as_many_as_the_density_says():
    onto, one = torch.zeros(100), torch.ones(100)
    assert merging.ties([one], [1.0], onto, 0.37, torch.float32).tolist() == [1.0] * 37 + [0.0] * 63


def test_pieces_of_a_large_tensor_make_one_result(monkeypatch):
    onto, one, two = (random(40, 30, seed=seed).round(decimals=1) for seed in range(3))  # many equal values
    settings = ([one, two], [0.7, 0.4], onto, 0.3)
    whole = (
        merging.slerp(one, two, 0.3, torch.float32),
        merging.ties(*settings, torch.float32),
        merging.dare(*settings, [1, 2], torch.float32),
    )
    monkeypatch.setattr(merging, "PIECE", 64)
    pieces = (
        merging.slerp(one, two, 0.3, torch.float32),
        merging.ties(*settings, torch.float32),
        merging.dare(*settings, [1, 2], torch.float32),
    )
    assert torch.allclose(whole[0], pieces[0], atol=1e-6)
    assert torch.equal(whole[1], pieces[1])
    assert torch.equal(whole[2], pieces[2]) and not torch.equal(whole[2], onto)


def test_dare_drops_a_share_and_keeps_the_expectation():
    onto, one = random(200, 100), random(200, 100, seed=1)
    made = merging.dare([one], [0.5], onto, 0.2, [7], torch.float64)
    delta, kept = (one - onto).double(), made != onto.double()
    assert kept.double().mean().item() == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / 20000) ** 0.5)
    assert torch.allclose((made - onto)[kept], 0.5 * delta[kept] / 0.2)
    draws = [merging.dare([one], [0.5], onto, 0.5, [seed], torch.float64) - onto for seed in range(60)]
    error = (torch.stack(draws).mean(dim=0) - 0.5 * delta) / (0.5 * delta.abs() / 60**0.5)
    assert float((error**2).mean()) == pytest.approx(1, abs=0.1)
    assert torch.allclose(merging.dare([one], [1.0], onto, 1.0, [7], torch.float32), one, atol=1e-6)


def test_what_dare_draws_depends_on_seed_model_and_tensor_alone(models, tmp_path):
    settings = {"method": "dare", "models": {"one": 1, "two": 1}, "onto": "base"}
    one, _ = build(settings, models, tmp_path / "one")
    again, _ = build(settings | {"models": {"two": 1, "one": 1}, "shard": "1MB"}, models, tmp_path / "again")
    other, _ = build(settings, models, tmp_path / "other", seed=2)
    for name in one.names:
        assert torch.allclose(one.read(name), again.read(name), atol=1e-6)
    assert not torch.equal(one.read("lm_head.weight"), other.read("lm_head.weight"))
    assert merging.seed_of(1, "one", "a") != merging.seed_of(1, "one", "b") != merging.seed_of(1, "two", "b")


@pytest.mark.parametrize("method", ["slerp", "linear", "ties", "dare"])
def test_equal_bytes_whatever_the_threads(method, models, tmp_path):
    settings = {
        "method": method,
        "models": {"one": 1, "two": 2},
        "onto": "base" if method in ("ties", "dare") else None,
    }
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            build(settings, models, tmp_path / str(threads), threads=threads)
    finally:
        torch.set_num_threads(before)
    assert weights.digests(tmp_path / "1") == weights.digests(tmp_path / "2")


def test_sums_of_large_tensors_do_not_depend_on_the_threads():
    one, two = random(1500, 1000), random(1500, 1000, seed=1)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append((merging._dot(one, two), merging.slerp(one, two, 0.3, torch.float64)))
    finally:
        torch.set_num_threads(before)
    assert found[0][0] == found[1][0] == pytest.approx(float((one.double() * two.double()).sum()), abs=1e-6)
    assert torch.equal(found[0][1], found[1][1])


def test_shards_in_and_out(models, tmp_path):
    source = weights.Weights(models["two"][0])
    writer = weights.Writer(tmp_path / "two", 4000)
    for name in source.names:
        writer.add(name, source.read(name))
    writer.close()
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(models["two"][0] / name, tmp_path / "two" / name)
    sharded = models | {"two": with_index(tmp_path / "two")}
    assert (tmp_path / "two" / weights.SHARDED).exists()
    settings = {"method": "linear", "models": {"one": 1, "two": 1}}
    whole, _ = build(settings, models, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge.local, "BYTES", {"MB": 4000})
        parts, _ = build(settings | {"shard": "1MB"}, sharded, tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("model-*-of-*.safetensors"))) > 3
    assert all(torch.equal(whole.read(name), parts.read(name)) for name in whole.names)
    total = json.loads((tmp_path / "parts" / weights.SHARDED).read_text())["metadata"]["total_size"]
    assert total == sum(4 * whole.read(name).numel() for name in whole.names)


def test_the_result_has_the_format_that_was_asked_for(models, tmp_path):
    settings = {"method": "linear", "models": {"one": 1, "two": 1}}
    made, _ = build(settings | {"dtype": "bfloat16"}, models, tmp_path / "half")
    assert {made.dtype(name) for name in made.names} == {"BF16"}
    assert made.config["dtype"] == "bfloat16"
    made, facts = build(settings, models, tmp_path / "own")
    assert {made.dtype(name) for name in made.names} == {"F32"}
    assert made.config == weights.Weights(models["one"][0]).config
    assert (tmp_path / "own/tokenizer.json").read_bytes() == (models["one"][0] / "tokenizer.json").read_bytes()
    assert facts["models"] == {"one": 1, "two": 1} and set(facts["parents"]) == {"one", "two"}
    assert str(tmp_path) not in json.dumps(facts)


def altered(models, name, folder, config=(), tokenizer=None, tensors=()):
    """The models with a changed copy of one of them."""
    shutil.copytree(models[name][0], folder)
    content = json.loads((folder / "config.json").read_text()) | dict(config)
    (folder / "config.json").write_text(json.dumps(content))
    if tokenizer:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    if tensors:
        save_file(load_file(folder / "model.safetensors") | tensors, folder / "model.safetensors", {"format": "pt"})
    return models | {name: with_index(folder)}


def test_everything_that_does_not_fit_is_named_in_one_error(models, tmp_path):
    words = {f"w{number}": number for number in range(38)} | {"x": 39}
    up = "model.layers.{}.mlp.up_proj.weight"
    wrong = altered(
        models,
        "two",
        tmp_path / "two",
        config={"num_key_value_heads": 2, "model_type": "llama", "hidden_size": 8},
        tokenizer={"model": {"vocab": words}, "added_tokens": [{"content": "w38", "id": 38}]},
        tensors={up.format(n): np.zeros((31, 16), "float32") for n in range(2)} | {"extra": np.zeros(2, "float32")},
    )
    with pytest.raises(StudyError) as caught:
        build({"method": "slerp", "models": {"one": 1, "two": 1}}, wrong, tmp_path / "merged")
    said = str(caught.value)
    for each in (
        "model_type is qwen2 in one and llama in two",
        "hidden_size is 16 in one and 8 in two",
        "num_key_value_heads is 1 in one and 2 in two",
        "2 tokens differ ('w39' is 39 and None, 'x' is None and 39)",
        "model.layers.*.mlp.up_proj.weight is [32, 16] in one and [31, 16] in two (layers 0, 1)",
        "extra is only in two",
    ):
        assert each in said
    assert not (tmp_path / "merged").exists()


def test_settings_that_may_differ_are_recorded(models, tmp_path):
    other = altered(models, "two", tmp_path / "two", config={"rope_theta": 1e6})
    _, facts = build({"method": "linear", "models": {"one": 1, "two": 1}}, other, tmp_path / "merged")
    assert facts["differences"] == {"rope_theta": {"one": None, "two": 1e6}}


@pytest.mark.parametrize("format_", ["int8", "nan"])
def test_quantised_and_damaged_weights_are_refused(format_, models, tmp_path):
    name = "model.layers.1.mlp.up_proj.weight"
    values = np.ones((32, 16), "int8") if format_ == "int8" else np.full((32, 16), np.nan, "float32")
    wrong = altered(models, "two", tmp_path / "two", tensors={name: values})
    with pytest.raises(StudyError, match="unquantised" if format_ == "int8" else "not finite"):
        build({"method": "linear", "models": {"one": 1, "two": 1}}, wrong, tmp_path / "merged")


def test_a_base_that_was_altered_is_refused(models, tmp_path):
    altered_models = altered(models, "two", tmp_path / "two")
    with open(tmp_path / "two/model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(StudyError, match="altered"):
        build({"method": "linear", "models": {"one": 1, "two": 1}}, altered_models, tmp_path / "merged")


PEAK = """
import sys
from pathlib import Path
from scripts.llm.bases import merge

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024

settings = {"method": "ties", "models": {"one": 1, "two": 1}, "onto": "base", "density": 0.5}
settings |= {"dtype": None, "shard": "1MB"}
for folder in map(Path, sys.argv[1:]):
    before = peak()
    given = {name: (folder / name, folder / f"{name}.index.json") for name in ("one", "two", "base")}
    merge.build(settings, {"models": given}, folder / "merged", seed=1, threads=1)
print(peak() - before)
"""


def test_it_needs_the_memory_of_a_few_tensors_not_of_a_model(models, tmp_path):
    """Of three models of 20 tensors: those of one name, the sizes of a difference, the result; and the pieces."""
    for seed, name in enumerate(("base", "one", "two")):
        draws, folder = np.random.RandomState(seed), tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": "qwen2", "num_hidden_layers": 20}))
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {}}}))
        tensors = {f"model.layers.{n}.mlp.up_proj.weight": draws.bytes(2**20) for n in range(20)}
        tensors = {key: np.frombuffer(each, "int8").astype("float32") for key, each in tensors.items()}
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        with_index(folder)
    warm = models["base"][0].parent
    done = subprocess.run([sys.executable, "-c", PEAK, warm, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tensor = 4 * 2**20
    assert int(done.stdout) < 12 * tensor, f"{int(done.stdout) / 1e6:.0f} MB for tensors of {tensor / 1e6:.0f} MB"
