"""What jobs ask for: memory, minutes and GPUs, as formulas of sizes and of the attempt. No rules here.

Every figure beside a rule is megabytes or minutes of a first attempt; each further attempt asks for so many times as
much. docs/execution.md has the peaks that the figures were checked against. A job that reads large files asks in
proportion to them. The rules of the report that show a figure cannot: Snakemake asks for resources while it makes the
page, where sizes of inputs are not to be had.
"""

import functools
import itertools
import json
import math

from scripts.common.results import read_json

MATRIX_MB = 20  # of memory for each MB of a block's float32 matrix; 13 measured at 46 MB of 575 features
CELL_ROUND_S = 3e-9  # to boost one round on one value of the matrix, trees of 16 leaves: 2.2 to 3.1 ns measured
SLACK = 10  # times the measured speed: other machines, other loads
TOKENS_PER_MB = 300_000  # of text in jsonl
QUESTION_BYTES = 400  # of a sample in jsonl, at least
LOGITS_MB = 1.8  # of one token: 150,000 of them, 12 bytes each
# FLOP/s. One CPU thread reached 7.6e10 in the SFT of the default study; those of GPUs are assumed, an eighth of what an
# A100 can do in bfloat16 and two fifths of what it can in float32
SPEED = {"cpu": 2e10, "cuda": {"float32": 8e12, "bfloat16": 4e13}}
BANDWIDTH_MB = {"cpu": 5e3, "cuda": 5e5}  # MB/s: for a written token all weights are read once; both assumed
ANSWERS = 32  # that are written side by side: ROWS of scripts/llm/answering.py
STEP_S = 0.05  # that a GPU takes for one more token of all completions of a step; assumed
GPU_HOST_MB = 6000  # host memory of a process that computes on a GPU: CUDA's libraries, one shard of weights; assumed


def megabytes(base, per_input=4, per_folder=None):
    """A memory request: `base` MB and multiples of the sizes of the input files and of what is in the input folders
    (the same multiple where none is given), growing with each attempt."""
    per_folder = per_input if per_folder is None else per_folder

    def request(wildcards, input, attempt):
        return int((base + per_input * file_megabytes(input) + per_folder * folder_megabytes(input)) * attempt)

    return request


def minutes(base, per_input=0, per_folder=0):
    """A time limit: `base` minutes, and so many for each MB of the input files and of what is in the input folders,
    growing with each attempt. Without the latter two the inputs are not looked at."""
    if not (per_input or per_folder):
        return by_attempt(base)

    def request(wildcards, input, attempt):
        folders = per_folder * folder_megabytes(input) if per_folder else 0
        return math.ceil((base + per_input * file_megabytes(input) + folders) * attempt)

    return request


def by_attempt(amount):
    """A request that only the attempt changes."""
    return lambda wildcards, attempt: amount * attempt


def file_megabytes(input, suffix=""):
    """The size of the input files that end so, folders left out. Where an input is not there yet, this says so to
    Snakemake."""
    folders = folder_indexes(input)
    wanted = [path not in folders and str(path).endswith(suffix) for path in input]
    if workflow.storage_settings.default_storage_provider:
        return sum(itertools.compress(input.size_files_mb, wanted))
    # Snakemake's way to sizes begins an event loop for each job: a third of the time of a large plan
    return sum(os.stat(path).st_size for path in itertools.compress(input, wanted)) / 2**20


def text_megabytes(input):
    """The size of the samples among the input files; adapters and GGUF files are none."""
    return file_megabytes(input, ".jsonl")


def folder_indexes(input):
    """The index beside each folder among the inputs, `{folder: index}`."""
    names = {str(path): path for path in input}
    return {path: names[f"{path}.index.json"] for path in names if f"{path}.index.json" in names}


def folder_megabytes(input):
    """The size of what is in the input folders, as their indexes have it: of a folder Snakemake takes the entry's size,
    or what the storage says."""
    indexes = folder_indexes(input).values()
    files = [file for index in indexes for file in manifest_files.read(index).get("files", {}).values()]
    return sum(file["size"] for file in files) / 2**20


