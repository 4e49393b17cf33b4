"""One artifact (a base, an adapter on it, a merged model, a GGUF file) asked all evaluation sets of its recipe."""

import json
from pathlib import Path

from scripts.common import devices
from scripts.common.atomic import write_json, write_text
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.llm import answering, evaluations, policies, weights


def main(job):
    """Ask set by set; what is measured goes to the evaluation, what was said to the answers, speed to its own file."""
    params, inputs = job.params, job.input
    gguf, adapter = inputs.get("gguf"), inputs.get("adapter")
    device = policies.device_for(job.resources)
    files = iter(_listed(inputs.get("sets", ())))
    predictions = _predictions(_listed(inputs.get("ensembles", ())), params.get("predictions", ()))
    sets, answers = {}, []
    adapter_folder = adapter and Path(adapter).parent
    options = {"dtype": params.dtype, "device": device, "cards": devices.asked(job.resources), "threads": job.threads}
    with answering.opened(inputs.model, inputs["index"], adapter=adapter_folder, gguf=gguf, **options) as answerer:
        for name, settings in params.sets.items():
            kind = evaluations.load(settings["kind"])
            context = evaluations.Context(params.seed, tuple(predictions.get(name, ())))
            body, rows = kind.evaluate(answerer, next(files) if kind.FILE else None, settings, context)
            sets[name] = {"kind": settings["kind"], **evaluations.summarise(rows, kind.FIGURES, params.seed), **body}
            answers += [{"set": name, **row} for row in rows]
            progress.info("%s: %s", name, _told(sets[name]))
        speed = {"artifact": params.artifact, "backend": answerer.backend, "device": answerer.device}
        speed |= {"threads": job.threads if gguf else 1, **answerer.latency()}
    body = {
        "artifact": params.artifact,
        "backend": answerer.backend,
        "dtype": None if gguf else params.dtype,
        "model": _identity(inputs["index"], gguf or adapter),
        "seed": params.seed,
        "sets": evaluations.rounded(sets),
    }
    write_result(job.output.evaluation, "evaluation/1", body, job)
    lines = (json.dumps(evaluations.rounded(row), ensure_ascii=False, allow_nan=False) for row in answers)
    write_text(job.output.answers, "".join(f"{line}\n" for line in lines))
    write_json(job.output.latency, evaluations.rounded(speed))


def _predictions(paths, named):
    """``{set: [(symbol, path)]}`` of the ensemble's tables, in the order of the inputs."""
    found = {}
    for path, each in zip(paths, named, strict=True):
        found.setdefault(each["set"], []).append((each["symbol"], path))
    return found


def _identity(index, file):
    """What was judged: the digests of the base's weights, and of the GGUF file or adapter if it is one."""
    digests = {
        name: each["sha256"] for name, each in read_json(index)["files"].items() if name.endswith(".safetensors")
    }
    return {"weights": digests, "file": weights.sha256(file) if file else None}


def _told(found):
    """The first figure that is known, with its interval."""
    for name, each in found["figures"].items():
        if each is not None:
            ends = "" if each["low"] is None else f" [{each['low']:.3g}, {each['high']:.3g}]"
            return f"{name} {each['value']:.3g}{ends} of {each['n']}"
    return found.get("reason") or "nothing measured"


def _listed(value):
    return [value] if isinstance(value, str | Path) else list(value)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
