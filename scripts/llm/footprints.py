"""How much memory and disk a recipe needs, in bytes, from the shapes of its base: before anything is trained.

Activations are counted tensor by tensor as autograd keeps them for a block with frozen linear layers and adapters
beside them. The way of counting is that of Korthikanti et al. 2022 (Reducing Activation Recomputation in Large
Transformer Models, section 4). The terms are those of a Qwen2 or Llama block (RMSNorm, SwiGLU, grouped queries): a
frozen layer keeps nothing, a layer with an adapter keeps its input for the gradient of A and the product with A for
that of B. Against torch's own account of its allocations on a CPU the height of a step is 0.98 to 1.22 times as much.
"""

import math
import re
from math import prod
from typing import NamedTuple

from scripts.common import capacity
from scripts.common.errors import StudyError

GB = 10**9
DTYPES = {"float32": 4, "bfloat16": 2}
STORED = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I64": 8, "F8_E4M3": 1, "F8_E5M2": 1}
# Dettmers et al. 2023 (QLoRA), section 3: 4 bits, and for 64 weights a scale of 8 bits, for 256 scales one of 32
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
BITS = {"F32": 32, "F16": 16, "BF16": 16, "Q8_0": 8.5, "Q6_K": 6.5625, "Q5_K_M": 5.67, "Q4_K_M": 4.83}
K_BLOCK = 256  # llama.cpp makes no K-quant of rows that this does not divide; it takes Q5_0 to Q8_0 instead
STATE_BYTES = 16  # of an adapter's parameter: value, gradient and AdamW's two moments, all float32
SAVED_BYTES = 12  # in a checkpoint: without the gradient
LOGIT_BYTES = 12  # of a target's logit at the start of the backward pass: log-softmax and two gradients, float32
KEPT = 2  # checkpoints kept in .work; one more is there while it is written
TOKEN_BYTES = 100  # of a vocabulary entry in tokenizer.json, with its merge
# of the process itself: interpreter, torch, transformers, peft (535 MB measured, and room); on a GPU CUDA's context
PROCESS = {"cpu": 650 * 10**6, "cuda": 800 * 10**6}
# what allocators hold beside what is used, as shares of what is kept and of what comes and goes (with checkpointing:
# of what is computed again). glibc gives freed blocks below 32 MB back late: measured on 13 shapes, 0.8 to 1.2 of the
# increments. CUDA's shares are an assumption
HELD = {"cpu": (0.8, 2.0, 4.0), "cuda": (0.05, 0.15, 0.15)}
BLOCK = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(.+)\.weight$")
SHARED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # layers of one block with one input


class Shape(NamedTuple):
    """What is known of a model without reading its weights.

    ``blocks``: for every block ``{linear layer: (out, in)}``; ``parameters``: number by kind: embedding, linear, head
    (0 where it is tied to the embedding), vector; ``stored``: bytes of the weights in the files.
    """

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    blocks: tuple
    parameters: dict
    stored: int

    @property
    def total(self):
        """All parameters."""
        return sum(self.parameters.values())

    @property
    def linear(self):
        """The names of the linear layers, sorted."""
        return sorted({name.rpartition(".")[2] for block in self.blocks for name in block})


class Estimate(NamedTuple):
    """Bytes by item; ``of`` is what they are taken from: memory (of the GPU, or of the host without one) or disk."""

    of: str
    items: dict

    @property
    def total(self):
        """Bytes in all."""
        return sum(self.items.values())

    @property
    def largest(self):
        """The name of the largest item."""
        return max(self.items, key=self.items.get)

    def body(self):
        """The estimate as JSON."""
        return {"bytes": self.total, "items": dict(self.items)}


def shape(config, weights):
    """The :class:`Shape` of a model.

    ``config``: config.json, a dict; ``weights``: has ``names``, ``shape(name)`` and ``dtype(name)``
    (:class:`scripts.llm.weights.Weights`). Raises StudyError where it is no decoder of the Llama kind.
    """
    missing = [key for key in ("hidden_size", "num_attention_heads", "vocab_size") if not config.get(key)]
    if missing:
        raise StudyError(
            f"config.json says nothing of {', '.join(missing)}: the base is no decoder like Qwen2 or Llama"
        )
    blocks, counts, stored = {}, dict.fromkeys(("embedding", "linear", "head", "vector"), 0), 0
    for name in weights.names:
        dims = weights.shape(name)
        kind, found = _kind(name, dims), BLOCK.search(name)
        counts[kind] += prod(dims)
        stored += prod(dims) * STORED.get(weights.dtype(name), 4)
        if kind == "linear" and found:
            blocks.setdefault(int(found[1]), {})[found[2]] = dims
    if not blocks:
        raise StudyError("the base has no linear layers in blocks called layers.<number>: adapters have no place in it")
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    return Shape(
        hidden=hidden,
        intermediate=config.get("intermediate_size") or 4 * hidden,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        vocabulary=config["vocab_size"],
        context=config.get("max_position_embeddings") or 0,
        blocks=tuple(blocks[number] for number in sorted(blocks)),
        parameters=counts,
        stored=stored,
    )


