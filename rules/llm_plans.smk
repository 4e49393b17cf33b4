"""The functions of the llm stage, by which its rules find their inputs and params. No rules here."""

from scripts.common import devices
from scripts.llm import adapters
from scripts.llm import evaluations as evaluation_sets
from scripts.llm.bases import local as local_bases

LLM = f"{RESULTS}/llm"
BASE = f"{LLM}/bases/{{base}}"
RECIPE = f"{LLM}/{{recipe}}"
ADMISSION = f".work/{study.study}/admit_recipe/{{recipe}}.json"
GGUF = f"{RECIPE}/gguf/{{recipe}}-{{quant}}"
ADAPTER = (adapters.WEIGHTS, adapters.CONFIG)


def recipe_settings(wildcards):
    """The settings of the recipe that a job belongs to."""
    return study.recipes[wildcards.recipe]


def gpus(wildcards):
    """How many GPUs a training asks for: none with `device: cpu`, and with `auto` where this machine has none."""
    return int(gpu_wanted())


def training_gpus(wildcards):
    """How many GPUs an SFT or a DPO asks for."""
    return gpus(wildcards) * recipe_settings(wildcards).parallel.devices


def model_gpus(wildcards):
    """How many GPUs one process asks for that has a recipe's whole model: several where its layers are spread."""
    return gpus(wildcards) * spread(wildcards)


def spread(wildcards):
    """Over how many GPUs the layers of a recipe's model are spread where there are GPUs."""
    parallel = recipe_settings(wildcards).parallel
    return parallel.devices if parallel.kind == "model" else 1


def training_processes(wildcards):
    """How many processes an SFT or a DPO has."""
    parallel = recipe_settings(wildcards).parallel
    return parallel.devices if parallel.kind == "data" else 1


def parallel_params(wildcards):
    """What several devices change in a training."""
    return recipe_settings(wildcards).parallel.model_dump(mode="json")


def stage_settings(wildcards, stage):
    """The settings of a training of a recipe: `dpo`, `grpo`, or `sft-` and the phase."""
    recipe = recipe_settings(wildcards)
    return recipe.at(stage.removeprefix("sft-")) if stage.startswith("sft-") else getattr(recipe, stage)


def training_params(wildcards, stage):
    """What a training's weights depend on, of its settings."""
    return stage_settings(wildcards, stage).model_dump(mode="json", exclude={"checkpoints"})


def base_settings(wildcards):
    """The settings of a base."""
    return study.bases[wildcards.base]


def base_texts(wildcards):
    """What a base of kind scratch is pretrained on: the training conversations and pairs of its corpora."""
    base = base_settings(wildcards)
    if base.kind != "scratch":
        return []
    return [
        f"{CORPUS}/{form}/train.jsonl".format(corpus=corpus)
        for corpus in base.corpora
        for form in formats_of(corpus)
        if form != "prompts"
    ]


def base_parents(wildcards):
    """The names of the bases that a base of kind merge is made of."""
    base = base_settings(wildcards)
    if base.kind != "merge":
        return []
    return list(dict.fromkeys([*base.models, *([base.onto] if base.onto else [])]))


def own_files(wildcards):
    """What a base of kind local takes of the user's folder, file by file: so their contents decide."""
    base = base_settings(wildcards)
    return list(map(own, local_bases.files(os.path.expandvars(base.path)))) if base.kind == "local" else []


def base_gpus(wildcards):
    """How many GPUs a base asks for: one from scratch is trained, the others are copied or merged on the CPU."""
    return gpus(wildcards) if base_settings(wildcards).kind == "scratch" else 0


def model_of(name):
    """A base as an input: its index, whose content decides, and its folder, whose time does not."""
    return {"model": ancient(BASE.format(base=name)), "index": f"{BASE}.index.json".format(base=name)}


def base_of(wildcards):
    """The base of a recipe as an input."""
    return model_of(recipe_settings(wildcards).base)


