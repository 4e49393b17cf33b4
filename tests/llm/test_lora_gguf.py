"""An exported adapter does in llama.cpp what it does in PEFT and can be turned off; what llama.cpp lacks is refused."""

import json
import shutil
import urllib.request

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.llm import convert_gguf, export_lora_gguf, gguf_adapters, merge_adapter
from tests.llm.models import make_adapter, make_base

# PEFT's own use of a name that transformers 5 deprecated
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
IDS = [5, 77, 100, 200, 33, 9]
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("bases") / "base", scale=2.0)


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    return make_adapter(base[0], tmp_path_factory.mktemp("adapters") / "lora", targets=LAYERS)


def export(base, adapter, path):
    inputs = {
        "adapter": adapter / "adapter_model.safetensors",
        "config": adapter / "adapter_config.json",
        "model": base[0],
        "index": base[1],
    }
    export_lora_gguf.main(Job(inputs, [path], {"name": "tiny-lora", "base": "tiny"}))
    return path


def altered(adapter, folder, **settings):
    """A copy of an adapter with other settings."""
    shutil.copytree(adapter, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | settings))
    return folder


def renamed(adapter, folder, rename):
    """A copy of an adapter with other names of tensors; None leaves one out."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, folder)
    held = load_file(folder / "adapter_model.safetensors")
    held = {rename(name): tensor for name, tensor in held.items() if rename(name)}
    save_file(held, folder / "adapter_model.safetensors")
    return folder


def expected(base, adapter=None):
    """Log-probabilities of every token after IDS, by transformers and PEFT."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base[0])
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return torch.log_softmax(model.eval()(torch.tensor([IDS])).logits[0, -1].double(), -1).numpy()