def _kind(name, dims):
    if len(dims) < 2:
        return "vector"
    if name.startswith("lm_head.") or name.endswith(".lm_head.weight"):
        return "head"
    return "linear" if BLOCK.search(name) else "embedding"


def targeted(block, targets):
    """Those of a block's linear layers that get an adapter, ``{name: (out, in)}``; names match as in PEFT."""
    chosen = {name for name in block for each in targets if f".{name}".endswith(f".{each}")}
    return {name: dims for name, dims in block.items() if name in chosen}


def adapter_parameters(shapes, adapter):
    """How many parameters an adapter has.

    ``shapes``: a :class:`Shape`; ``adapter``: dict with method, r, targets. A layer of ``out x in`` gets ``r * (out +
    in)`` (Hu et al. 2022); DoRA adds a magnitude for every row of it (Liu et al. 2024).
    """
    chosen = [dims for block in shapes.blocks for dims in targeted(block, adapter["targets"]).values()]
    return sum(adapter["r"] * (out + into) + out * (adapter["method"] == "dora") for out, into in chosen)


def weight_bytes(shapes, adapter, dtype):
    """The frozen weights in memory; with qlora the linear layers of the blocks are NF4 with double quantisation, and
    PEFT makes the rest float32."""
    linear, rest = shapes.parameters["linear"], shapes.total - shapes.parameters["linear"]
    if adapter["method"] == "qlora":
        return round(linear * NF4_BITS / 8) + rest * 4
    return shapes.total * DTYPES[dtype]


def block_activations(shapes, block, adapter, settings, device):
    """Bytes that autograd keeps of one block for one token.

    ``settings``: dict with dtype and attention; ``adapter``: dict with method, r, dropout, targets.
    """
    width, dropout = DTYPES[settings["dtype"]], adapter.get("dropout", 0.0) > 0
    chosen = targeted(block, adapter["targets"])
    query, key = shapes.heads * shapes.head_dim, shapes.kv_heads * shapes.head_dim
    own = dropout or width != 4  # each layer has its own copy of the input: dropped out, or cast for its adapter
    inputs = sum(into for _, into in chosen.values()) if own else _shared_inputs(chosen)
    # keys and values are repeated for every head where a mask is used, and by our kernel on the CPU
    ours = device == "cpu" and settings["attention"] == "segmented"
    attention = 4 * query if ours or masked(settings) else 2 * query + 2 * key
    if not (ours or own) and targeted(chosen, ["o_proj"]):
        attention -= query  # its output is the input that o_proj keeps
    kept = inputs + adapter["r"] * len(chosen) + attention + 3 * shapes.intermediate
    if adapter["method"] == "dora":
        kept += sum(2 * out for out, _ in chosen.values())
    masks = sum(into for _, into in chosen.values()) * (4 if device == "cpu" else 1) if dropout else 0
    # the norms keep their inputs in float32 whatever the dtype, and one figure a token; attention one of each head
    return kept * width + masks + 4 * (2 * shapes.hidden + 2 + shapes.heads)


def masked(settings):
    """Whether attention has a dense mask: transformers' sdpa with several samples in a row, or with padding."""
    return settings["attention"] == "sdpa" and settings.get("packing", True)


def _shared_inputs(chosen):
    """Widths of the inputs of some layers, those that have one input together counted once."""
    groups = {}
    for name, (_, into) in chosen.items():
        leaf = name.rpartition(".")[2]
        groups[next((group for group in SHARED if leaf in group), name)] = into
    return sum(groups.values())


def activations(shapes, adapter, settings, row_tokens, device, cells):
    """``(kept, scratch)``: what autograd keeps of a row, and the most that comes and goes beside it in a block.

    ``cells``: numbers of a dense attention mask, of which each block keeps a copy. With gradient checkpointing only the
    inputs of the blocks are kept, and one block is computed again at a time.
    """
    width = DTYPES[settings["dtype"]]
    mask = cells * width if masked(settings) else 0
    each = [row_tokens * block_activations(shapes, block, adapter, settings, device) + mask for block in shapes.blocks]
    ends = row_tokens * shapes.hidden * (4 + width) + mask // width
    # backward through SwiGLU: gradients of the product, of its two factors and of the block's output
    scratch = row_tokens * (3 * shapes.intermediate + 2 * shapes.hidden) * width + _layer_scratch(
        shapes, adapter, width
    )
    if settings["gradient_checkpointing"]:
        return len(each) * row_tokens * shapes.hidden * width + ends, max(each) + scratch
    return sum(each) + ends, scratch


