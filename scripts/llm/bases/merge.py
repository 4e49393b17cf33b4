"""Bases of one architecture and vocabulary merged into one, tensor by tensor: never two models in memory."""

import json
import shutil
from contextlib import closing
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress
from scripts.llm import merging, weights
from scripts.llm.bases import local

TRAINS = False


def build(settings, inputs, folder, *, seed, threads):
    """Check that the models fit, merge, write ``folder``; see the package.

    The first of ``settings["models"]`` gives config, tokenizer, chat template and generation config.
    """
    import torch

    torch.set_num_threads(threads)
    parents = {name: local.digest(weights.check(*place)) for name, place in inputs["models"].items()}
    models = {name: weights.Weights(place) for name, (place, _) in inputs["models"].items()}
    first = models[next(iter(settings["models"]))]
    differences = merging.check(models)
    for key, values in differences.items():
        progress.info("%s differs; the merged model has that of the first: %s", key, values)
    dtype = settings["dtype"] and getattr(torch, settings["dtype"])
    with closing(weights.Writer(folder, local.shard_bytes(settings["shard"]))) as writer:
        for tensor in first.names:
            merged = _merged(tensor, models, settings, seed, dtype or _read(first, tensor).dtype)
            if not merged.sum(dtype=torch.float64).isfinite():
                raise StudyError(f"{tensor} is not finite once merged: one of {', '.join(models)} is damaged")
            writer.add(tensor, merged)
    _write_beside(first, Path(folder), settings["dtype"])
    progress.info("%s of %s: %d tensors", settings["method"], ", ".join(settings["models"]), len(first.names))
    used = {"slerp": ("t",), "linear": (), "ties": ("onto", "density"), "dare": ("onto", "density")}
    return {
        "method": settings["method"],
        "models": settings["models"],
        "parents": parents,
        "tensors": len(first.names),
        "differences": differences,
        **{key: settings[key] for key in used[settings["method"]]},
    }


def _merged(tensor, models, settings, seed, dtype):
    """One merged tensor."""
    names, shares, method = list(settings["models"]), list(settings["models"].values()), settings["method"]
    read = [_read(models[name], tensor) for name in names]
    if method == "slerp":
        return merging.slerp(
            *read, merging.at_layer(settings["t"], tensor, models[names[0]].config["num_hidden_layers"]), dtype
        )
    if method == "linear":
        return merging.linear(read, shares, dtype)
    onto = _read(models[settings["onto"]], tensor)
    if method == "ties":
        return merging.ties(read, shares, onto, settings["density"], dtype)
    seeds = [merging.seed_of(seed, name, tensor) for name in names]
    return merging.dare(read, shares, onto, settings["density"], seeds, dtype)


def _read(model, tensor):
    """A tensor, from a file that is opened anew: what was read of a mapped file counts as memory until it is closed."""
    return weights.Weights(model.folder).read(tensor)


def _write_beside(first, folder, dtype):
    """Config, tokenizer and the like of the first model; of the config nothing that names a machine."""
    config = {key: value for key, value in first.config.items() if key != "_name_or_path"}
    if dtype:
        config = {key: value for key, value in config.items() if key != "torch_dtype"} | {"dtype": dtype}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name in local.beside(first.folder):
        shutil.copyfile(first.folder / name, folder / name)
