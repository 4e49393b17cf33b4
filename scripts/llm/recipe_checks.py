"""What is wrong with a recipe, found before any training: its base, its tokenizer, its samples.

Each check returns lines that say what is wrong, where, and what to do, so that all can be shown at once.
"""

import importlib.util
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.common.errors import StudyError
from scripts.corpus import rewards, samples
from scripts.llm import chats, examples, footprints, gguf_adapters, gguf_models, llama_cpp, modelfiles

SHOWN = 3  # names of samples in a message
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")
KEYS = {"messages": ("messages",), "preferences": ("prompt", "chosen", "rejected"), "prompts": ("prompt", "answer")}


class Lengths(NamedTuple):
    """Tokens of the samples of a training: of each in all, and how many of them are learned; ids of those left out;
    tokens of the longest text (a pair has two)."""

    tokens: list
    targets: list
    too_long: list
    longest: int


def tokenizer_of(folder, vocabulary):
    """``(tokenizer, mistakes)``: that of a base whose embedding has ``vocabulary`` rows; None when unusable."""
    from huggingface_hub.errors import StrictDataclassError

    # transformers makes an empty tokenizer where there is none
    if not any(Path(folder, name).exists() for name in VOCABULARIES):
        return None, [f"base: {folder} has no tokenizer ({', '.join(VOCABULARIES)}); add the one it was trained with"]
    try:
        tokenizer = chats.load_tokenizer(folder)
        chats.stop_token(tokenizer)
    except StudyError as error:
        return None, [f"base: {error}"]
    except (OSError, ValueError, KeyError, StrictDataclassError) as error:
        said = str(error).strip().split("\n")[0]
        return None, [f"base: transformers cannot read the tokenizer of {folder} ({said}); replace tokenizer.json"]
    if len(tokenizer) > vocabulary:
        line = (
            f"base: the tokenizer has {len(tokenizer)} tokens, the model only {vocabulary}: they do not belong together"
        )
        return None, [line]
    return tokenizer, []


def targets(shapes, adapter):
    """Names of layers that the base does not have. ``shapes``: a :class:`scripts.llm.footprints.Shape`."""
    missing = [
        each for each in adapter["targets"] if not any(footprints.targeted(block, [each]) for block in shapes.blocks)
    ]
    if not missing:
        return []
    names = ", ".join(repr(each) for each in missing)
    return [f"adapter.targets: the base has no linear layer {names} (it has {', '.join(shapes.linear)})"]


def programs(quants, config, adapter):
    """What is not installed here and is needed after the training (K-quants, other architectures) or for it (qlora)."""
    found = []
    if adapter["method"] == "qlora" and importlib.util.find_spec("bitsandbytes") is None:
        found.append("adapter.method: qlora needs the package bitsandbytes; `pip install bitsandbytes`, or take lora")
    try:
        if any(each in llama_cpp.K_QUANTS for each in quants):
            llama_cpp.quantizer()
        if quants and not gguf_models.supports(config):
            llama_cpp.converter(config.get("model_type"))
    except StudyError as error:
        found.append(f"export.quants: {error}")
    return found


def exports(folder, tokenizer, config, recipe):
    """What would stop the export after the training: the base's tensors, metadata, tokenizer and chat template.

    ``recipe``: dict with adapter and export. K-quants begin with a file of our own converter as well.
    """
    export, checks = recipe["export"], []
    if gguf_models.supports(config) and (export["quants"] or export["lora"]):
        checks += [
            ("export.quants" if export["quants"] else "export.lora", each) for each in gguf_models.checks(folder)
        ]
    if export["lora"]:
        checks.append(("export.lora", lambda: gguf_adapters.check_base(config, recipe["adapter"]["targets"])))
    if export["quants"]:
        modelfile = export["modelfile"]
        checks.append(("export.modelfile", lambda: modelfiles.of_model(folder, tokenizer, "model.gguf", modelfile)))
    for where, check in checks:
        try:
            check()
        except StudyError as error:
            yield str(error) if str(error).startswith(where) else f"{where}: {error}"


def parts(where, wanted, known):
    """Parts that settings name (a list, or "all") and the corpus (``known``) lacks."""
    missing = [] if wanted == "all" else [each for each in wanted if each not in known]
    return [f"{where}.parts: the corpus has no part '{each}' (it has {', '.join(sorted(known))})" for each in missing]


def read(path, form):
    """``(samples, mistakes)`` of a jsonl file; samples that are not of format ``form`` are left out and named."""
    try:
        found = samples.read(path)
    except (ValueError, OSError) as error:
        return [], [f"{path}: cannot be read ({error}); delete it and run again"]
    good = [_well_formed(each, form) for each in found]
    bad = [str(number) for number, well in enumerate(good, 1) if not well]
    kept = [each for each, well in zip(found, good, strict=True) if well]
    if not bad:
        return kept, []
    line = f"{path}: {len(bad)} of {len(found)} samples are not of format '{form}' (lines {_some(bad)})"
    return kept, [f"{line}; it needs {', '.join(KEYS[form])} and meta with id and part"]