def _layer_scratch(shapes, adapter, width):
    """The largest layer written out in full: NF4 weights in ``width`` bytes; for DoRA's norm in float32, four times
    (the weight, B A, its multiple, their sum) beside the identity that PEFT puts through A and B."""
    chosen = [dims for block in shapes.blocks for dims in targeted(block, adapter["targets"]).values()]
    largest = max((out * into for out, into in chosen), default=0)
    if adapter["method"] == "dora":
        return 4 * max((4 * out * into + into * into for out, into in chosen), default=0)
    return largest * width if adapter["method"] == "qlora" else 0


def training(shapes, adapter, settings, row_tokens, device, targets=None, cells=None, cache=0):
    """The :class:`Estimate` of the memory that training needs when it is at its height.

    ``settings``: dict with dtype, attention, gradient_checkpointing, and packing where it is off; ``row_tokens``: what
    is computed at once; ``targets``: how many of them are learned (default: all), whose logits are computed;
    ``device``: cpu or cuda; ``cells``: numbers of a dense attention mask (default: the row's tokens squared);
    ``cache``: bytes of keys and values of texts being written, which are gone when gradients are computed.
    """
    cells = row_tokens**2 if cells is None else cells
    kept, scratch = activations(shapes, adapter, settings, row_tokens, device, cells)
    logits = (row_tokens if targets is None else targets) * shapes.vocabulary * LOGIT_BYTES
    trained = adapter_parameters(shapes, adapter)
    # autocast has a copy of the adapter in its own dtype
    copies = 0 if settings["dtype"] == "float32" else trained * DTYPES[settings["dtype"]]
    items = {
        "frozen weights": weight_bytes(shapes, adapter, settings["dtype"]),
        "adapter, gradients and AdamW states": trained * STATE_BYTES + copies,
    }
    # logits are gone before backward enters the last block
    name, passing = ("logits", logits) if logits >= scratch else ("work in a block", scratch)
    if cache > kept + passing:
        kept, passing = cache, 0
        items["keys and values of the texts being written"] = cache
    else:
        items |= {f"activations of {row_tokens:,} tokens": kept, name: passing}
    items["process" if device == "cpu" else "CUDA context"] = PROCESS[device]
    shares = HELD[device]
    again = shares[2] if settings["gradient_checkpointing"] else shares[1]
    items["held by the allocator"] = round(shares[0] * kept + again * passing)
    return Estimate("memory", items)


def generation_cache(shapes, sequences, tokens, dtype):
    """Bytes of the keys and values of ``sequences`` texts of ``tokens`` tokens."""
    return 2 * len(shapes.blocks) * shapes.kv_heads * shapes.head_dim * sequences * tokens * DTYPES[dtype]


def checkpoint_bytes(shapes, adapter):
    """A checkpoint in .work: the adapter and AdamW's moments in float32; a megabyte for the rest."""
    return adapter_parameters(shapes, adapter) * SAVED_BYTES + 10**6


def adapter_bytes(shapes, adapter):
    """An adapter's file, float32."""
    return adapter_parameters(shapes, adapter) * 4


def merged_bytes(shapes):
    """The merged model: the weights in the number format of the base, and the tokenizer."""
    return shapes.stored + TOKEN_BYTES * shapes.vocabulary


def gguf_bytes(shapes, quant):
    """A GGUF file. K-quants keep what makes the logits in Q6_K; vectors are float32 in all of them."""
    mixed = quant in ("Q5_K_M", "Q4_K_M")
    ends, tied = shapes.parameters["embedding"], not shapes.parameters["head"]
    bits = BITS[quant] * shapes.parameters["linear"]
    if quant.startswith("Q") and quant != "Q8_0" and shapes.hidden % K_BLOCK:
        bits = BITS["Q8_0"] * shapes.parameters["linear"]
    bits += (BITS["Q6_K"] if mixed and tied else BITS[quant]) * ends
    bits += (BITS["Q6_K"] if mixed else BITS[quant]) * shapes.parameters["head"]
    return round(bits / 8) + 4 * shapes.parameters["vector"] + TOKEN_BYTES * shapes.vocabulary


