"""Merged adapters are what PEFT makes of them; adapters of another base or kind are refused."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.llm import adapters, merge_adapter, weights
from tests.llm.models import make_adapter, make_base

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
EMBEDDINGS = "model.embed_tokens.weight"
SHAPE = {"hidden": 64, "intermediate": 128, "layers": 2, "heads": 4, "kv_heads": 2, "context": 128}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """``(folder, index)``."""
    return make_base(tmp_path_factory.mktemp("base") / "tiny", shape=SHAPE, vocabulary=320)


@pytest.fixture(scope="module")
def made(base, tmp_path_factory):
    """``{method: folder}`` of adapters on it."""
    folder = tmp_path_factory.mktemp("adapters")
    return {
        method: make_adapter(base[0], folder / method, method=method, targets=TARGETS) for method in ("lora", "dora")
    }


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the LoRA adapter, to alter."""
    return shutil.copytree(made["lora"], tmp_path / "adapter")


def merge(base, adapter, folder, threads=1, shard="5GB"):
    """``(Weights, index)`` of the base with the adapter."""
    output = {"folder": folder, "index": folder.with_name(f"{folder.name}.index.json")}
    inputs = {"model": base[0], "index": base[1], "adapter": adapter / adapters.WEIGHTS}
    inputs["config"] = adapter / adapters.CONFIG
    params = {"base": "tiny", "recipe": "mine", "shard": shard}
    merge_adapter.main(Job(input=inputs, output=output, params=params, threads=threads))
    return weights.Weights(folder), json.loads(output["index"].read_text())


def set_config(folder, **values):
    path = folder / adapters.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def peft_model(base, adapter):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(str(base[0])), str(adapter)).eval()


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_it_is_what_peft_makes(method, base, made, tmp_path):
    from transformers import AutoModelForCausalLM

    merged, index = merge(base, made[method], tmp_path / "merged")
    model = peft_model(base, made[method])
    ids = torch.arange(40).reshape(2, 20)
    with torch.no_grad():
        adapted = model(ids).logits
        plain = AutoModelForCausalLM.from_pretrained(str(base[0]))(ids).logits
        alone = AutoModelForCausalLM.from_pretrained(str(tmp_path / "merged"))(ids).logits
    theirs = model.merge_and_unload().state_dict()
    original, changed = weights.Weights(base[0]), 0
    for name in merged.names:
        assert (merged.read(name) - theirs[name]).abs().max() < 1e-6, name
        changed += not torch.equal(merged.read(name), original.read(name))
    assert changed == index["merged_layers"] == 2 * len(TARGETS)
    assert "lm_head.weight" not in merged.names and torch.equal(theirs["lm_head.weight"], original.read(EMBEDDINGS))
    assert (alone - adapted).abs().max() < 1e-4 < 0.01 < (alone - plain).abs().max()


def test_rank_stabilised_scale(base, copied, tmp_path):
    set_config(copied, use_rslora=True)
    assert adapters.read(copied).layers["model.layers.0.self_attn.q_proj.weight"].scale == 16 / 8**0.5
    merged, _ = merge(base, copied, tmp_path / "merged")
    theirs = peft_model(base, copied).merge_and_unload().state_dict()
    assert all((merged.read(name) - theirs[name]).abs().max() < 1e-6 for name in merged.names)


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_equal_bytes_for_two_runs_whatever_the_threads(method, base, made, tmp_path):
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            merge(base, made[method], tmp_path / str(threads), threads=threads)
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "1.index.json").read_bytes() == (tmp_path / "2.index.json").read_bytes()
    assert weights.digests(tmp_path / "1") == weights.digests(tmp_path / "2")


def test_the_folder_is_a_whole_model_and_says_what_it_was_made_of(base, made, tmp_path):
    folder = tmp_path / "merged"
    _, index = merge(base, made["lora"], folder)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (folder / name).exists() == (base[0] / name).exists()
    assert weights.check(folder, folder.with_name("merged.index.json")) == index
    assert index["schema"] == "quantmake/model/1"
    assert index["adapter"] == weights.sha256(made["lora"] / adapters.WEIGHTS)
    assert (index["base"], index["recipe"], len(index["base_digest"])) == ("tiny", "mine", 64)
    assert str(tmp_path) not in json.dumps(index)


