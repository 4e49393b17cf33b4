"""Model folders become GGUF files that hold the same weights and answer the same in llama.cpp."""

import json
import shutil
import sys
import types
import urllib.request

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.llm import convert_gguf, gguf_models, gguf_tokenizers, llama_cpp, weights
from tests.llm.models import SHAPE, make_base

PROMPT = "buy 5 sell 3 the close is above"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """``(folder, index)`` of a base whose attention is sharp enough for positions to matter."""
    return make_base(tmp_path_factory.mktemp("bases") / "base", scale=3.0)


def convert(model, path, quant="F32", name="tiny", threads=1):
    folder, index = model
    convert_gguf.main(Job({"model": folder, "index": index}, [path], {"quant": quant, "name": name}, threads=threads))
    return path


def altered(model, folder, change, file="config.json"):
    """A copy of a model folder with one JSON file changed."""
    shutil.copytree(model[0], folder)
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    change(content)
    (folder / file).write_text(json.dumps(content), encoding="utf-8")
    return folder


def fields(path):
    from gguf import GGUFReader

    return {key: field.contents() for key, field in GGUFReader(path).fields.items() if not key.startswith("GGUF.")}


def tensors(path):
    from gguf import GGUFReader

    return {each.name: each for each in GGUFReader(path).tensors}


def own_name(source):
    from gguf import MODEL_ARCH, get_tensor_name_map

    return get_tensor_name_map(MODEL_ARCH.QWEN2, 9).get_name(source, (".weight", ".bias"))


