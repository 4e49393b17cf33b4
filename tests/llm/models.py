"""Small models for the tests of the llm stage: made, never fetched, in about a second."""

from pathlib import Path

from scripts.llm import architectures, tokenizers, weights

SHAPE = {"hidden": 256, "intermediate": 512, "layers": 2, "heads": 4, "kv_heads": 2, "context": 512}
SENTENCE = "buy sell hold the close is above below its mean so I choose answer number yes no 0 1 2 3 4 5 6 7 8 9 . , %"
WORDS = SENTENCE.split()


def texts(number=200, seed=7):
    """Sentences of a few words."""
    import random

    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=20)) for _ in range(number)]


def make_base(folder, *, seed=1, shape=SHAPE, vocabulary=512, scale=1.0):
    """``(folder, index)`` of an untrained Qwen2 base with a tokenizer of its own; weights times ``scale``."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    tokenizer = tokenizers.train(texts(), vocabulary)
    model = architectures.new_qwen2(shape, tokenizer, seed)
    for parameter in model.parameters():
        parameter.data *= scale
    model.save_pretrained(str(folder))
    tokenizers.save(tokenizer, folder)
    index = folder.with_name(f"{folder.name}.index.json")
    weights.write_index(folder, index, {"base": folder.name})
    return folder, index


def make_adapter(
    base, folder, *, seed=1, r=8, alpha=16, method="lora", targets=("q_proj", "v_proj", "down_proj"), scale=0.05
):
    """An adapter (PEFT files) with random matrices on a base; ``method`` is lora or dora."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(str(base))
    config = LoraConfig(
        r=r, lora_alpha=alpha, target_modules=list(targets), use_dora=method == "dora", task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * scale
        if "magnitude" in name:
            parameter.data *= 1 + scale * torch.randn_like(parameter)
    model.save_pretrained(str(folder))
    return Path(folder)
