"""What mergekit 0.1.5 makes of small models: written to mergekit_values.safetensors, which the tests compare with.

Run from the repository's root by a Python that has mergekit (``pip install mergekit==0.1.5``, beside numpy, torch and
transformers): ``python -m tests.llm.freeze_mergekit``. mergekit is LGPL; nothing of it is kept here but its results.
"""

import json
from pathlib import Path

import numpy as np

VALUES = Path(__file__).with_name("mergekit_values.safetensors")
SAMPLES = 64  # values that are kept of a tensor, at equal distances, beside its sums
HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, VOCABULARY = 16, 32, 2, 1, 40
CURVE = [0.0, 0.9, 0.2, 1.0]
# ``t`` is for slerp, ``density`` for ties; weights are those of the models after the base
CASES = {
    "slerp": {"method": "slerp", "models": {"one": 1, "two": 1}, "t": 0.3},
    "slerp_layers": {"method": "slerp", "models": {"one": 1, "two": 1}, "t": CURVE},
    "slerp_one_layer": {"method": "slerp", "models": {"short_one": 1, "short_two": 1}, "t": CURVE},
    "linear": {"method": "linear", "models": {"one": 1, "two": 3, "base": 0.5}},
    "ties": {"method": "ties", "models": {"one": 0.7, "two": 0.4}, "onto": "base", "density": 0.3},
    "ties_equal": {"method": "ties", "models": {"one": 1, "two": 1}, "onto": "base", "density": 0.05},
}


def make_models(folder):
    """``{name: folder}`` of Qwen2 models with seeded weights; NumPy promises that these streams never change."""
    layers = {"base": 3, "one": 3, "two": 3, "short_one": 1, "short_two": 1}
    return {name: _make(Path(folder) / name, seed, layers[name]) for seed, name in enumerate(layers)}


def sampled(tensor):
    """Of an array its values at equal distances, its sum, and its sum of squares: float64 ``[at most 66]``."""
    flat = np.asarray(tensor, dtype=np.float64).ravel()
    kept = flat[:: -(-flat.size // SAMPLES)]
    return np.concatenate([kept, [flat.sum(), (flat**2).sum()]])


def _shapes(layers):
    kv = HIDDEN // HEADS * KV_HEADS
    block = {
        "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
        "self_attn.q_proj.bias": (HIDDEN,),
        "self_attn.k_proj.weight": (kv, HIDDEN),
        "self_attn.k_proj.bias": (kv,),
        "self_attn.v_proj.weight": (kv, HIDDEN),
        "self_attn.v_proj.bias": (kv,),
        "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        "mlp.gate_proj.weight": (INTERMEDIATE, HIDDEN),
        "mlp.up_proj.weight": (INTERMEDIATE, HIDDEN),
        "mlp.down_proj.weight": (HIDDEN, INTERMEDIATE),
        "input_layernorm.weight": (HIDDEN,),
        "post_attention_layernorm.weight": (HIDDEN,),
    }
    ends = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    ends["lm_head.weight"] = (VOCABULARY, HIDDEN)
    return ends | {f"model.layers.{n}.{name}": shape for n in range(layers) for name, shape in block.items()}


def _make(folder, seed, layers):
    from safetensors.numpy import save_file

    draws = np.random.RandomState(seed)
    tensors = {name: draws.standard_normal(shape).astype("float32") for name, shape in _shapes(layers).items()}
    number = {"base": 0, "one": 1, "two": -1}.get(folder.name)
    if number is not None:
        shared = np.random.RandomState(99)
        common = {name: shared.standard_normal(shape).astype("float32") for name, shape in _shapes(layers).items()}
        # nearly parallel tensors have no arc; zeros have no direction; equal and opposite differences have no sign
        almost = "model.layers.0.self_attn.o_proj.weight"
        tensors[almost] = common[almost] + np.float32(0.001) * tensors[almost]
        tensors["model.layers.0.self_attn.q_proj.bias"] *= np.float32(number == 1)
        tensors["model.layers.1.self_attn.q_proj.bias"][:] = 0
        even = "model.layers.1.mlp.up_proj.weight"
        tensors[even] = number / 64 * np.arange(tensors[even].size, dtype="float32").reshape(tensors[even].shape)
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
        "dtype": "float32",
    }
    tokenizer = {"model": {"vocab": {f"w{number}": number for number in range(VOCABULARY)}}, "added_tokens": []}
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in {"config": config, "tokenizer": tokenizer, "tokenizer_config": {}}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def main():
    """Merge with mergekit, case by case, and write the values."""
    import tempfile

    from mergekit.config import MergeConfiguration
    from mergekit.merge import MergeOptions, run_merge
    from safetensors.numpy import load_file, save_file

    with tempfile.TemporaryDirectory() as folder:
        models, values = make_models(folder), {}
        for case, settings in CASES.items():
            config = MergeConfiguration.model_validate(_config(settings, models))
            target = Path(folder) / f"merged-{case}"
            run_merge(config, str(target), MergeOptions(copy_tokenizer=False, write_model_card=False))
            for file in sorted(target.glob("*.safetensors")):
                values |= {f"{case}/{name}": sampled(tensor) for name, tensor in load_file(file).items()}
    save_file(values, VALUES, metadata={"made_by": "mergekit 0.1.5"})


def _config(settings, models):
    config = {"merge_method": settings["method"], "dtype": "float32"}
    names = list(settings["models"])
    listed = [{"model": str(models[name]), "parameters": {"weight": settings["models"][name]}} for name in names]
    if settings["method"] == "slerp":
        listed = [{"model": str(models[name])} for name in names]
        config |= {"base_model": str(models[names[0]]), "parameters": {"t": settings["t"]}}
    if settings["method"] == "ties":
        config |= {"base_model": str(models[settings["onto"]]), "parameters": {"density": settings["density"]}}
        config["parameters"]["normalize"] = True
    return config | {"models": listed}


if __name__ == "__main__":
    main()