def serve(path):
    """llama.cpp with exact arithmetic: cache in F32, no flash attention."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.port = str(path), 256, 1, 0
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.verbosity = False, 0
    return xllamacpp.Server(params)


def ask(server, path, body):
    address = f"{server.listening_address}{path}"
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def log_probabilities(server, ids, vocabulary, **options):
    """Of every token after ``ids``, by token; "!" is forced to be chosen, a part of a character would hide them."""
    (mark,) = ask(server, "/tokenize", {"content": "!"})["tokens"]
    body = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": vocabulary, "logit_bias": [[mark, 1000]]}
    said = ask(server, "/completion", body | options)["completion_probabilities"][0]["top_logprobs"]
    assert len(said) == vocabulary
    found = np.zeros(vocabulary)
    found[[each["id"] for each in said]] = [each["logprob"] for each in said]
    return found


def test_f32_holds_the_very_weights(base, tmp_path):
    made = tensors(convert(base, tmp_path / "f32.gguf"))
    read = weights.Weights(base[0])
    assert len(made) == len(read.names) == 26
    for name in read.names:
        expected = read.read(name).numpy()
        assert made[own_name(name)].data.tobytes() == expected.tobytes(), name
        assert tuple(made[own_name(name)].shape) == expected.shape[::-1]


@pytest.mark.parametrize(("quant", "bound"), [("F16", 2**-11), ("BF16", 2**-8)])
def test_half_formats_round_to_the_nearest(base, tmp_path, quant, bound):
    from gguf import dequantize

    made = tensors(convert(base, tmp_path / "half.gguf", quant))
    read = weights.Weights(base[0])
    for name in read.names:
        each, expected = made[own_name(name)], read.read(name).numpy()
        assert each.tensor_type.name == ("F32" if expected.ndim == 1 else quant)
        found = dequantize(each.data, each.tensor_type).reshape(expected.shape)
        assert np.all(np.abs(found - expected) <= bound * np.abs(expected) + 1e-7)


def test_q8_0_is_within_half_a_step_and_independent_of_threads(base, tmp_path, monkeypatch):
    from gguf import dequantize

    one = convert(base, tmp_path / "one.gguf", "Q8_0")
    monkeypatch.setattr(gguf_models, "CHUNK", 5000)  # several pieces of a matrix
    assert convert(base, tmp_path / "three.gguf", "Q8_0", threads=3).read_bytes() == one.read_bytes()
    read = weights.Weights(base[0])
    for name in read.names:
        each, expected = tensors(one)[own_name(name)], read.read(name).numpy()
        if expected.ndim == 1:
            assert each.data.tobytes() == expected.tobytes()
            continue
        blocks = expected.reshape(-1, 32)
        error = np.abs(dequantize(each.data, each.tensor_type).reshape(-1, 32) - blocks)
        # half a step, and the rounding of the step itself to F16
        assert np.all(error.max(axis=1) <= np.abs(blocks).max(axis=1) * (0.5 / 127 + 2**-11) + 1e-7)
    found = gguf_models.describe(one)
    assert found["tensors"] == {"Q8_0": 15, "F32": 11}
    assert found["bits_per_weight"] == pytest.approx(8.5, abs=0.1)
    assert gguf_models.convert(base[0], tmp_path / "again.gguf", "Q8_0", "tiny") == found


def test_metadata_is_complete(base, tmp_path):
    found = fields(convert(base, tmp_path / "meta.gguf", "Q8_0", name="forex-v2"))
    from gguf import LlamaFileType, TokenType

    numbers = {key.removeprefix("qwen2."): value for key, value in found.items() if key.startswith("qwen2.")}
    assert numbers.pop("attention.layer_norm_rms_epsilon") == pytest.approx(1e-6)
    vocabulary = json.loads((base[0] / "config.json").read_text())["vocab_size"]
    assert numbers == {
        "vocab_size": vocabulary,
        "block_count": SHAPE["layers"],
        "context_length": SHAPE["context"],
        "embedding_length": SHAPE["hidden"],
        "feed_forward_length": SHAPE["intermediate"],
        "attention.head_count": SHAPE["heads"],
        "attention.head_count_kv": SHAPE["kv_heads"],
        "rope.freq_base": 10000.0,
    }
    general = {key: value for key, value in found.items() if key.startswith("general.")}
    assert general.pop("general.size_label").endswith(("K", "M"))
    assert general == {
        "general.architecture": "qwen2",
        "general.type": "model",
        "general.name": "forex-v2",
        "general.file_type": LlamaFileType.MOSTLY_Q8_0,
        "general.quantization_version": 2,
    }
    words = {key.removeprefix("tokenizer."): value for key, value in found.items() if key.startswith("tokenizer.")}
    assert (words["ggml.model"], words["ggml.pre"]) == ("gpt2", "qwen2")
    assert (words["ggml.eos_token_id"], words["ggml.padding_token_id"]) == (2, 0)
    assert words["ggml.add_bos_token"] is False
    assert words["ggml.tokens"][:3] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert words["ggml.token_type"][:4] == [*[TokenType.CONTROL] * 3, TokenType.NORMAL]
    assert len(words["ggml.tokens"]) == len(words["ggml.token_type"]) == vocabulary
    assert words["chat_template"] == (base[0] / "chat_template.jinja").read_text()


def test_equal_bytes_wherever_the_model_lies(base, tmp_path):
    first = convert(base, tmp_path / "a.gguf", "Q8_0").read_bytes()
    moved = tmp_path / "elsewhere" / "other-name"
    shutil.copytree(base[0], moved)
    assert convert((moved, base[1]), tmp_path / "b.gguf", "Q8_0").read_bytes() == first
    assert str(base[0].parent).encode() not in first
    assert convert(base, tmp_path / "c.gguf", "Q8_0", name="another").read_bytes() != first


def test_shards_give_the_same_file(base, tmp_path):
    folder = tmp_path / "sharded"
    shutil.copytree(base[0], folder, ignore=shutil.ignore_patterns("*.safetensors"))
    writer, read = weights.Writer(folder, shard_bytes=500_000), weights.Weights(base[0])
    for name in read.names:
        writer.add(name, read.read(name))
    writer.close()
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    gguf_models.convert(folder, tmp_path / "sharded.gguf", "F16", "tiny")
    assert (tmp_path / "sharded.gguf").read_bytes() == convert(base, tmp_path / "single.gguf", "F16").read_bytes()


def test_untied_embeddings_have_an_output_and_tied_ones_none(base, tmp_path):
    folder = altered(base, tmp_path / "untied", lambda config: config.update(tie_word_embeddings=False))
    with pytest.raises(StudyError, match=r"lacks tensor lm_head\.weight"):
        gguf_models.convert(folder, tmp_path / "x.gguf", "F32", "tiny")
    read = weights.Weights(base[0])
    held = {name: read.read(name) for name in read.names}
    head = held["model.embed_tokens.weight"].flip(0).contiguous()
    write_weights(folder, held | {"lm_head.weight": head})
    gguf_models.convert(folder, tmp_path / "untied.gguf", "F32", "tiny")
    assert tensors(tmp_path / "untied.gguf")["output.weight"].data.tobytes() == head.numpy().tobytes()
    # transformers does not read the head of a tied model, however it came there
    tied = altered(base, tmp_path / "tied", lambda config: None)
    write_weights(tied, held | {"lm_head.weight": head})
    gguf_models.convert(tied, tmp_path / "tied.gguf", "F32", "tiny")
    assert "output.weight" not in tensors(tmp_path / "tied.gguf")


def write_weights(folder, held):
    writer = weights.Writer(folder)
    for name, tensor in held.items():
        writer.add(name, tensor)
    writer.close()


def test_bf16_weights_are_kept_bit_by_bit(base, tmp_path):
    import torch

    folder = altered(base, tmp_path / "half", lambda config: config.update(dtype="bfloat16"))
    read = weights.Weights(base[0])
    write_weights(folder, {name: read.read(name).to(torch.bfloat16) for name in read.names})
    gguf_models.convert(folder, tmp_path / "half.gguf", "BF16", "tiny")
    source, made = weights.Weights(folder), tensors(tmp_path / "half.gguf")
    name = "model.layers.1.mlp.up_proj.weight"
    assert made["blk.1.ffn_up.weight"].data.tobytes() == source.read(name).view(torch.int16).numpy().tobytes()
    assert llama_cpp.lossless(folder) == "BF16"
    assert llama_cpp.lossless(base[0]) == "F32"


def test_rows_that_q8_0_cannot_divide_stay_f16(tmp_path):
    base = make_base(tmp_path / "odd", shape=SHAPE | {"layers": 1, "intermediate": 264})
    made = tensors(convert(base, tmp_path / "odd.gguf", "Q8_0"))
    assert made["blk.0.ffn_down.weight"].tensor_type.name == "F16"
    assert made["blk.0.ffn_up.weight"].tensor_type.name == "Q8_0"


def test_llama_cpp_answers_as_transformers_does(base, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base[0])
    model = AutoModelForCausalLM.from_pretrained(base[0]).eval()
    server = serve(convert(base, tmp_path / "f32.gguf"))
    said = [{"role": "user", "content": PROMPT}]
    text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    assert ask(server, "/apply-template", {"messages": said})["prompt"] == text
    ids = tokenizer(text)["input_ids"]
    for each in (text, "I'm 12345 ok\n\n  <|im_end|>é 中\r\n", " \t  x's DON'T"):
        found = ask(server, "/tokenize", {"content": each, "parse_special": True, "add_special": True})["tokens"]
        assert found == tokenizer(each)["input_ids"]
    with torch.no_grad():
        answer = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, eos_token_id=-1)
    body = {"prompt": ids, "n_predict": 24, "temperature": 0, "return_tokens": True, "ignore_eos": True}
    assert ask(server, "/completion", body)["tokens"] == answer[0, len(ids) :].tolist()


def test_a_begin_token_of_the_tokenizer_begins_the_text_in_llama_cpp_too(base, tmp_path):
    """As in DeepSeek's distillates into Qwen: Qwen2's splits, a begin token put in front of every text."""

    def begin(content):
        name = gguf_tokenizers.BEGIN_DEEPSEEK
        token = {"id": 324, "content": name, "special": True}
        content["added_tokens"].append(content["added_tokens"][0] | token)
        content["added_tokens"].append(content["added_tokens"][0] | {"id": 325, "content": "<think>", "special": False})
        content["normalizer"] = None
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        content["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": [324], "tokens": [name]}},
        }

    size = json.loads((base[0] / "config.json").read_text())["vocab_size"]
    assert size == 324
    folder = altered(base, tmp_path / "distilled", begin, "tokenizer.json")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"bos_token": {"content": gguf_tokenizers.BEGIN_DEEPSEEK}, "add_bos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    read = weights.Weights(base[0])
    held = {name: read.read(name) for name in read.names}
    held["model.embed_tokens.weight"] = held["model.embed_tokens.weight"].repeat(2, 1)[:330].contiguous()
    write_weights(folder, held)
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 330}
    (folder / "config.json").write_text(json.dumps(config))
    gguf_models.convert(folder, tmp_path / "distilled.gguf", "F32", "tiny")
    from gguf import TokenType
    from tokenizers import Tokenizer

    found = fields(tmp_path / "distilled.gguf")
    assert (found["tokenizer.ggml.pre"], found["tokenizer.ggml.bos_token_id"]) == ("deepseek-r1-qwen", 324)
    assert found["tokenizer.ggml.add_bos_token"] is True
    padding = [f"[PAD{number}]" for number in range(326, 330)]
    kinds = [TokenType.CONTROL, TokenType.USER_DEFINED, *[TokenType.UNUSED] * 4]
    assert found["tokenizer.ggml.token_type"][324:] == kinds
    assert found["tokenizer.ggml.tokens"][324:] == [gguf_tokenizers.BEGIN_DEEPSEEK, "<think>", *padding]
    assert found["tokenizer.ggml.merges"] == fields(convert(base, tmp_path / "base.gguf"))["tokenizer.ggml.merges"]
    server = serve(tmp_path / "distilled.gguf")
    text = "I'm <think> 123 sell\n\nDON'T"
    expected = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    assert expected[0] == 324
    assert 325 in expected
    assert ask(server, "/tokenize", {"content": text, "add_special": True})["tokens"] == expected


def test_positions_are_read_from_old_and_new_configs_and_unknown_ones_refused(base, tmp_path):
    def old(config):
        del config["rope_parameters"]
        config |= {"rope_theta": 5000.0, "rope_scaling": {"type": "linear", "factor": 2.0}}

    folder = altered(base, tmp_path / "old", old)
    gguf_models.convert(folder, tmp_path / "old.gguf", "F32", "tiny")
    found = fields(tmp_path / "old.gguf")
    assert found["qwen2.rope.freq_base"] == 5000.0
    assert (found["qwen2.rope.scaling.type"], found["qwen2.rope.scaling.factor"]) == ("linear", 2.0)
    wrong = {
        "dynamic": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        "partial": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
        "layers": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}},
    }
    for name, rope in wrong.items():
        folder = altered(base, tmp_path / name, lambda config, rope=rope: config.update(rope_parameters=rope))
        with pytest.raises(StudyError, match="rope scaling .* is not known"):
            gguf_models.convert(folder, tmp_path / "x.gguf", "F32", "tiny")
    folder = altered(base, tmp_path / "none", lambda config: config["rope_parameters"].pop("rope_theta"))
    with pytest.raises(StudyError, match="gives no rope_theta"):
        gguf_models.convert(folder, tmp_path / "x.gguf", "F32", "tiny")


def test_yarn_positions_are_those_of_transformers(base, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    rope = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
    folder = altered(
        base, tmp_path / "yarn", lambda config: config.update(rope_parameters=rope, max_position_embeddings=128)
    )
    gguf_models.convert(folder, tmp_path / "yarn.gguf", "F32", "tiny")
    ids = np.random.default_rng(7).integers(10, 300, 100).tolist()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1].double(), -1).numpy()
    found = log_probabilities(serve(tmp_path / "yarn.gguf"), ids, len(expected))
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\p{N}{1,3}"), "is not Qwen2's"),
        (lambda c: c.update(pre_tokenizer={"type": "Metaspace"}), "is not Qwen2's"),
        (lambda c: c["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True), "other options"),
        (lambda c: c.update(normalizer={"type": "Lowercase"}), "normaliser Lowercase"),
        (lambda c: c["model"].update(type="Unigram"), "model.type is 'Unigram'"),
        (lambda c: c["model"].update(ignore_merges=True), "model.ignore_merges"),
        (lambda c: c["added_tokens"].append(c["added_tokens"][0] | {"id": 999, "content": "x"}), "only 324 rows"),
    ],
)
def test_other_tokenizers_are_refused_with_the_way_to_go(base, tmp_path, change, message):
    folder = altered(base, tmp_path / "other", change, "tokenizer.json")
    with pytest.raises(StudyError, match=message):
        gguf_models.convert(folder, tmp_path / "x.gguf", "F32", "tiny")
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(num_hidden_layers=3), r"lacks tensor model\.layers\.2"),
        (lambda c: c.update(num_hidden_layers=1), r"unknown tensor model\.layers\.1"),
        (lambda c: c.update(intermediate_size=256), "config.json asks for"),
        (lambda c: c.update(use_sliding_window=True), "use_sliding_window"),
        (lambda c: c.update(hidden_act="gelu"), "hidden_act"),
        (lambda c: c.update(quantization_config={"bits": 4}), "quantization_config"),
    ],
)
def test_configs_that_do_not_fit_are_refused(base, tmp_path, change, message):
    folder = altered(base, tmp_path / "other", change)
    with pytest.raises(StudyError, match=message):
        gguf_models.convert(folder, tmp_path / "x.gguf", "F32", "tiny")


def test_broken_and_too_large_weights_are_refused(base, tmp_path):
    folder = altered(base, tmp_path / "broken", lambda config: None)
    read = weights.Weights(base[0])
    held = {name: read.read(name) for name in read.names}
    held["model.layers.0.mlp.up_proj.weight"][3, 5] = 1e5
    write_weights(folder, held)
    gguf_models.convert(folder, tmp_path / "fits.gguf", "BF16", "tiny")
    with pytest.raises(StudyError, match="more than F16 can"):
        gguf_models.convert(folder, tmp_path / "x.gguf", "F16", "tiny")
    held["model.layers.0.mlp.up_proj.weight"][3, 5] = float("nan")
    write_weights(folder, held)
    with pytest.raises(StudyError, match="not finite"):
        gguf_models.convert(folder, tmp_path / "x.gguf", "F32", "tiny")


def test_an_altered_model_is_not_converted(base, tmp_path):
    folder = altered(base, tmp_path / "model", lambda config: config.update(rms_norm_eps=1e-5))
    with pytest.raises(StudyError, match=r"config\.json was altered"):
        convert((folder, base[1]), tmp_path / "x.gguf")
    assert not list(tmp_path.glob("*.gguf"))


def test_k_quants_without_llama_cpp_python_say_what_to_install(base, tmp_path, monkeypatch):
    # what Snakemake does: the folder of the script comes to the path, and in it lies our module of the same name
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)
    monkeypatch.setattr(sys, "path", [llama_cpp.__file__.rpartition("/")[0]])
    with pytest.raises(StudyError, match=r"pip install llama-cpp-python==0\.3\.36"):
        convert(base, tmp_path / "x.gguf", "Q4_K_M")
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)
    assert not list(tmp_path.iterdir())


def test_k_quants_are_asked_of_llama_cpps_quantizer(base, tmp_path, monkeypatch):
    """With a stand-in of the same interface: what it is given, and what becomes of its result."""
    asked = []

    def quantize(source, path, params):
        asked.append((fields(source.decode())["general.file_type"], params._obj.ftype, params._obj.nthread))
        shutil.copy(source, path)
        return answer[0]

    import ctypes

    class Params(ctypes.Structure):
        _fields_ = (("nthread", ctypes.c_int32), ("ftype", ctypes.c_int))

    library = types.ModuleType("llama_cpp")
    library.LLAMA_FTYPE_MOSTLY_Q4_K_M, library.llama_backend_init = 15, lambda: None
    library.llama_model_quantize, library.llama_model_quantize_default_params = quantize, Params
    monkeypatch.setitem(sys.modules, "llama_cpp", library)
    answer = [0]
    made = convert(base, tmp_path / "k.gguf", "Q4_K_M", threads=2)
    assert asked == [(0, 15, 2)]
    assert fields(made)["general.name"] == "tiny"
    answer[0] = 1
    with pytest.raises(StudyError, match=r"could not make Q4_K_M \(code 1\)"):
        convert(base, tmp_path / "failed.gguf", "Q4_K_M")
    assert [path.name for path in tmp_path.iterdir()] == ["k.gguf"]


def test_other_architectures_need_llama_cpps_converter(base, tmp_path, monkeypatch):
    folder = altered(base, tmp_path / "llama", lambda config: config.update(model_type="llama"))
    weights.write_index(folder, tmp_path / "llama.index.json", {})
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match=r"this is a llama model.*set LLAMA_CPP to its folder"):
        convert((folder, tmp_path / "llama.index.json"), tmp_path / "x.gguf")
    program = (
        "import shutil, sys, pathlib\n"
        "folder, arguments = pathlib.Path(sys.argv[1]), dict(zip(sys.argv[2::2], sys.argv[3::2]))\n"
        "assert (folder.name, arguments['--model-name'], arguments['--outtype']) == ('tiny', 'tiny', 'f32'), sys.argv\n"
        "assert (folder / 'config.json').exists()\n"
        f"shutil.copy({str(convert(base, tmp_path / 'made.gguf'))!r}, arguments['--outfile'])\n"
    )
    (tmp_path / "convert_hf_to_gguf.py").write_text(program)
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path))
    made = convert((folder, tmp_path / "llama.index.json"), tmp_path / "x.gguf")
    assert made.read_bytes() == (tmp_path / "made.gguf").read_bytes()
    (tmp_path / "convert_hf_to_gguf.py").write_text(program + "raise SystemExit('was not recognized')")
    with pytest.raises(StudyError, match=r"converter failed on .*not recognized"):
        convert((folder, tmp_path / "llama.index.json"), tmp_path / "y.gguf")
