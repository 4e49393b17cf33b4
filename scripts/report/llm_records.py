"""The figures of language models as flat rows, for csv."""


def records(recipes):
    """Flat dicts for csv: every figure of every artifact; with ``against`` the differences; the gates of the files."""
    return [row for name, each in recipes.items() for row in _records(name, each)]


def _records(recipe, content):
    def row(artifact, **values):
        names = ("against", "set", "kind", "part", "figure", "n", "groups", "effective_n", "value", "low", "high")
        return {"recipe": recipe, "artifact": artifact} | {
            name: values.get(name) for name in (*names, "p", "p_holm", "said")
        }

    for artifact, each in content["evaluations"].items():
        for name in content["about"]["sets"]:
            found = each["sets"].get(name, {"kind": None, "figures": {}, "parts": {}})
            place = {"set": name, "kind": found["kind"]}
            for part, figures in ((None, found["figures"]), *found["parts"].items()):
                for figure, estimate in figures.items():
                    said = found.get("reason") if part is None else None
                    yield row(artifact, **place, part=part, figure=figure, said=said, **(estimate or {}))
            for figure, estimate in _further(found):
                yield row(artifact, **place, figure=figure, **estimate)
    for each in (content["comparison"] or {"comparisons": ()})["comparisons"]:
        figure = {key: each[key] for key in ("set", "part", "figure", "n", "low", "high", "p", "p_holm")}
        yield row(each["b"], against=each["a"], groups=each.get("groups"), value=each.get("difference"),
                  said=each["verdict"], **figure)  # fmt: skip
    for quant, found in content["verifications"].items():
        for each in found["gates"]:
            said = "passed" if each["passed"] else f"refused: {each['reason']}"
            kept = {"groups": each.get("texts"), **{key: each.get(key) for key in ("n", "value", "low", "high")}}
            yield row(quant, set="gguf", kind="gate", figure=each["gate"], said=said, **kept)


def _further(found):
    """Calibration, risk and coverage, and naive answers of a set as ``(figure, estimate)``."""
    calibration = found.get("calibration") or {}
    for measure, each in calibration.items() if found["kind"] in ("benchmark", "prompts", "answers") else ():
        own = {"n": each["n"], "groups": each["groups"]}
        for name in ("ece", "brier", "brier_of_constant"):
            yield f"{measure}_{name}", {"value": each[name], **own}
        yield from _by_chance(f"{measure}_", each, own)
    yield from _risk_coverage(found.get("risk_coverage"))
    if found["kind"] in ("held_out", "decisions"):
        for name in ("ece", "brier", "brier_of_constant"):
            if name in calibration:
                n = calibration.get("n", calibration.get("tokens"))
                yield name, {"value": calibration[name], "n": n, "groups": calibration.get("groups")}
        n = calibration.get("n", calibration.get("tokens"))
        yield from _by_chance("", calibration, {"n": n, "groups": calibration.get("groups")})
    if found.get("perplexity"):
        yield "perplexity", found["perplexity"]
    for name, each in (found.get("naive") or {}).items():
        yield name, {key: each[key] for key in ("value", "n", "groups", "effective_n", "low", "high")}
        yield f"minus_{name}", {key: each["model_minus_this"][key] for key in ("value", "n", "groups", "low", "high")}
    ensemble = found.get("ensemble") or {"n": 0}
    if ensemble["n"]:
        yield "ensemble", ensemble["ensemble"]
        difference = ensemble["model_minus_ensemble"]
        yield "minus_ensemble", {key: difference[key] for key in ("value", "n", "groups", "low", "high")}


def _by_chance(prefix, calibration, counted):
    """The calibration error of a calibrated model: its mean, and as ``high`` what 95 % stay below."""
    if chance := calibration.get("ece_if_calibrated"):
        yield f"{prefix}ece_if_calibrated", {"value": chance["mean"], "high": chance["high"], **counted}


def _risk_coverage(curve):
    """The accuracy of the surest answers, point by point, and the area below the curve of errors."""
    if not curve:
        return
    for each in {each["coverage"]: each for each in curve["points"]}.values():
        kept = {key: each[key] for key in ("value", "n", "groups", "effective_n", "low", "high")}
        yield f"accuracy_of_surest_{each['coverage']:.3g}", kept
    last = curve["points"][-1]
    yield "risk_coverage_area", {"value": curve["area"], "n": last["n"], "groups": last["groups"]}