def merged_of(wildcards):
    """The merged model of a recipe as an input."""
    return {
        "model": ancient(f"{RECIPE}/merged".format(recipe=wildcards.recipe)),
        "index": f"{RECIPE}/merged.index.json".format(recipe=wildcards.recipe),
    }


def converted(wildcards):
    """What a GGUF file is made of: the merged model, or the base for a file beside which an adapter is loaded."""
    return base_of(wildcards) if wildcards.source == "-base" else merged_of(wildcards)


def corpus_file(wildcards, form, split):
    """A split of a recipe's corpus."""
    return f"{CORPUS}/{form}/{split}.jsonl".format(corpus=recipe_settings(wildcards).corpus)


def phase_samples(wildcards, phase):
    """What a phase of SFT is trained on: a phase of the corpus's curriculum, or the training split."""
    recipe = recipe_settings(wildcards)
    curriculum = recipe.phases[phase].curriculum
    if curriculum is None:
        return corpus_file(wildcards, "messages", "train")
    return f"{CORPUS}/phases/{curriculum}.jsonl".format(corpus=recipe.corpus)


def policy_folder(wildcards, stage):
    """Where the adapter of a stage (`sft-<phase>`, dpo, grpo) lies."""
    return f"{RECIPE}/{stage.replace('sft-', 'sft/', 1)}".format(recipe=wildcards.recipe)


def adapter_files(wildcards, stage):
    """The adapter of a stage as an input; nothing for None."""
    if stage is None:
        return {}
    return dict(
        zip(("adapter", "config"), (f"{policy_folder(wildcards, stage)}/{name}" for name in ADAPTER), strict=True)
    )


def stage_before(wildcards, stage):
    """The stage whose adapter a stage continues, or None for the first."""
    stages = recipe_settings(wildcards).stages
    return ([None] + stages)[stages.index(stage)]


def last_stage(wildcards):
    """The stage whose adapter is exported."""
    return recipe_settings(wildcards).stages[-1]


def last_phase(wildcards):
    """The last phase of SFT: the reference of DPO."""
    return f"sft-{list(recipe_settings(wildcards).phases)[-1]}"


def recipe_data(wildcards):
    """What a recipe's data are checked by: every file that it trains on, and the verdict on its corpus."""
    recipe = recipe_settings(wildcards)
    files = {
        "sft": [phase_samples(wildcards, phase) for phase in recipe.phases],
        "validation": [corpus_file(wildcards, "messages", "validation")],
        "checks": [f"{CORPUS}/checks.json".format(corpus=recipe.corpus)],
    }
    if recipe.dpo:
        files["dpo"] = [corpus_file(wildcards, "preferences", split) for split in ("train", "validation")]
    if recipe.grpo:
        files["grpo"] = [corpus_file(wildcards, "prompts", "train")]
    return files


def preflight(wildcards):
    """The account of a recipe's checks: it has to be there before a training starts, its content changes none."""
    checkpoints.admit_recipe.get(recipe=wildcards.recipe)
    return ancient(f"{RECIPE}/preflight.json".format(recipe=wildcards.recipe))


def made_checks():
    """The admissions of recipes that were checked before and whose inputs are there: a dry run needs them current."""
    found = []
    for recipe in study.recipes:
        wildcards = Wildcards(fromdict={"recipe": recipe})
        files = [base_of(wildcards)["index"], *sum(recipe_data(wildcards).values(), [])]
        account = f"{RECIPE}/preflight.json".format(recipe=recipe)
        found += [ADMISSION.format(recipe=recipe)] if all(map(is_there, [account, *files])) else []
    return found


