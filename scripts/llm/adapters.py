"""Adapters as PEFT writes them: their matrices by layer, and the base's weights with them merged in."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from scripts.common.atomic import write_text
from scripts.common.errors import StudyError
from scripts.llm import weights

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
# the tensors of a layer's adapter, by what follows the layer's name
PARTS = {
    "lora_A.weight": "a",
    "lora_B.weight": "b",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
}
# settings of PEFT that change what is added to a weight, with the value that leaves it alone
PLAIN = {
    "bias": "none",
    "fan_in_fan_out": False,
    "lora_bias": False,
    "use_qalora": False,
    "alpha_pattern": None,
    "rank_pattern": None,
    "layer_replication": None,
    "modules_to_save": None,
    "target_parameters": None,
    "trainable_token_indices": None,
}


class Layer(NamedTuple):
    """One layer's adapter: ``a [r, in]``, ``b [out, r]``, its scale, and DoRA's magnitudes ``[out]`` or None."""

    a: object
    b: object
    scale: float
    magnitude: object = None


class Adapter(NamedTuple):
    """An adapter: its config, and its layers by the name of the base's weight that they belong to."""

    config: dict
    layers: dict


def read(folder):
    """The :class:`Adapter` in a folder. StudyError where it is anything but LoRA or DoRA of linear layers."""
    from safetensors.torch import load_file

    config = json.loads(Path(folder, CONFIG).read_text(encoding="utf-8"))
    _check_config(folder, config)
    found = {}
    for name, tensor in load_file(Path(folder, WEIGHTS)).items():
        layer, _, part = name.removeprefix(PREFIX).partition(".lora_")
        if f"lora_{part}" not in PARTS:
            raise StudyError(f"{folder}: '{name}' is no matrix of a LoRA or DoRA adapter; it cannot be merged")
        found.setdefault(f"{layer}.weight", {})[PARTS[f"lora_{part}"]] = tensor
    needed = {"a", "b"} | ({"magnitude"} if config.get("use_dora") else set())
    for name, parts in found.items():
        if set(parts) != needed or parts["a"].shape[0] != config["r"] or parts["b"].shape[1] != config["r"]:
            raise StudyError(f"{folder}: the matrices of '{name}' are not those that {CONFIG} tells of (r, use_dora)")
    scale = config["lora_alpha"] / (math.sqrt(config["r"]) if config.get("use_rslora") else config["r"])
    return Adapter(config, {name: Layer(scale=scale, **parts) for name, parts in sorted(found.items())})


def _check_config(folder, config):
    if config.get("peft_type") != "LORA":
        raise StudyError(f"{folder} is an adapter of kind {config.get('peft_type')}; only LoRA and DoRA are merged")
    odd = [name for name, plain in PLAIN.items() if (config.get(name) or plain) != plain]
    if odd:
        told = ", ".join(f"{name} {config[name]!r}" for name in odd)
        raise StudyError(f"{folder}: an adapter with {told} cannot be merged here; use PEFT's merge_and_unload")


def check_fit(adapter, base):
    """Raise StudyError unless ``base`` (:class:`scripts.llm.weights.Weights`) has every layer in the right shape."""
    known, mistakes = set(base.names), []
    for name, layer in adapter.layers.items():
        wanted = (layer.b.shape[0], layer.a.shape[1])
        if name not in known:
            mistakes.append(f"the base has no {name}")
        elif base.shape(name) != wanted:
            mistakes.append(f"{name} is {list(base.shape(name))} in the base and {list(wanted)} in the adapter")
    if mistakes:
        more = f" (and {len(mistakes) - 5} more)" if len(mistakes) > 5 else ""
        raise StudyError(f"the adapter is not one of this base: {'; '.join(mistakes[:5])}{more}")


def delta(layer):
    """What a :class:`Layer` adds to the weight, float32 ``[out, in]``: its scale times B A (Hu et al. 2021)."""
    return layer.scale * (layer.b.float() @ layer.a.float())


def merged_weight(weight, layer):
    """``weight [out, in]`` with an adapter's :class:`Layer` merged in, in the weight's own number format.

    LoRA: W + s B A. DoRA (Liu et al. 2024, eq. 5): each row of that, the weights of one output, scaled to its
    learned magnitude, as PEFT does. Sums are float32; on one thread equal inputs give equal bits.
    """
    whole = delta(layer).add_(weight.float())
    if layer.magnitude is not None:
        whole.mul_((layer.magnitude.float() / whole.norm(dim=1)).unsqueeze(1))
    return whole.to(weight.dtype)


def clean(folder, base):
    """Leave of an adapter what belongs to it, in one form: its weights, and its config, sorted, the base by its name.

    PEFT writes targets in the order of a set and the base's path; a README and a trainer's files are removed.
    """
    folder = Path(folder)
    content = json.loads((folder / CONFIG).read_text(encoding="utf-8")) | {"base_model_name_or_path": base}
    for name in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(content.get(name), list):
            content[name] = sorted(content[name])
    write_text(folder / CONFIG, json.dumps(content, indent=1, sort_keys=True) + "\n")
    for name in ("README.md", "training_args.bin"):
        (folder / name).unlink(missing_ok=True)


def sha256(path):
    """The SHA-256 of an adapter's weights."""
    return weights.sha256(path)
