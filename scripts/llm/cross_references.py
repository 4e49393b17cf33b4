"""What the ``bases`` and ``recipes`` of a study name that is not there: found before anything runs."""

from scripts.corpus import kinds as part_kinds
from scripts.llm.architectures import LAYERS

RESERVED = ("bases",)  # a folder beside those of the recipes


def mistakes(study):
    """One line for each mistake in the bases and recipes of a study (:class:`scripts.study.Study`)."""
    found = [line for name, base in study.bases.items() for line in _base_mistakes(study, f"bases.{name}", name, base)]
    for name, recipe in study.recipes.items():
        if name in RESERVED:
            found.append(f"recipes: '{name}' is a folder of the stage; rename the recipe")
        found += _recipe_mistakes(study, f"recipes.{name}", recipe)
    return found


def _missing(where, what, name, known):
    """The line that says that a name is not there, and which are."""
    return f"{where}: there is no {what} '{name}' (there are: {', '.join(known) or 'none'})"


def _base_mistakes(study, where, name, base):
    if base.kind == "scratch":
        for each in base.corpora:
            if each not in study.corpora:
                yield _missing(f"{where}.corpora", "corpus", each, study.corpora)
    if base.kind == "merge":
        for each in [*base.models, *([base.onto] if base.onto else [])]:
            if each not in study.bases:
                yield _missing(f"{where}.models", "base", each, study.bases)
        if name in ancestors(study.bases, name):
            yield f"{where}.models: '{name}' is merged from itself"


def ancestors(bases, name):
    """The bases that a base is merged from, directly or not."""
    found, waiting = set(), [name]
    while waiting:
        base = bases.get(waiting.pop())
        if base is not None and base.kind == "merge":
            new = {*base.models, *([base.onto] if base.onto else [])} - found
            found |= new
            waiting += new
    return found


def _recipe_mistakes(study, where, recipe):
    if recipe.base not in study.bases:
        yield _missing(f"{where}.base", "base", recipe.base, study.bases)
    else:
        yield from _target_mistakes(where, recipe, study.bases[recipe.base])
    if recipe.corpus not in study.corpora:
        yield _missing(f"{where}.corpus", "corpus", recipe.corpus, study.corpora)
    else:
        yield from _corpus_mistakes(where, recipe, study.corpora[recipe.corpus])
    for name, each in recipe.evaluation.items():
        yield from _evaluation_mistakes(study, f"{where}.evaluation.{name}", each)


def _target_mistakes(where, recipe, base):
    """Targets that a base of our own does not have; of other bases the files say so before training."""
    if base.kind == "scratch":
        for each in recipe.adapter.targets:
            if each not in LAYERS:
                yield f"{where}.adapter.targets: the base has no linear layer '{each}' ({', '.join(LAYERS)})"


def _formats(corpus):
    """``{format: names of the parts}`` of a corpus."""
    found = {}
    for name, part in corpus.parts.items():
        found.setdefault(part_kinds.format_of(part.model_dump(mode="json")), []).append(name)
    return found


def _corpus_mistakes(where, recipe, corpus):
    formats = _formats(corpus)
    needs = {"sft": "messages", "dpo": "preferences", "grpo": "prompts"}
    for key, form in needs.items():
        settings = getattr(recipe, key)
        if settings is None:
            continue
        if form not in formats:
            yield f"{where}.{key}: corpus '{recipe.corpus}' has no part with {form}"
        for part in [] if settings.parts == "all" else settings.parts:
            if part not in formats.get(form, ()):
                known = ", ".join(formats.get(form, ())) or "none"
                yield f"{where}.{key}.parts: corpus '{recipe.corpus}' has no part '{part}' with {form} ({known})"
    for name, phase in recipe.phases.items():
        phases = corpus.curriculum.phases
        if phase.curriculum is not None and phase.curriculum not in phases:
            yield _missing(f"{where}.phases.{name}.curriculum", "phase", phase.curriculum, phases)


def _evaluation_mistakes(study, where, settings):
    if settings.kind == "harness":
        return
    corpus = study.corpora.get(settings.corpus)
    if corpus is None:
        yield _missing(f"{where}.corpus", "corpus", settings.corpus, study.corpora)
        return
    forms = {"prompts": "prompts", "answers": "messages", "held_out": "messages", "pairs": "preferences"}
    form = forms.get(settings.kind, "preferences" if settings.kind == "decisions" else None)
    if settings.kind == "benchmark" and corpus.benchmark is None:
        yield f"{where}: corpus '{settings.corpus}' has no benchmark; give it one"
    if form and form not in _formats(corpus):
        yield f"{where}: corpus '{settings.corpus}' has no part with {form}"
    parts = getattr(settings, "parts", "all")
    for part in [] if parts == "all" else parts:
        if part not in _formats(corpus).get(form, ()):
            yield f"{where}.parts: corpus '{settings.corpus}' has no part '{part}' with {form}"
    ensemble = getattr(settings, "ensemble", None)
    if ensemble is not None and ensemble not in study.ensembles:
        yield _missing(f"{where}.ensemble", "ensemble", ensemble, study.ensembles)