class Server:
    """llama.cpp with exact arithmetic, the GGUF file that rule convert_gguf makes of a model, and an adapter."""

    def __init__(self, base, adapter, folder):
        import xllamacpp

        convert_gguf.main(
            Job({"model": base[0], "index": base[1]}, [folder / "base.gguf"], {"quant": "F32", "name": "base"})
        )
        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.n_parallel, params.port = str(folder / "base.gguf"), 64, 1, 0
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.warmup, params.verbosity = False, 0
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        self.server = xllamacpp.Server(params)

    def ask(self, path, body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def log_probabilities(self, vocabulary, **options):
        # "!" is forced to be chosen: where a part of a character is, llama.cpp keeps the probabilities to itself
        (mark,) = self.ask("/tokenize", {"content": "!"})["tokens"]
        body = {"prompt": IDS, "n_predict": 1, "n_probs": vocabulary, "logit_bias": [[mark, 1000]], **options}
        said = self.ask("/completion", body | {"temperature": 0, "cache_prompt": False})["completion_probabilities"]
        found = {each["id"]: each["logprob"] for each in said[0]["top_logprobs"]}
        return np.array([found[token] for token in range(vocabulary)])


def test_llama_cpp_does_with_the_adapter_what_peft_does(base, adapter, tmp_path):
    on, off = expected(base, adapter), expected(base)
    assert np.abs(on - off).max() > 0.1
    server = Server(base, export(base, adapter, tmp_path / "lora.gguf"), tmp_path)
    assert np.abs(server.log_probabilities(len(on)) - on).max() < 1e-4
    server.ask("/lora-adapters", [{"id": 0, "scale": 0.0}])
    assert np.abs(server.log_probabilities(len(on)) - off).max() < 1e-4
    lora = [{"id": 0, "scale": 1.0}]
    assert np.abs(server.log_probabilities(len(on), lora=lora) - on).max() < 1e-4


def test_beside_the_merged_model_the_adapter_would_count_twice(base, adapter, tmp_path):
    """Why the base gets a file of its own: llama.cpp loads the adapter beside either without a word."""
    files = {"adapter": adapter / "adapter_model.safetensors", "config": adapter / "adapter_config.json"}
    merged = tmp_path / "merged", tmp_path / "merged.index.json"
    output = {"folder": merged[0], "index": merged[1]}
    params = {"base": "tiny", "recipe": "r", "shard": "5GB"}
    merge_adapter.main(Job({"model": base[0], "index": base[1]} | files, output, params))
    server, on = Server(merged, export(base, adapter, tmp_path / "lora.gguf"), tmp_path), expected(base, adapter)
    assert np.abs(server.log_probabilities(len(on)) - on).max() > 0.1
    server.ask("/lora-adapters", [{"id": 0, "scale": 0.0}])
    assert np.abs(server.log_probabilities(len(on)) - on).max() < 1e-4


def test_rank_stabilised_adapters_keep_their_scale(base, adapter, tmp_path):
    stabilised = altered(adapter, tmp_path / "rs", use_rslora=True)
    on = expected(base, stabilised)
    assert np.abs(on - expected(base, adapter)).max() > 0.1
    server = Server(base, export(base, stabilised, tmp_path / "rs.gguf"), tmp_path)
    assert np.abs(server.log_probabilities(len(on)) - on).max() < 1e-4


def test_the_file_holds_the_matrices_and_says_what_it_is(base, adapter, tmp_path):
    from gguf import GGUFReader
    from safetensors.torch import load_file

    read = GGUFReader(export(base, adapter, tmp_path / "lora.gguf"))
    found = {key: field.contents() for key, field in read.fields.items() if not key.startswith("GGUF.")}
    assert found == {
        "general.architecture": "qwen2",
        "general.type": "adapter",
        "general.name": "tiny-lora",
        "general.base_model.count": 1,
        "general.base_model.0.name": "tiny",
        "general.quantization_version": 2,
        "adapter.type": "lora",
        "adapter.lora.alpha": 16.0,
    }
    held = load_file(adapter / "adapter_model.safetensors")
    made = {each.name: each for each in read.tensors}
    assert len(made) == len(held) == 2 * 2 * len(LAYERS)
    for side in "ab":
        source = held[f"base_model.model.model.layers.1.mlp.down_proj.lora_{side.upper()}.weight"].numpy()
        assert made[f"blk.1.ffn_down.weight.lora_{side}"].data.tobytes() == source.tobytes()


def test_equal_bytes_twice_and_half_the_size_in_f16(base, adapter, tmp_path):
    first = export(base, adapter, tmp_path / "a.gguf").read_bytes()
    moved = tmp_path / "moved"
    shutil.copytree(adapter, moved)
    assert export(base, moved, tmp_path / "b.gguf").read_bytes() == first
    files = adapter / "adapter_model.safetensors", adapter / "adapter_config.json"
    gguf_adapters.convert(*files, base[0], tmp_path / "half.gguf", "tiny-lora", "tiny", "F16")
    assert len((tmp_path / "half.gguf").read_bytes()) < 0.6 * len(first)
    with pytest.raises(StudyError, match="not Q8_0"):
        gguf_adapters.convert(*files, base[0], tmp_path / "x.gguf", "tiny-lora", "tiny", "Q8_0")


def test_dora_is_refused_with_the_way_to_go(base, tmp_path):
    dora = make_adapter(base[0], tmp_path / "dora", method="dora")
    with pytest.raises(StudyError, match=r"llama\.cpp has no DoRA.*merge it into its base"):
        export(base, dora, tmp_path / "x.gguf")
    assert not list(tmp_path.glob("*.gguf"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, "is a IA3 adapter"),
        ({"alpha_pattern": {"q_proj": 4}}, "one alpha"),
        ({"rank_pattern": {"q_proj": 4}}, "one alpha"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"a_variant_of_tomorrow": True}, "a_variant_of_tomorrow"),
        ({"init_lora_weights": "pissa"}, "alters the base"),
        ({"r": 4}, r"says r 4, the tensors have \[8\]"),
    ],
)
def test_settings_without_a_counterpart_are_refused(base, adapter, tmp_path, settings, message):
    with pytest.raises(StudyError, match=message):
        export(base, altered(adapter, tmp_path / "other", **settings), tmp_path / "x.gguf")


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (lambda name: name.replace("mlp.up_proj", "mlp.router"), r"router.* is no LoRA matrix"),
        (lambda name: name.replace("layers.1.", "layers.7."), r"layers\.7.* is no LoRA matrix"),
        (lambda name: name.replace("model.layers.0.mlp.up_proj", "lm_head"), "lm_head.* is no LoRA matrix"),
        (lambda name: name.replace("layers.0.mlp.up_proj", "embed_tokens"), "embed_tokens.* is no LoRA matrix"),
        (lambda name: name.replace("lora_A.weight", "lora_embedding_A"), "lora_embedding_A is no LoRA matrix"),
        (lambda name: None if "0.mlp.up_proj.lora_B" in name else name, "one of its two"),
    ],
)
def test_unknown_targets_are_refused(base, adapter, tmp_path, rename, message):
    with pytest.raises(StudyError, match=message):
        export(base, renamed(adapter, tmp_path / "other", rename), tmp_path / "x.gguf")


def test_an_adapter_of_another_base_and_an_altered_base_are_refused(base, adapter, tmp_path):
    shape = {"hidden": 512, "intermediate": 256, "layers": 2, "heads": 4, "kv_heads": 2, "context": 64}
    other = make_base(tmp_path / "other", shape=shape)
    with pytest.raises(StudyError, match="trained on another base"):
        export(other, adapter, tmp_path / "x.gguf")
    (other[0] / "config.json").write_text("{}")
    with pytest.raises(StudyError, match=r"config\.json was altered"):
        export(other, adapter, tmp_path / "x.gguf")
