"""Tasks of lm-evaluation-harness (lm_eval 0.4.13) on the model in memory; nothing is fetched."""

import math
import os
import sys
from importlib import import_module

from scripts.common.errors import StudyError
from scripts.llm import evaluations

FILE = False
VERSION = "0.4.13"
FIGURES = {"accuracy": evaluations.Figure("right", binary=True)}
# the metrics of one question that are 0 or 1, the first that a task has
RIGHT = ("acc", "exact_match", "acc_norm")


def evaluate(answerer, path, settings, context):
    """Tasks: see the package's docstring. Raises StudyError when lm_eval is not installed or knows no such task."""
    if not answerer.exhaustive:
        reason = "lm-evaluation-harness asks transformers models; the merged model's figures stand beside"
        return {"tasks": None, "reason": reason}, []
    # data sets and metrics of tasks come from the disk: a job does not use the network
    _go_offline()
    lm_eval, hf_model, task_manager = _import(settings["tasks"])
    found = lm_eval.simple_evaluate(
        model=hf_model(pretrained=answerer.model, tokenizer=answerer.tokenizer, batch_size=8),
        tasks=list(settings["tasks"]),
        task_manager=task_manager(include_path=settings["path"] and os.path.expandvars(settings["path"])),
        limit=settings["limit"],
        bootstrap_iters=0,  # intervals are made here, as for all other sets
        log_samples=True,
        random_seed=context.seed,
        numpy_random_seed=context.seed,
        torch_random_seed=context.seed,
        fewshot_random_seed=context.seed,
    )
    rows = [_row(task, each) for task, samples in sorted(found["samples"].items()) for each in _first_filter(samples)]
    return {"tasks": _results(found), "version": VERSION, "reason": None}, sorted(rows, key=lambda row: row["id"])


def _go_offline():
    """Keep huggingface_hub and datasets off the network. The variables are read at import, which may be over."""
    os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
    import_module("huggingface_hub").constants.HF_HUB_OFFLINE = True
    if "datasets" in sys.modules:
        config = import_module("datasets.config")
        config.HF_HUB_OFFLINE = config.HF_DATASETS_OFFLINE = True


def _first_filter(samples):
    """One sample of each question: a task may read the same answer by several filters, which are not separate."""
    return list({each["doc_id"]: each for each in reversed(samples)}.values())[::-1]


def _import(tasks):
    try:
        # by name: an optional package has no pin in the lock, which an import statement would ask for
        lm_eval, models, its_tasks = map(import_module, ("lm_eval", "lm_eval.models.huggingface", "lm_eval.tasks"))
    except ImportError as error:
        raise StudyError(
            f"the evaluation set names tasks of lm-evaluation-harness ({', '.join(tasks)}), which is not installed "
            f"({error}); run `.venv/bin/pip install 'lm_eval[hf]=={VERSION}'`, or leave sets of kind harness out"
        ) from None
    return lm_eval, models.HFLM, its_tasks.TaskManager


def _results(found):
    """``{task: {metric: value, "n": questions}}``: numbers only, no times, paths or versions of the machine."""
    results = {}
    for task, metrics in sorted(found["results"].items()):
        numbers = {name: each for name, each in sorted(metrics.items()) if _is_number(each)}
        results[task] = numbers | {"n": found.get("n-samples", {}).get(task, {}).get("effective")}
    return results


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _row(task, sample):
    right = next((sample[name] for name in RIGHT if sample.get(name) in (0, 1)), None)
    said = sample.get("filtered_resps")
    return {
        "id": f"{task}/{sample.get('filter', '')}/{sample['doc_id']:06d}",
        "group": f"{task}/{sample['doc_id']}",
        "part": task,
        "prompt": None,  # the task's own data has it
        "answer": None if said is None else str(said),
        "expected": str(sample.get("target")),
        "score": right,
        "right": None if right is None else int(right),
    }
