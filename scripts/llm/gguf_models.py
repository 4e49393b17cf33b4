"""Qwen2 model folders as GGUF files: metadata, tensor names and number formats, tensor by tensor.

Tensors and metadata are those of llama.cpp's own converter; nothing depends on where the folder lies.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

import numpy as np

from scripts.common.errors import StudyError
from scripts.llm import gguf_tokenizers
from scripts.llm.weights import Weights

ARCHITECTURE = "qwen2"
QUANTS = ("F32", "F16", "BF16", "Q8_0")
FILE_TYPES = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16", "Q8_0": "MOSTLY_Q8_0"}
BLOCK = 32  # numbers that share a scale in Q8_0
CHUNK = 1 << 22  # numbers that a thread quantises at once
# what a format can hold: of Q8_0 the scale, a 127th of the largest, is an F16
LARGEST = {"F32": 3.4028e38, "BF16": 3.3895e38, "F16": 65504.0, "Q8_0": 127 * 65504.0}


@dataclass(frozen=True)
class Entry:
    """One tensor of a GGUF file."""

    name: str
    source: str
    shape: tuple[int, ...]
    kind: str

    @property
    def nbytes(self):
        """Its size in the file."""
        if self.kind == "Q8_0":
            return prod(self.shape) // BLOCK * (BLOCK + 2)
        return prod(self.shape) * (4 if self.kind == "F32" else 2)


def supports(config):
    """Can this module convert a model with this config.json (a dict)?"""
    return config.get("model_type") == ARCHITECTURE


def convert(folder, path, quant, name, threads=1):
    """Write the model in ``folder`` to the GGUF file ``path``; returns its :func:`summary`.

    ``quant``: one of QUANTS, the format of the matrices; norms and biases are always F32, and so are not matrices whose
    rows Q8_0 cannot divide into blocks of 32 (F16, as in llama.cpp). ``name`` becomes general.name. One tensor is in
    memory at a time. Raises StudyError for other architectures, rope scalings, tokenizers, and weights that do not
    match config.json or hold values that are not finite.
    """
    from gguf import GGML_QUANT_VERSION, GGUFType, GGUFWriter, LlamaFileType, size_label

    weights = Weights(folder)
    entries = plan(weights, quant)
    tokenizer = gguf_tokenizers.read(folder, weights.config["vocab_size"])
    writer = GGUFWriter(path, ARCHITECTURE)
    announce(writer, entries)
    writer.add_type(GGUFType.MODEL)
    writer.add_name(name)
    writer.add_size_label(size_label(*writer.get_total_parameter_count()))
    _write_parameters(writer, folder, weights.config)
    writer.add_file_type(LlamaFileType[FILE_TYPES[quant]])
    tokenizer.write(writer)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    # opened anew each time: what was read of a mapped file counts as memory until it is closed
    write(writer, entries, lambda source: Weights(folder).read(source), threads)
    return summary((each.kind, prod(each.shape), each.nbytes) for each in entries)


def checks(folder):
    """What :func:`convert` asks of a model before it reads a tensor: functions that raise StudyError, none writes."""
    from gguf import GGUFWriter

    weights = Weights(folder)
    return [
        lambda: plan(weights, "F32"),
        lambda: _write_parameters(GGUFWriter(None, ARCHITECTURE), folder, weights.config),
        lambda: gguf_tokenizers.read(folder, weights.config["vocab_size"]),
    ]


def announce(writer, entries):
    """Tell a ``gguf.GGUFWriter`` what tensors will come; their values are not needed yet."""
    from gguf import GGMLQuantizationType

    for entry in entries:
        kind = GGMLQuantizationType[entry.kind]
        writer.add_tensor_info(entry.name, entry.shape, np.dtype(np.float32), entry.nbytes, raw_dtype=kind)


def write(writer, entries, read, threads=1):
    """Write metadata and tensors and close the file; ``read(source)`` gives the torch.Tensor of an entry."""
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        with ThreadPoolExecutor(threads) as pool:
            for entry in entries:
                writer.write_tensor_data(encode(read(entry.source), entry, pool))
    finally:
        writer.close()


def plan(weights, quant):
    """The :class:`Entry` of every tensor of the file, in its order: embedding, blocks, norm, output.

    Raises StudyError where the weights lack a tensor, have one that Qwen2 has not, or of another shape or format.
    """
    from gguf import MODEL_ARCH, get_tensor_name_map

    folder, config = weights.folder, weights.config
    if not supports(config):
        raise StudyError(f"{folder} is a {config.get('model_type')} model; this converter knows {ARCHITECTURE} only")
    expected = _shapes(config)
    found = {each for each in weights.names if not each.endswith(".rotary_emb.inv_freq")}
    if config.get("tie_word_embeddings", False):
        found.discard("lm_head.weight")  # transformers uses the embedding in its place
    for names, what in ((expected.keys() - found, "lacks"), (found - expected.keys(), "has an unknown")):
        if names:
            raise StudyError(f"{folder} {what} tensor {sorted(names)[0]} (one of {len(names)}) for its config.json")
    names, entries = get_tensor_name_map(MODEL_ARCH.QWEN2, config["num_hidden_layers"]), []
    for source, shape in expected.items():
        if weights.shape(source) != shape or weights.dtype(source) not in ("F32", "BF16", "F16"):
            raise StudyError(
                f"{folder}: {source} is {weights.dtype(source)} {weights.shape(source)}; config.json asks for "
                f"{shape}, in F32, BF16 or F16"
            )
        entries.append(Entry(names.get_name(source, (".weight", ".bias")), source, shape, _kind(shape, quant)))
    return entries


def describe(path):
    """The :func:`summary` of a GGUF file; half a minute where the vocabulary is Qwen2's own."""
    from gguf import GGUFReader

    return summary(
        (each.tensor_type.name, int(each.n_elements), int(each.n_bytes)) for each in GGUFReader(path).tensors
    )