# Folds. A SLURM array is submitted with the request of its first job: these say the same of all blocks of a stack's
# model, so they look at the plan and the settings, never at the files of one block.


@functools.cache
def matrix_columns(ensemble, timeframe, model):
    """How many columns the matrix of a model has."""
    peers = len(study.ensembles[ensemble].peers)
    sets = study.ensembles[ensemble].at(timeframe).models[model].features
    return sum(len(feature_sets.load(each).names()) * (peers if feature_sets.of_peers(each) else 1) for each in sets)


def window_rows(wildcards):
    """Bars of the longest training window of a stack."""
    folds = stack_settings(wildcards).folds
    return folds.train if folds.window == "rolling" else folds.train + folds.step * len(folds_at(wildcards)["folds"])


def matrix_megabytes(wildcards, folds):
    """The float32 matrix of a job that trains so many folds in a row: the rows of all their windows."""
    settings = stack_settings(wildcards).folds
    rows = window_rows(wildcards) + settings.step * (folds - 1) + settings.test
    return 4 * rows * matrix_columns(wildcards.ensemble, wildcards.timeframe, wildcards.model) / 2**20


def boosting_minutes(wildcards, folds):
    """Minutes to train so many folds with all rounds, none stopped early, on the longest window."""
    model = stack_settings(wildcards).models[wildcards.model]
    leaves = getattr(model, "num_leaves", None) or 2 ** getattr(model, "max_depth", 4)
    cells = window_rows(wildcards) * matrix_columns(wildcards.ensemble, wildcards.timeframe, wildcards.model)
    return folds * cells * model.rounds * max(1, leaves / 16) * CELL_ROUND_S * SLACK / 60


def folds_per_job(wildcards):
    """How many folds the largest block of a stack has."""
    return min(stack_settings(wildcards).folds.per_job, len(folds_at(wildcards)["folds"]))


def folds_megabytes(folds):
    """The memory request of a job that trains `folds(wildcards)` folds, in steps of 100 MB."""

    def request(wildcards, attempt):
        matrix = matrix_megabytes(wildcards, folds(wildcards))
        return 100 * math.ceil((600 + MATRIX_MB * matrix) / 100) * attempt

    return request


def folds_minutes(folds):
    """The time limit of a job that trains `folds(wildcards)` folds."""
    return lambda wildcards, attempt: math.ceil(10 + boosting_minutes(wildcards, folds(wildcards))) * attempt


# Language models


def gpu_request(asked):
    """The resources that ask for `asked(wildcards)` GPUs: their number, and where there are some their model
    and their least memory in GB, as the study says. None is none to Snakemake. One task on one machine, whatever the
    number: torchrun starts the processes."""
    return {
        "tasks": 0,
        "nodes": 1,
        "gpu": asked,
        "gpu_model": lambda wildcards: study.gpu.model if asked(wildcards) else None,
        "gpu_memory_gb": lambda wildcards: study.gpu.memory_gb if asked(wildcards) else None,
    }


def gpu_wanted():
    """Whether jobs that can use a GPU ask for one.

    `device: auto` asks where this machine has one. A job that a cluster runs was planned elsewhere: what it was granted
    decides, lest it compute on the CPU because its machine lacks the GPU that it was planned with. Raises WorkflowError
    where the study wants GPUs and `--resources` allows none: Snakemake would run the jobs with none.
    """
    limit = workflow.global_resources.get("gpu")
    limit = None if limit is None else limit.value
    if study.device == "cuda" and limit == 0 and not workflow.remote_exec:
        raise WorkflowError("the study says `device: cuda`, and `--resources gpu=0` allows no GPU: change one of them")
    if study.device != "auto" or limit == 0:
        return study.device == "cuda"
    if workflow.remote_exec and limit is not None:
        return True
    return devices.has_gpu()