def test_shards_and_the_bases_own_number_format(base, made, tmp_path):
    half = shutil.copytree(base[0], tmp_path / "half")
    tensors = {name: each.bfloat16() for name, each in load_file(half / weights.SINGLE).items()}
    save_file(tensors, half / weights.SINGLE, {"format": "pt"})
    index = tmp_path / "half.index.json"
    weights.write_index(half, index, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_adapter.local, "BYTES", {"MB": 50_000})
        merged, _ = merge((half, index), made["lora"], tmp_path / "merged", shard="1MB")
    assert len(list((tmp_path / "merged").glob("model-*-of-*.safetensors"))) > 1
    assert {merged.dtype(name) for name in merged.names} == {"BF16"}
    layer = adapters.read(made["lora"]).layers["model.layers.1.mlp.up_proj.weight"]
    weight = tensors["model.layers.1.mlp.up_proj.weight"]
    wanted = (weight.float() + 2 * layer.b @ layer.a).bfloat16()
    assert torch.equal(merged.read("model.layers.1.mlp.up_proj.weight"), wanted)


def test_a_base_that_was_altered_is_refused(base, made, tmp_path):
    folder = shutil.copytree(base[0], tmp_path / "tiny")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(StudyError, match="tokenizer.json was altered"):
        merge((folder, base[1]), made["lora"], tmp_path / "merged")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"layers": 1}, "the base has no model.layers.1.mlp.down_proj.weight; .* (and 2 more)"),
        (
            {"intermediate": 64},
            "model.layers.0.mlp.down_proj.weight is [64, 64] in the base and [64, 128] in the adapter",
        ),
    ],
)
def test_an_adapter_of_another_base_is_refused_with_its_layers(shape, said, made, tmp_path):
    other = make_base(tmp_path / "other", shape=SHAPE | shape, vocabulary=320)
    with pytest.raises(StudyError, match=re.escape(said).replace(r"\.\*", ".*")):
        merge(other, made["lora"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_damaged_weights_are_not_merged(base, copied, tmp_path):
    tensors = load_file(copied / adapters.WEIGHTS)
    name = next(each for each in tensors if "lora_B" in each)
    save_file(tensors | {name: tensors[name] * float("nan")}, copied / adapters.WEIGHTS)
    with pytest.raises(StudyError, match="not finite"):
        merge(base, copied, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"bias": "all"}, "bias 'all'"),
        ({"r": 4}, "r, use_dora"),
        ({"use_dora": True}, "r, use_dora"),
    ],
)
def test_adapters_that_would_be_merged_wrongly_are_refused(config, said, copied):
    adapters.read(copied)
    set_config(copied, **config)
    with pytest.raises(StudyError, match=said):
        adapters.read(copied)


@pytest.mark.parametrize("part", ["lora_embedding_A", "lora_B.bias", "modules_to_save.weight"])
def test_other_tensors_of_peft_are_refused(part, copied):
    tensors = load_file(copied / adapters.WEIGHTS)
    tensors[f"base_model.model.model.layers.0.self_attn.q_proj.{part}"] = torch.zeros(8, 64)
    save_file(tensors, copied / adapters.WEIGHTS)
    with pytest.raises(StudyError, match="no matrix of a LoRA or DoRA"):
        adapters.read(copied)


def test_a_clean_adapter_is_the_same_on_every_machine(made, tmp_path):
    found = []
    for name, targets in (("a", TARGETS), ("b", TARGETS[::-1])):
        folder = shutil.copytree(made["lora"], tmp_path / name)
        set_config(folder, base_model_name_or_path=f"/home/{name}/base", target_modules=targets)
        (folder / "README.md").write_text("made at noon")
        adapters.clean(folder, "tiny")
        found.append({each.name: each.read_bytes() for each in folder.iterdir()})
    assert found[0] == found[1]
    assert set(found[0]) == {adapters.WEIGHTS, adapters.CONFIG}
    assert json.loads(found[0][adapters.CONFIG])["base_model_name_or_path"] == "tiny"