def _well_formed(sample, form):
    if not isinstance(sample, dict) or not isinstance(sample.get("meta"), dict):
        return False
    if not {"id", "part"} <= sample["meta"].keys() or any(not sample.get(key) for key in KEYS[form]):
        return False
    if form == "messages":
        return _turns(sample["messages"], "assistant") and _turns(sample["messages"][:-1], "user")
    if not _turns(sample["prompt"], "user"):
        return False
    if form == "prompts":
        return isinstance(sample["answer"], dict)
    return all(_turns(sample[side], "assistant") for side in ("chosen", "rejected"))


def _turns(turns, last):
    """Whether it is a list of turns with texts, the last of them of the role ``last``."""
    whole = isinstance(turns, list) and all(
        isinstance(each, dict) and isinstance(each.get("role"), str) and isinstance(each.get("content"), str)
        for each in turns
    )
    return whole and bool(turns) and turns[-1]["role"] == last


def contents(where, found, form):
    """Empty questions and answers, pairs without a difference, and answers that the reward cannot read."""
    problems = {
        "an empty question": lambda each: not samples.prompt_of(each).strip(),
        "an empty answer": lambda each: not all(said.strip() for said in samples.answers_of(each)),
    }
    if form == "preferences":
        problems["a chosen answer that is the rejected one"] = _same
    if form == "prompts":
        problems["an answer that the reward cannot read, or that it gives to any or to no completion"] = _unreadable
    for what, is_so in problems.items():
        wrong = [each["meta"]["id"] for each in found if is_so(each)]
        if wrong:
            yield f"{where}: {len(wrong)} of {len(found)} samples have {what} ({_some(wrong)}); mend the corpus's part"


def _same(pair):
    chosen, rejected = (each.strip() for each in samples.answers_of(pair))
    return chosen == rejected and bool(chosen)


def _unreadable(sample):
    """Whether the reward fails on an answer, does not reward the answer itself, or rewards saying nothing."""
    answer = sample["answer"]
    try:
        if answer["kind"] not in ("number", "choice", "text"):
            return True
        if answer["kind"] == "number" and not math.isfinite(answer["value"]):
            return True
        words = ", ".join(answer.get("expected") or ())
        said = words if answer["kind"] == "text" else f"{words}. Answer: {answer['value']}"
        return rewards.reward(said, answer) < 1 or rewards.reward("", answer) > 0
    except (KeyError, TypeError, ValueError, AttributeError):
        return True