def disk(recipe, shapes):
    """The :class:`Estimate` of the disk that a recipe needs, from its first training to its last file.

    ``recipe``: dict with adapter, sft (``{phase: settings}``), dpo, grpo, quants, export.
    """
    adapter = recipe["adapter"]
    stages = len(recipe["sft"]) + sum(recipe.get(name) is not None for name in ("dpo", "grpo"))
    files = {f"GGUF {quant}": gguf_bytes(shapes, quant) for quant in recipe["quants"]}
    if recipe.get("export", {}).get("lora") and recipe["quants"]:
        files["GGUF of the base"] = gguf_bytes(shapes, recipe["quants"][0])
    # files are written beside their place; K-quants are made from a file without loss that goes afterwards
    written = [merged_bytes(shapes)]
    for quant in recipe["quants"]:
        source = merged_bytes(shapes) if quant.endswith(("_K", "_K_M")) else 0
        written.append(files[f"GGUF {quant}"] + source)
    items = {
        f"{KEPT} checkpoints and one being written": (KEPT + 1) * checkpoint_bytes(shapes, adapter),
        f"adapters of {stages} stages": stages * adapter_bytes(shapes, adapter),
        "merged model": merged_bytes(shapes),
        **files,
        "a second copy while one is written": max(written),
    }
    return Estimate("disk", items)


def of_each_card(estimate, shapes, cards):
    """The :class:`Estimate` of the card that needs the most where the layers are spread over ``cards`` GPUs.

    It holds its share of the blocks with what is kept of them, and the whole of what comes and goes.
    """
    share = math.ceil(len(shapes.blocks) / cards) / len(shapes.blocks)
    split = ("frozen weights", "adapter", "activations", "keys and values")
    return Estimate(
        estimate.of,
        {name: round(size * share) if name.startswith(split) else size for name, size in estimate.items.items()},
    )


def of_processes(estimate, number):
    """The :class:`Estimate` of so many processes that each need the same of one host."""
    return Estimate(estimate.of, {name: size * number for name, size in estimate.items.items()})


class Available(NamedTuple):
    """Bytes that this machine has free: memory of the host, disk, and memory of the GPU (None: not asked for), of
    several that of the one with the least."""

    host: int
    disk: int
    gpu: int | None = None


def available(folder, gpu=False):
    """What is :class:`Available` here, disk at ``folder``; what this very process holds already counts as free.

    ``gpu``: whether the GPU's memory is asked for, or the number of GPUs.
    """
    return Available(capacity.free_host(), capacity.free_disk(folder), _free_gpu(int(gpu)) if gpu else None)


def _free_gpu(cards=1):
    """Free memory of the current CUDA device, of several the least; StudyError where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise StudyError("GPU memory was asked for and torch finds no GPU; give the job one, or set `device: cpu`")
    # the context of this process exists by now, and estimates have it
    own = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() + PROCESS["cuda"]
    others = [torch.cuda.mem_get_info(card)[0] for card in range(1, min(cards, torch.cuda.device_count()))]
    return min([own, *others])


def require(estimate, free, what):
    """Raise StudyError when ``estimate`` needs more than ``free`` bytes; ``what``: who needs it, in words."""
    if estimate.total <= free:
        return
    lines = "; ".join(f"{name} {_gb(size)}" for name, size in sorted(estimate.items.items(), key=lambda each: -each[1]))
    raise StudyError(
        f"{what} needs about {_gb(estimate.total)} of {estimate.of} and {_gb(free)} are free. The largest item is "
        f"{estimate.largest} ({_gb(estimate.items[estimate.largest])}). {_remedy(estimate, free)}. All items: {lines}"
    )


def require_here(estimate, folder, device, cards=1):
    """:func:`require` what an estimate needs where this process runs: of the disk of ``folder``, or of the memory of
    the GPU (``device`` cuda; each of ``cards``) or the host (cpu)."""
    if estimate.of == "disk":
        return require(estimate, available(folder).disk, str(folder))
    found = available(folder, gpu=cards if device == "cuda" else False)
    here = "this training on the GPU" if device == "cuda" else "this training on the CPU"
    here = f"this training on each of {cards} GPUs" if device == "cuda" and cards > 1 else here
    return require(estimate, found.gpu if device == "cuda" else found.host, here)


def _remedy(estimate, free):
    """What to do, by the largest item."""
    missing = _gb(estimate.total - free)
    if estimate.of == "disk":
        return f"Free {missing}, name fewer quants in export.quants, or put the results on a larger disk"
    if estimate.largest == "frozen weights":
        return f"{missing} are missing: take adapter.method qlora, dtype bfloat16, a smaller base or more memory"
    if estimate.largest.startswith("adapter"):
        return f"{missing} are missing: lower adapter.r or name fewer adapter.targets"
    if estimate.largest.startswith("keys"):
        return f"{missing} are missing: lower grpo.batch or grpo.max_new_tokens"
    return (
        f"{missing} are missing: lower row_tokens (the effective batch stays) and max_length, turn on "
        "gradient_checkpointing, or take adapter.method qlora"
    )


def _gb(size):
    return f"{size / GB:,.2f} GB" if size < 100 * GB else f"{size / GB:,.0f} GB"
