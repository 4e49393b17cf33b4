"""A recipe against its base and its corpus, before anything is trained: mistakes, tokens, memory and disk."""

import os
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.llm import examples, footprints, recipe_checks, weights

FORMS = {"sft": "messages", "dpo": "preferences", "grpo": "prompts"}
# in a job of a cluster the trainings have memory of their own, which they check themselves
CLUSTER = ("SLURM_JOB_ID", "KUBERNETES_SERVICE_HOST", "AWS_BATCH_JOB_ID", "BATCH_JOB_ID")


def main(job):
    """Find all mistakes, refuse what cannot fit here, and write what the trainings will need."""
    recipe, inputs, name = job.params.recipe, job.input, job.wildcards.recipe
    config = weights.read_config(inputs.model)
    shapes = footprints.shape(config, weights.Weights(inputs.model))
    tokenizer, mistakes = recipe_checks.tokenizer_of(inputs.model, shapes.vocabulary)
    mistakes += recipe_checks.targets(shapes, recipe["adapter"])
    mistakes += recipe_checks.programs(recipe["quants"], config, recipe["adapter"])
    if tokenizer:
        mistakes += recipe_checks.exports(inputs.model, tokenizer, config, recipe)
    measured = {}
    for stage, settings, training, held in stages(job):
        found, wrong = check_samples(stage, settings, training, held, job.params.parts)
        mistakes += wrong
        if tokenizer:
            form = FORMS[stage.split("-")[0]]
            measured[stage] = recipe_checks.measure(tokenizer, found, form, settings["max_length"])
            mistakes += recipe_checks.lengths(stage, measured[stage], settings, shapes.context)
    recipe_checks.require_none(mistakes, name)
    body = {
        "recipe": name,
        "corpus": job.params.corpus,
        "parameters": shapes.parameters | {"adapter": footprints.adapter_parameters(shapes, recipe["adapter"])},
        "stages": {},
        "warnings": recipe_checks.refused([read_json(path) for path in paths(inputs.checks)]),
    }
    plans, needs = {stage: settings for stage, settings, _, _ in stages(job)}, {}
    for stage, found in measured.items():
        needs[stage] = recipe_checks.needs(
            shapes, recipe["adapter"], stage, plans[stage], found, recipe.get("parallel")
        )
        said = {each: {device: of.body() for device, of in pair.items()} for each, pair in needs[stage].items()}
        body["stages"][stage] = {"tokens": recipe_checks.statistics(found)} | said
    disk = footprints.disk(recipe, shapes)
    refuse(job, needs, disk)
    for line in body["warnings"]:
        progress.info("warning: %s", line)
    progress.info("%d parameters, %d trained", shapes.total, body["parameters"]["adapter"])
    write_result(job.output[0], "preflight/1", body | {"disk": disk.body()}, job)


def stages(job):
    """``(stage, settings, training file, validation file or None)`` of every training, in their order."""
    recipe, inputs = job.params.recipe, job.input
    validation = next(iter(paths(inputs.get("validation"))), None)
    for (phase, settings), path in zip(recipe["sft"].items(), paths(inputs.sft), strict=True):
        yield f"sft-{phase}", settings, path, validation
    for stage in ("dpo", "grpo"):
        if recipe.get(stage):
            yield stage, recipe[stage], *(paths(inputs.get(stage)) + [None])[:2]


def paths(value):
    """Input files as a list, be it none, one or several."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def check_samples(stage, settings, training, held, parts):
    """``(samples, mistakes)`` of a training: those it chooses, and what is wrong with them."""
    form = FORMS[stage.split("-")[0]]
    mistakes = recipe_checks.parts(stage, settings["parts"], parts)
    found, wrong = recipe_checks.read(training, form)
    mistakes += wrong
    chosen = examples.chosen(found, settings)
    mistakes += recipe_checks.contents(stage, chosen, form)
    if form == "prompts":
        mistakes += recipe_checks.groups(settings)
    if held:
        against, wrong = recipe_checks.read(held, form)
        mistakes += [*wrong, *recipe_checks.contents("the validation split", against, form)]
        mistakes += recipe_checks.overlap(stage, chosen, against, "validation split")
    return chosen, mistakes


def refuse(job, needs, disk):
    """Raise StudyError with figures when this machine has not the disk, or the memory of the trainings.

    ``needs``: for each stage ``{"memory", "memory_of_one_sample"}``, for each device an estimate. With a GPU rows are
    halved until they fit, so one sample's has to.
    """
    gpus, name, folder = job.resources.get("planned_gpus"), job.wildcards.recipe, Path(job.output[0]).parent
    parallel, here = job.params.recipe.get("parallel"), number_of_gpus()
    # of several processes each has a card, of which one is looked at; one process has them all
    cards = gpus if parallel and parallel["kind"] == "model" else 1
    found = footprints.available(folder, gpu=min(cards, here) if gpus else False)
    wrong = []
    if gpus and 0 < here < gpus:
        wrong.append(f"parallel.devices: {gpus} GPUs are asked for and {here} are here; lower it, or run on more")
    # what a run before left is replaced
    old = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    attempts = [(disk, found.disk + old, f"recipe '{name}'")]
    on_cluster = any(each in os.environ for each in CLUSTER)
    for stage, each in needs.items():
        if gpus == 0 and not on_cluster:
            attempts.append((each["memory"]["cpu"], found.host, f"recipe '{name}', {stage}, on the CPU"))
        elif found.gpu is not None:
            least = each["memory_of_one_sample"]["cuda"]
            attempts.append((least, found.gpu, f"recipe '{name}', {stage}, on the GPU and with rows of one sample"))
            if least.total <= found.gpu < each["memory"]["cuda"].total:
                progress.info("%s: rows will be halved until they fit the GPU's memory", stage)
    for estimate, free, what in attempts:
        try:
            footprints.require(estimate, free, what)
        except StudyError as error:
            wrong.append(str(error))
    if wrong:
        raise StudyError("\n".join(wrong))


def number_of_gpus():
    """How many GPUs torch finds here."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