def summary(tensors):
    """``{"tensors": {format: number}, "weights", "bytes", "bits_per_weight"}``, the format of most bytes first.

    ``tensors``: triples of format, number of weights and bytes.
    """
    numbers, sizes, count = {}, {}, 0
    for kind, elements, nbytes in tensors:
        numbers[kind] = numbers.get(kind, 0) + 1
        sizes[kind] = sizes.get(kind, 0) + nbytes
        count += elements
    size = sum(sizes.values())
    return {
        "tensors": {kind: numbers[kind] for kind in sorted(sizes, key=lambda kind: (-sizes[kind], kind))},
        "weights": count,
        "bytes": size,
        "bits_per_weight": 8 * size / count,
    }


def _kind(shape, quant):
    if len(shape) < 2:
        return "F32"
    return "F16" if quant == "Q8_0" and shape[-1] % BLOCK else quant


def _head_size(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def _shapes(config):
    """``{tensor: shape}`` of a Qwen2ForCausalLM, in the order of the file."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * _head_size(config)
    keys = config["num_key_value_heads"] * _head_size(config)
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        block = {"input_layernorm.weight": (hidden,)}
        for letter, width in (("q", queries), ("k", keys), ("v", keys)):
            block |= {f"self_attn.{letter}_proj.weight": (width, hidden), f"self_attn.{letter}_proj.bias": (width,)}
        block |= {
            "self_attn.o_proj.weight": (hidden, queries),
            "post_attention_layernorm.weight": (hidden,),
            "mlp.gate_proj.weight": (inner, hidden),
            "mlp.up_proj.weight": (inner, hidden),
            "mlp.down_proj.weight": (hidden, inner),
        }
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["model.norm.weight"] = (hidden,)
    if not config.get("tie_word_embeddings", False):
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    return shapes


def _write_parameters(writer, folder, config):
    """The architecture's metadata; StudyError for what llama.cpp's Qwen2 does not do."""
    for key, fine in (("hidden_act", "silu"), ("use_sliding_window", False), ("quantization_config", None)):
        if config.get(key) not in (fine, None):
            raise StudyError(f"{folder}/config.json: {key} {config[key]!r} has no counterpart in llama.cpp's Qwen2")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    if config.get("head_dim"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _write_rope(writer, folder, config)


def _write_rope(writer, folder, config):
    """Rotary positions: ``rope_parameters`` of transformers 5, or ``rope_theta`` and ``rope_scaling`` of older ones."""
    from gguf import RopeScalingType

    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = rope.pop("rope_type", rope.pop("type", None)) or "default"
    base = rope.pop("rope_theta", config.get("rope_theta"))
    known = {"default": set(), "linear": {"factor"}, "yarn": {"factor", "original_max_position_embeddings"}}
    rope = {key: value for key, value in rope.items() if value is not None and key != "type"}
    # an explicit 1 turns every dimension, which is what llama.cpp's Qwen2 does
    if rope.get("partial_rotary_factor") == 1:
        rope.pop("partial_rotary_factor")
    if kind not in known or set(rope) != known[kind]:
        raise StudyError(
            f"{folder}/config.json: rope scaling {kind!r} with {sorted(rope)} is not known here; known are "
            + "; ".join(f"{each} ({', '.join(sorted(keys)) or 'nothing'})" for each, keys in known.items())
        )
    if base is None:
        raise StudyError(f"{folder}/config.json gives no rope_theta, neither in rope_parameters nor by itself")
    writer.add_rope_freq_base(base)
    if kind == "default":
        return
    writer.add_rope_scaling_type(RopeScalingType(kind))
    writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def encode(tensor, entry, pool):
    """A torch.Tensor as the file holds it, an array; ``pool`` is an executor of threads.

    Raises StudyError where a value is not finite, or too large for the format.
    """
    import torch

    tensor = tensor.to(torch.float32)
    largest = float(tensor.abs().max())  # NaN where there is one
    if not np.isfinite(largest):
        raise StudyError(f"{entry.source} holds values that are not finite; the model is broken, train it again")
    if largest > LARGEST[entry.kind]:
        raise StudyError(f"{entry.source} holds {largest:.4g}, more than {entry.kind} can; use BF16 or F32")
    if entry.kind == "F32":
        return tensor.numpy()
    if entry.kind == "BF16":
        return tensor.to(torch.bfloat16).view(torch.int16).numpy()
    if entry.kind == "F16":
        return tensor.to(torch.float16).numpy()
    return quantise(tensor.numpy(), pool)


def quantise(array, pool):
    """Q8_0 of a float32 matrix, in pieces of rows by the threads of ``pool``; same bytes however many there are."""
    from gguf import GGMLQuantizationType, quants

    rows = max(1, CHUNK // array.shape[-1])
    pieces = [array[start : start + rows] for start in range(0, len(array), rows)]
    return np.concatenate(list(pool.map(lambda piece: quants.quantize(piece, GGMLQuantizationType.Q8_0), pieces)))