def recipe_params(wildcards):
    """What a recipe's checks and estimates depend on."""
    recipe = recipe_settings(wildcards)
    return {
        "adapter": recipe.adapter.model_dump(mode="json"),
        "sft": {phase: training_params(wildcards, f"sft-{phase}") for phase in recipe.phases},
        "dpo": recipe.dpo and training_params(wildcards, "dpo"),
        "grpo": recipe.grpo and training_params(wildcards, "grpo"),
        "quants": list(recipe.export.quants),
        "export": recipe.export.model_dump(mode="json", include={"quants", "lora", "modelfile"}),
        "parallel": parallel_params(wildcards),
    }


def quants_of(recipe):
    """The quants of a recipe."""
    return list(study.recipes[recipe].export.quants)


def artifacts_of(recipe):
    """Everything of a recipe that is evaluated: base, every trained policy, the merged model, every GGUF file."""
    return ["base", *study.recipes[recipe].stages, "merged", *quants_of(recipe)]


def artifact_files(wildcards):
    """What an evaluation asks: a model folder, and an adapter or a GGUF file."""
    recipe, artifact = wildcards.recipe, wildcards.artifact
    if artifact == "merged":
        return merged_of(wildcards)
    if artifact in quants_of(recipe):
        return merged_of(wildcards) | {"gguf": f"{GGUF}.gguf".format(recipe=recipe, quant=artifact)}
    return base_of(wildcards) | ({} if artifact == "base" else adapter_files(wildcards, artifact))


def evaluation_gpus(wildcards):
    """How many GPUs an evaluation asks for: none for a GGUF file, the pinned llama.cpp computes on the CPU."""
    return 0 if wildcards.artifact in quants_of(wildcards.recipe) else model_gpus(wildcards)


def set_files(wildcards):
    """The files of samples of a recipe's evaluation sets, set by set; a set of the harness has none."""
    places = {
        "benchmark": "benchmark.jsonl",
        "prompts": "prompts/test.jsonl",
        "answers": "messages/test.jsonl",
        "held_out": "messages/test.jsonl",
        "pairs": "preferences/test.jsonl",
        "decisions": "preferences/test.jsonl",
    }
    return [
        f"{CORPUS}/{places[each.kind]}".format(corpus=each.corpus)
        for each in recipe_settings(wildcards).evaluation.values()
        if each.kind in places
    ]


def compared_stacks(wildcards):
    """`(set, stack)` of the stacks that a recipe's decisions are compared with: those of the rows' timeframe."""
    found = []
    for name, each in recipe_settings(wildcards).evaluation.items():
        if each.kind == "decisions" and each.ensemble:
            timeframe = rows_timeframe(Wildcards(fromdict={"corpus": each.corpus}))
            if timeframe in study.ensembles[each.ensemble].timeframes:
                symbols = [
                    symbol for symbol in study.targets(each.ensemble) if symbol in study.corpus_symbols(each.corpus)
                ]
                found += [(name, {"ensemble": each.ensemble, "target": s, "timeframe": timeframe}) for s in symbols]
    return found


def compared_files(wildcards):
    """`(set, symbol, file)` of the out-of-fold and hold-out rows of those stacks; a skipped stack has none."""
    found = []
    for name, stack in compared_stacks(wildcards):
        plan = folds_of(**stack)
        if plan["decision"] == "stack":
            files = ["stacked.parquet", "test.parquet"] if plan["holdout"] else ["stacked.parquet"]
            found += [(name, stack["target"], f"{STACK}/{file}".format(**stack)) for file in files]
    return found


def ensemble_rows(wildcards):
    """The files of :func:`compared_files`."""
    return [file for _, _, file in compared_files(wildcards)]


def ensemble_symbols(wildcards):
    """The set and the symbol of each of them."""
    return [{"set": name, "symbol": symbol} for name, symbol, _ in compared_files(wildcards)]


def evaluation_settings(wildcards):
    """The settings of a recipe's evaluation sets."""
    return {name: each.model_dump(mode="json") for name, each in recipe_settings(wildcards).evaluation.items()}


