"""A model folder of the user's: what a base needs of it, and nothing that could run."""

import hashlib
import json
import math
import os
import shutil
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.llm import weights

TRAINS = False
NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")
OPTIONAL = (
    "generation_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    # llama.cpp's converter reads these of some architectures
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
BYTES = {"MB": 10**6, "GB": 10**9}


def build(settings, inputs, folder, *, seed, threads):
    """Copy the model in the folder ``settings["path"]``; see the package."""
    return take(Path(os.path.expandvars(settings["path"])), Path(folder), f"the folder {settings['path']}")


def take(source, folder, name, copy=shutil.copyfile):
    """Copy a model folder after checking it; facts for its index. StudyError names all that is wrong with it.

    ``copy``: how a file of weights gets from one path to another.
    """
    if not source.is_dir():
        raise StudyError(f"{name} cannot be a base: there is no such folder")
    mistakes = [f"it has no {each}{_hint(each)}" for each in NEEDED if not (source / each).exists()]
    mistakes += _config_mistakes(source)
    files, tensors = [], {}
    if not mistakes:
        files, mistakes = _weight_files(source)
    if not mistakes:
        tensors, mistakes = _tensors(source, files)
    if mistakes:
        raise StudyError(f"{name} cannot be a base: {'; '.join(mistakes)}")
    folder.mkdir(parents=True, exist_ok=True)
    for each in ("config.json", *beside(source)):
        shutil.copyfile(source / each, folder / each)
    for each in files:
        copy(source / each, folder / each)
    return {"weights": files, "tensors": len(tensors), "parameters": sum(tensors.values())}


def files(folder):
    """The paths of what :func:`take` would copy of a model folder, as far as it is there."""
    named, _ = _weight_files(Path(folder))
    return [str(path) for name in ("config.json", *beside(folder), *named) if (path := Path(folder, name)).exists()]


def beside(folder):
    """The files that a model folder has beside config and weights: tokenizer, chat template, generation config."""
    return [each for each in (*NEEDED[1:], *OPTIONAL) if (Path(folder) / each).exists()]


def digest(index):
    """The SHA-256 of a model folder's content, from its index (a dict): whoever has these files has this digest."""
    return hashlib.sha256(json.dumps(index["files"], sort_keys=True).encode()).hexdigest()


def shard_bytes(size):
    """The bytes in "5GB" or "200MB"."""
    return int(size[:-2]) * BYTES[size[-2:]]


def _hint(name):
    if name != "tokenizer.json":
        return ""
    return " (a slow tokenizer is converted by AutoTokenizer.from_pretrained(...).save_pretrained(...))"


def _config_mistakes(source):
    for name in ("config.json", "tokenizer_config.json"):
        if not (source / name).exists():
            continue
        try:
            content = read_json(source / name)
        except ValueError as error:
            yield f"its {name} is no JSON ({error})"
            continue
        if "auto_map" in content:
            yield f"its {name} names code of its own (auto_map), which is never run"
        if "quantization_config" in content:
            method = content["quantization_config"].get("quant_method", "?")
            yield f"its weights are quantised ({method}): take the unquantised model; qlora quantises it by itself"


def _weight_files(source):
    """``(files, mistakes)``: the files of weights that a folder has, and what keeps them from being read."""
    if (source / weights.SHARDED).exists():
        if (source / weights.SINGLE).exists():  # transformers would take the single file, we the shards
            both = f"it has both {weights.SINGLE} and {weights.SHARDED}: remove the one that is not meant"
            return [weights.SINGLE, weights.SHARDED], [both]
        try:
            shards = sorted(set(read_json(source / weights.SHARDED)["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return [weights.SHARDED], [f"its {weights.SHARDED} is no index of shards ({error!r})"]
        odd = [each for each in shards if Path(each).name != each or not each.endswith(".safetensors")]
        if odd:
            return [], [f"{weights.SHARDED} names {odd[0]}, which is no safetensors file of this folder"]
        absent = [each for each in shards if not (source / each).exists()]
        return [weights.SHARDED, *shards], [f"it has no {each}, which {weights.SHARDED} names" for each in absent]
    if (source / weights.SINGLE).exists():
        return [weights.SINGLE], []
    pickles = sorted(each.name for pattern in PICKLES for each in source.glob(pattern))
    hint = f" ({pickles[0]} is a pickle, which is never read: convert it to safetensors)" if pickles else ""
    return [], [f"it has no {weights.SINGLE}{hint}"]


def _tensors(source, files):
    """``(tensors, mistakes)``: the size of each tensor, from the files' headers, and what is wrong with those."""
    from safetensors import SafetensorError, safe_open

    places, sizes, mistakes = {}, {}, []
    for name in (each for each in files if each != weights.SHARDED):
        try:
            with safe_open(source / name, framework="pt") as file:
                for tensor in file.keys():  # noqa: SIM118 (it is no dict)
                    places[tensor] = name
                    sizes[tensor] = math.prod(file.get_slice(tensor).get_shape())
        except SafetensorError as error:
            mistakes.append(f"{name} is no whole safetensors file ({error}): fetch it again")
    if weights.SHARDED in files and not mistakes:
        known = read_json(source / weights.SHARDED)["weight_map"]
        wrong = sorted(tensor for tensor in {*known, *places} if known.get(tensor) != places.get(tensor))
        if wrong:
            mistakes.append(f"{weights.SHARDED} and the shards differ in {len(wrong)} tensors ({wrong[0]}, ...)")
    return sizes, mistakes


def link(source, target):
    """A hard link where the file system allows it, else a copy: for files that nobody changes in place."""
    real = os.path.realpath(source)
    try:
        os.link(real, target)
    except OSError:
        shutil.copyfile(real, target)