def base_megabytes(wildcards, input, attempt):
    """The memory of a base: one from scratch is trained, others are merged tensor by tensor, fetched or copied."""
    base = base_settings(wildcards)
    if base.kind != "scratch":
        return megabytes(1500, per_input=0, per_folder=0.5)(wildcards, input, attempt)
    # parameters with gradients and moments; of a token what autograd keeps of every layer, and the logits
    token = base.layers * (16 * base.hidden + 4 * base.intermediate) * 4 + base.vocabulary * 12
    needed = 1000 + (16 * scratch_parameters(base) + base.batch * base.context * token) / 2**20
    return megabytes(needed, per_input=8)(wildcards, input, attempt)


def base_minutes(wildcards, attempt):
    """How long a base may take: one from scratch its steps of full texts, others are fetched or merged, 28 GB of them."""
    base = base_settings(wildcards)
    if base.kind != "scratch":
        return 240 * attempt
    tokens = base.steps * base.batch * base.context
    return math.ceil(20 + model_minutes(scratch_parameters(base), 3 * tokens, base_gpus(wildcards))) * attempt


def scratch_parameters(base):
    """About how many parameters a base from scratch has."""
    return base.vocabulary * base.hidden + base.layers * (4 * base.hidden**2 + 3 * base.hidden * base.intermediate)


def model_minutes(parameters, tokens, gpu, dtype="float32", threads=1):
    """Minutes of so many tokens forward through a model; a training step counts three times, back and forth."""
    speed = SPEED["cuda"][dtype] if gpu else SPEED["cpu"] * threads
    return 2 * parameters * tokens / speed / 60


def preflight_of(input):
    """What check_recipe found, or None where the account is not there yet, or not on this machine. Snakemake names the
    checkpoint's own output in its place while that is still to be made."""
    try:
        found = read_json(input.get("preflight"))
    except (OSError, TypeError, ValueError):
        return None
    return found if "stages" in found else None


def folder_parameters(input):
    """How many parameters the models in the input folders have at most: two bytes each."""
    return folder_megabytes(input) * 2**20 / 2


def training_megabytes(wildcards, input, attempt, stage):
    """The memory of a training: on the CPU what check_recipe estimated (within 0.98 to 1.22 of what torch took) and a
    quarter; on a GPU the host's part. 16 MB for each of samples, and the Snakemake process."""
    samples, found = 16 * text_megabytes(input), preflight_of(input)
    if gpus(wildcards):
        needed = (GPU_HOST_MB + 1.3 * folder_megabytes(input)) * training_processes(wildcards)
    elif found and stage in found["stages"]:
        needed = 400 + 1.25 * found["stages"][stage]["memory"]["cpu"]["bytes"] / 2**20
    else:
        needed = (2000 + 2.6 * folder_megabytes(input)) * training_processes(wildcards)
    return int((needed + samples) * attempt)


def training_minutes(wildcards, input, attempt, stage):
    """How long a training may take: its tokens through the model three times, once more with gradient checkpointing;
    what check_recipe counted, or estimates from the sizes of the files."""
    settings, found = stage_settings(wildcards, stage), preflight_of(input)
    if found and stage in found["stages"]:
        parameters, counted = sum(found["parameters"].values()), found["stages"][stage]["tokens"]
        tokens, mean = counted["tokens"], counted["mean"]
    else:
        parameters, tokens, mean = folder_parameters(input), TOKENS_PER_MB * text_megabytes(input), settings.max_length
    if stage == "grpo":
        completions = settings.steps * settings.batch
        # writing on a CPU costs about what learning does
        tokens = completions * (mean + settings.max_new_tokens) * (1 if gpus(wildcards) else 2)
        writing = settings.steps * settings.max_new_tokens * STEP_S / 60 if gpus(wildcards) else 0
    else:
        tokens, writing = tokens * settings.epochs, 0
    passes = 4 if settings.gradient_checkpointing else 3
    return (
        math.ceil(20 + writing + model_minutes(parameters, passes * tokens, gpus(wildcards), settings.dtype)) * attempt
    )