def evaluation_code(wildcards):
    """The code of the kinds of evaluation sets that a recipe has."""
    kinds = {each.kind for each in recipe_settings(wildcards).evaluation.values()}
    return code.tokens(*sorted({f"scripts/llm/evaluations/{evaluation_sets.MODULES[kind]}.py" for kind in kinds}))


def base_code(wildcards):
    """The code of a base's kind."""
    return code.tokens(f"scripts/llm/bases/{base_settings(wildcards).kind}.py")


def llm_files(recipe):
    """All artifacts of one recipe."""
    wildcards = Wildcards(fromdict={"recipe": recipe})
    folder, settings = RECIPE.format(recipe=recipe), study.recipes[recipe]
    files = [f"{folder}/preflight.json", f"{folder}/merged", f"{folder}/merged.index.json"]
    for stage in settings.stages:
        files += [f"{policy_folder(wildcards, stage)}/{name}" for name in (*ADAPTER, "metrics.jsonl", "training.json")]
    if settings.dpo:
        files += [f"{folder}/dpo/reference.{kind}" for kind in ("parquet", "json")]
    for quant in quants_of(recipe):
        files += [f"{GGUF}.{kind}".format(recipe=recipe, quant=quant) for kind in ("gguf", "Modelfile", "verify.json")]
    if settings.export.lora:
        # an adapter beside the merged model would count twice: it is loaded beside its base
        files += [f"{folder}/gguf/{recipe}-base-{quant}.gguf" for quant in quants_of(recipe)[:1]]
        files.append(f"{folder}/gguf/{recipe}-lora.gguf")
    for artifact in artifacts_of(recipe) if settings.evaluation else ():
        files += [f"{folder}/evaluation/{artifact}.{kind}" for kind in ("json", "answers.jsonl")]
    return files + ([f"{folder}/evaluation/comparison.json"] if settings.evaluation else [])


def base_files(base):
    """All artifacts of one base."""
    return [BASE.format(base=base), f"{BASE}.index.json".format(base=base)]


def training_files(recipe, name):
    """A file of every trained policy of a recipe, in the order of training."""
    wildcards = Wildcards(fromdict={"recipe": recipe})
    return [f"{policy_folder(wildcards, stage)}/{name}" for stage in study.recipes[recipe].stages]


def evaluation_files():
    """The evaluation of every artifact of every recipe that is evaluated."""
    return [
        f"{RECIPE}/evaluation/{artifact}.json".format(recipe=recipe)
        for recipe, settings in study.recipes.items()
        if settings.evaluation
        for artifact in artifacts_of(recipe)
    ]


def recipe_told(recipe):
    """What the report says of a recipe beside its files, and the names of these."""
    settings = study.recipes[recipe]
    return {
        "base": settings.base,
        "base_kind": study.bases[settings.base].kind,
        "corpus": settings.corpus,
        "method": settings.adapter.method,
        "r": settings.adapter.r,
        "stages": settings.stages,
        "artifacts": artifacts_of(recipe),
        "quants": quants_of(recipe),
        "sets": {name: getattr(each, "corpus", None) for name, each in settings.evaluation.items()},
    }


def planted_signals():
    """What the study itself put into the corpora of its recipes: notes, and the signal of simulated markets."""
    settings = list(study.recipes.values())
    used = {each.corpus for each in settings} | {
        s.corpus for r in settings for s in r.evaluation.values() if hasattr(s, "corpus")
    }
    corpora = {name: each for name, each in study.corpora.items() if name in used}
    notes = {
        name: {part: each.note.agreement for part, each in corpus.parts.items() if getattr(each, "note", None)}
        for name, corpus in corpora.items()
    }
    markets = {
        name: {"market": corpus.market, "signal": study.markets[corpus.market].source.signal}
        for name, corpus in corpora.items()
        if corpus.market and getattr(study.markets[corpus.market].source, "signal", 0)
    }
    return {"notes": {name: each for name, each in notes.items() if each}, "markets": markets}