def measure(tokenizer, found, form, max_length):
    """The :class:`Lengths` of samples, tokenised as the trainings do it; of a pair both answers count."""
    if form == "prompts":
        texts = [chats.prompt_text(tokenizer, each["prompt"]) for each in found]
        sizes = [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
        too_long = [each["meta"]["id"] for each, size in zip(found, sizes, strict=True) if size > max_length]
        kept = [size for size in sizes if size <= max_length]
        return Lengths(kept, [], too_long, max(kept, default=0))
    tokenise = examples.conversations if form == "messages" else examples.pairs
    kept, too_long = tokenise(tokenizer, found, max_length)
    learned = [sum(len(ids) - start for ids, start in each.segments) for each in kept]
    longest = max((len(ids) for each in kept for ids, _ in each.segments), default=0)
    return Lengths([each.length for each in kept], learned, too_long, longest)


def widest_row(measured, settings):
    """``(tokens, targets)`` that no row of a training exceeds, whatever the order of its samples.

    ``settings``: dict with batch, row_tokens, and packing where it is off. Rows are full, or they are all of a step.
    """
    longest = max(measured.tokens)
    row = max(settings["row_tokens"], longest)
    if not settings.get("packing", True):
        return longest, max(measured.targets)
    row = min(row, sum(sorted(measured.tokens)[-settings["batch"] :]))
    share = max(learned / size for learned, size in zip(measured.targets, measured.tokens, strict=True))
    return row, min(math.ceil(row * share), sum(sorted(measured.targets)[-settings["batch"] :]))


def needs(shapes, adapter, stage, settings, measured, parallel=None):
    """``{"memory", "memory_of_one_sample"}`` of a training, each ``{"cpu", "cuda"}``: estimates of the widest row, and
    of the longest sample alone, which is as far as rows can be halved on a GPU.

    ``parallel``: dict of the recipe's, or None. Of several processes the host holds all, of several GPUs the estimate
    is that of one of them.
    """
    found = _needs_of_one(shapes, adapter, stage, settings, measured)
    kind, devices = (parallel["kind"], parallel["devices"]) if parallel else ("none", 1)
    if kind == "data" and stage != "grpo":
        found = {name: each | {"cpu": footprints.of_processes(each["cpu"], devices)} for name, each in found.items()}
    if kind == "model":
        found = {
            name: each | {"cuda": footprints.of_each_card(each["cuda"], shapes, devices)}
            for name, each in found.items()
        }
    return found


def _needs_of_one(shapes, adapter, stage, settings, measured):
    if stage == "grpo":
        return dict.fromkeys(("memory", "memory_of_one_sample"), _grpo_needs(shapes, adapter, settings, measured))
    if stage == "dpo":
        adapter = adapter | {"dropout": 0.0}
    rows = (widest_row(measured, settings), widest_row(measured, settings | {"packing": False}))
    return {
        name: {
            device: footprints.training(shapes, adapter, settings, tokens, device, targets)
            for device in ("cpu", "cuda")
        }
        for name, (tokens, targets) in zip(("memory", "memory_of_one_sample"), rows, strict=True)
    }


def _grpo_needs(shapes, adapter, settings, measured):
    """A step's completions are written side by side, then computed side by side with padding (TRL's GRPOTrainer)."""
    number, new = settings["batch"], settings["max_new_tokens"]
    length = measured.longest + new
    cache = footprints.generation_cache(shapes, number, length, settings["dtype"])
    padded = settings | {"attention": "sdpa", "packing": True}
    options = {"targets": number * new, "cells": number * length**2, "cache": cache}
    return {
        device: footprints.training(shapes, adapter, padded, number * length, device, **options)
        for device in ("cpu", "cuda")
    }


def lengths(where, measured, settings, context):
    """What is wrong with the lengths of a training's samples.

    ``settings``: dict with max_length and batch, and of GRPO generations and max_new_tokens; ``context``: tokens that
    the base can take (0: unknown).
    """
    kept, dropped, added = len(measured.tokens), len(measured.too_long), settings.get("max_new_tokens", 0)
    # a batch of GRPO is counted in completions
    batch = settings["batch"] // settings.get("generations", 1)
    limit = f"max_length ({settings['max_length']} tokens)"
    if not kept:
        why = f"all {dropped} are longer than {limit}" if dropped else "there are none"
        yield f"{where}: no sample is left to train on: {why}; raise max_length or choose other parts"
        return
    if dropped > kept:
        yield (
            f"{where}: {dropped} of {kept + dropped} samples are longer than {limit} and would be left out "
            f"({_some(measured.too_long)}); raise max_length"
        )
    if kept < batch:
        yield f"{where}: {kept} samples do not fill a batch, which takes {batch}; lower its batch or add samples"
    longest = max(measured.tokens) + added
    if added and context and longest > context:
        yield (
            f"{where}: the longest prompt and {added} new tokens are {longest} tokens, and the base takes {context}; "
            "lower max_new_tokens or max_length"
        )
    elif context and measured.longest > context:
        yield f"{where}: samples have up to {measured.longest} tokens, the base takes {context}; set max_length to that"


def groups(settings):
    """A batch of GRPO has whole groups of completions of a prompt."""
    if settings["batch"] % settings["generations"]:
        yield (
            f"grpo.batch: {settings['batch']} completions of a step are no multiple of grpo.generations "
            f"({settings['generations']}); make it one"
        )


def overlap(where, training, held, what):
    """Samples that are trained on and then used to judge. ``training``, ``held``: lists of samples."""
    ids = {each["meta"]["id"] for each in training}
    shared = sorted({each["meta"]["id"] for each in held} & ids)
    if shared:
        yield (
            f"{where}: {len(shared)} of {len(held)} samples of the {what} are trained on as well ({_some(shared)}); "
            "build the corpus again: its splits have to be apart"
        )


def refused(checks):
    """A line for each corpus whose checks refused it; a warning: it blocks promotion, never the training.

    ``checks``: contents of checks.json files.
    """
    return [
        f"corpus '{each.get('corpus')}' was refused by its checks: {each.get('reason')}"
        for each in checks
        if each.get("verdict") == "refused"
    ]


def statistics(measured):
    """Tokens of a training's samples: n, mean, p95, max, how many were left out; None where no sample is left."""
    sizes = np.array(measured.tokens)
    figures = {"samples": len(sizes), "too_long": len(measured.too_long), "target_tokens": sum(measured.targets)}
    if not len(sizes):
        return figures | {"tokens": 0, "mean": None, "p95": None, "max": None}
    return figures | {
        "tokens": int(sizes.sum()),
        "mean": round(float(sizes.mean()), 2),
        "p95": round(float(np.quantile(sizes, 0.95)), 2),
        "max": int(sizes.max()),
    }


def require_none(mistakes, recipe):
    """Raise one StudyError with all mistakes, each once and in its order."""
    lines = list(dict.fromkeys(mistakes))
    if lines:
        many = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise StudyError(f"recipe '{recipe}' cannot be trained, {many}:\n  - " + "\n  - ".join(lines))


def _some(names):
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
