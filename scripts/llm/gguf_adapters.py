"""LoRA adapters of PEFT as GGUF files, which llama.cpp loads beside a base and turns on and off while it runs."""

from math import prod, sqrt

from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.llm import gguf_models
from scripts.llm.architectures import LAYERS
from scripts.llm.weights import Weights

QUANTS = ("F32", "F16", "BF16")
PREFIX = "base_model.model."
SIDES = {".lora_A.weight": ".lora_a", ".lora_B.weight": ".lora_b"}
MERGE = "merge it into its base (rule merge_adapter) and export the merged model"
# settings of PEFT that change nothing in what a trained adapter computes, or that are heeded below; PEFT has many
# variants of LoRA, a setting of each, and every one that is not named here must be off
HEEDED = {
    *("peft_type", "peft_version", "task_type", "base_model_name_or_path", "revision", "inference_mode"),
    *("r", "lora_alpha", "use_rslora", "lora_dropout", "init_lora_weights", "target_modules", "exclude_modules"),
    *("layers_to_transform", "layers_pattern", "auto_mapping", "runtime_config", "megatron_core", "qalora_group_size"),
}
# of ways to start; the others (PiSSA, OLoRA, CorDA, LoftQ, ...) take something out of the base's weights
STARTS = (True, False, "gaussian", "eva")
REASONS = {
    "use_dora": "llama.cpp has no DoRA: its magnitudes scale the weights of the base",
    "rank_pattern": "layers have ranks of their own, so scales of their own, and a GGUF file has one alpha",
    "alpha_pattern": "layers have scales of their own, and a GGUF file has one alpha",
}


def convert(adapter, config, base, path, name, base_name, quant="F32"):
    """Write the PEFT adapter in the file ``adapter`` to the GGUF file ``path``; returns its ``gguf_models.summary``.

    ``config``: its adapter_config.json. ``base``: the model folder it was trained on. ``quant``: one of QUANTS.
    ``name`` and ``base_name`` become general.name and general.base_model.0.name. Raises StudyError for DoRA and
    whatever else llama.cpp cannot do beside a base, for targets that are not linear layers of a Qwen2 block, and for an
    adapter of another base.
    """
    from gguf import GGML_QUANT_VERSION, GGUFType, GGUFWriter, Keys
    from safetensors import safe_open

    if quant not in QUANTS:
        raise StudyError(f"adapters are written as {', '.join(QUANTS)}, not {quant}")
    settings = check_settings(config)
    with safe_open(adapter, framework="pt") as file:
        shapes = {each: tuple(file.get_slice(each).get_shape()) for each in file.keys()}  # noqa: SIM118
        entries = plan(adapter, shapes, base, quant)
        writer = GGUFWriter(path, gguf_models.ARCHITECTURE)
        gguf_models.announce(writer, entries)
        writer.add_type(GGUFType.ADAPTER)
        writer.add_name(name)
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, base_name)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha(settings, entries))
        writer.add_quantization_version(GGML_QUANT_VERSION)
        gguf_models.write(writer, entries, file.get_tensor)
    return gguf_models.summary((each.kind, prod(each.shape), each.nbytes) for each in entries)


def check_base(config, targets):
    """StudyError where an adapter with these targets on a base with this config.json (a dict) cannot be converted."""
    if not gguf_models.supports(config):
        raise StudyError(
            f"adapters of {gguf_models.ARCHITECTURE} models can be exported, the base is a {config.get('model_type')} "
            f"model; set export.lora to false: {MERGE}"
        )
    if other := [each for each in targets if each not in LAYERS]:
        raise StudyError(f"llama.cpp takes no adapter of {', '.join(other)} here, only of {', '.join(LAYERS)}: {MERGE}")


def check_settings(config):
    """The adapter_config.json, a dict; StudyError where it asks for more than LoRA of one rank and one alpha."""
    settings = read_json(config)
    if settings.get("peft_type") != "LORA":
        raise StudyError(f"{config} is a {settings.get('peft_type')} adapter; llama.cpp loads LoRA only: {MERGE}")
    for key in sorted(settings.keys() - HEEDED):
        if settings[key] not in (None, False, "none", [], {}):
            reason = REASONS.get(key, f"{key} is {settings[key]!r}, for which llama.cpp has no counterpart")
            raise StudyError(f"{config}: {reason}; {MERGE}")
    if settings.get("init_lora_weights", True) not in STARTS:
        raise StudyError(f"{config}: it began as {settings['init_lora_weights']!r}, which alters the base; {MERGE}")
    return settings


def alpha(settings, entries):
    """What llama.cpp divides by r to get the scale; it knows nothing of rank-stabilised LoRA (alpha / sqrt(r))."""
    rank = settings["r"]
    if ranks := {each.shape[0] for each in entries if each.name.endswith(".lora_a")} - {rank}:
        raise StudyError(f"adapter_config.json says r {rank}, the tensors have {sorted(ranks)}; it is another's")
    return float(settings["lora_alpha"]) * (sqrt(rank) if settings.get("use_rslora") else 1.0)


def plan(adapter, shapes, base, quant):
    """The :class:`gguf_models.Entry` of every matrix, A before B, layer by layer.

    ``shapes``: ``{tensor: shape}`` of the adapter. Raises StudyError for unknown targets, matrices without their
    counterpart, and those that do not fit the weights of ``base``.
    """
    weights = Weights(base)
    names = {each.source: each.name for each in gguf_models.plan(weights, "F32")}
    pairs = {}
    for name in shapes:
        side = next((each for each in SIDES if name.endswith(each)), None)
        target = name.removeprefix(PREFIX).removesuffix(side or "") + ".weight"
        if side is None or target not in names or target.split(".")[-2] not in LAYERS:
            raise StudyError(
                f"{adapter}: {name} is no LoRA matrix of {', '.join(LAYERS)} in {base}; llama.cpp takes no other "
                f"here: {MERGE}"
            )
        pairs.setdefault(target, {})[side] = name
    if not pairs:
        raise StudyError(f"{adapter} is empty")
    entries = []
    for target in sorted(pairs, key=list(names).index):
        if len(pairs[target]) < 2:
            raise StudyError(f"{adapter}: {target} has one of its two LoRA matrices only")
        first, second = (shapes[pairs[target][side]] for side in SIDES)
        outputs, inputs = weights.shape(target)
        if (first[1], second[0]) != (inputs, outputs) or first[0] != second[1]:
            raise StudyError(
                f"{adapter}: {second} x {first} does not fit {target} {weights.shape(target)} of {base}; it was "
                "trained on another base"
            )
        for side, suffix in SIDES.items():
            source = pairs[target][side]
            entries.append(gguf_models.Entry(names[target] + suffix, source, shapes[source], quant))
    return entries