def training_request(stage):
    """`mem_mb`, `runtime` and `checkpoints` of the training that `stage`, a function of wildcards, names.

    How often it saves itself is a resource, not a param: no weight depends on it, a change trains nothing again.
    """
    return {
        "checkpoints": lambda wildcards: stage_settings(wildcards, stage(wildcards)).checkpoints,
        "mem_mb": lambda wildcards, input, attempt: training_megabytes(wildcards, input, attempt, stage(wildcards)),
        "runtime": lambda wildcards, input, attempt: training_minutes(wildcards, input, attempt, stage(wildcards)),
    }


def reference_megabytes(wildcards, input, attempt):
    """The memory of DPO's reference: the process, the model in its number format, the logits of a row."""
    dpo = recipe_settings(wildcards).dpo
    needed = GPU_HOST_MB if gpus(wildcards) else 1000 + LOGITS_MB * dpo.row_tokens
    return int((needed + 16 * text_megabytes(input) + 2.2 * folder_megabytes(input)) * attempt)


def reference_minutes(wildcards, input, attempt):
    """How long scoring a reference may take: every pair once through the model."""
    tokens, dtype = TOKENS_PER_MB * text_megabytes(input), recipe_settings(wildcards).dpo.dtype
    return math.ceil(20 + model_minutes(folder_parameters(input), tokens, gpus(wildcards), dtype)) * attempt


def verification_minutes(wildcards, input, attempt, threads):
    """How long a GGUF file's verification may take: its prompts of 1,000 tokens through llama.cpp, on the CPU, and the
    model, with what both write."""
    tokens = 3 * 1000 * recipe_settings(wildcards).export.verified_texts
    return math.ceil(30 + model_minutes(folder_parameters(input), tokens, 0, threads=threads)) * attempt


def evaluation_megabytes(wildcards, input, attempt):
    """The memory of an evaluation: a model in float32, or a GGUF file in llama.cpp, which asks its model nothing."""
    in_file = wildcards.artifact in quants_of(wildcards.recipe)
    return megabytes(2500, per_input=1.5, per_folder=0 if in_file else 2)(wildcards, input, attempt)


def evaluation_minutes(wildcards, input, attempt, threads):
    """How long an evaluation may take: all texts once through the model, and the answers, for each token of which the
    weights are read, on a GPU for all answers of a batch at once."""
    gpu = bool(evaluation_gpus(wildcards))
    weights = file_megabytes(input, ".gguf") or folder_megabytes(input)
    read = model_minutes(folder_parameters(input), TOKENS_PER_MB * text_megabytes(input), gpu, threads=threads)
    sets = [each for each in recipe_settings(wildcards).evaluation.values() if hasattr(each, "max_new_tokens")]
    written = sum(most_questions(each, input) * each.max_new_tokens for each in sets)
    if gpu:
        # twice: the cache of what was said is read, too
        seconds = written / ANSWERS * 2 * weights / BANDWIDTH_MB["cuda"]
    else:
        seconds = written * weights / BANDWIDTH_MB["cpu"] / threads
    return math.ceil(30 + read + seconds / 60) * attempt


def most_questions(each, input):
    """How many questions an evaluation set has at most: those of its file; where that lies in a store, one for so many
    bytes of all texts."""
    places = {"benchmark": "benchmark.jsonl", "prompts": "prompts/test.jsonl", "answers": "messages/test.jsonl"}
    path = f"{CORPUS}/{places[each.kind]}".format(corpus=each.corpus)
    if not os.path.exists(path):
        return math.ceil(text_megabytes(input) * 2**20 / QUESTION_BYTES)
    known = questions_of(path, os.stat(path).st_mtime_ns)
    if each.kind == "answers" and each.parts != "all":
        known = [(part, domain) for part, domain in known if part in each.parts]
    return min(len(known), len(set(known)) * each.per_domain) if each.per_domain else len(known)


@functools.cache
def questions_of(path, written):
    """`(part, domain)` of every sample in a file; `written`: when, lest an older one be remembered."""
    with open(path) as file:
        found = [json.loads(line)["meta"] for line in file]
    return [(each["part"], each["domain"]) for each in found]
