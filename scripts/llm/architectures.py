"""Qwen2 models from nothing: the architecture of small bases."""

# the linear layers of a Qwen2 or Llama block
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def new_qwen2(settings, tokenizer, seed):
    """A randomly initialised Qwen2ForCausalLM (float32, tied embeddings).

    ``settings``: dict with hidden, intermediate, layers, heads, kv_heads, context; the vocabulary and the special
    tokens are the tokenizer's.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings["hidden"],
        intermediate_size=settings["intermediate"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        num_key_value_heads=settings["kv_heads"],
        max_position_embeddings=settings["context"],
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    return Qwen2ForCausalLM(config)
