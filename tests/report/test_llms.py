"""The page and the figures of language models say what was measured, what changed, and what was not measured."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scripts.common.job import Job
from scripts.common.statistics import proportions
from scripts.common.training import health, metrics
from scripts.llm import compare_llms, evaluations, selective
from scripts.report import draw_llms, draw_losses, llm_sets, llm_table, tabulate_llms
from tests.report import study_files as made

KINDS = {"rules": "answers", "texts": "held_out", "pairs": "pairs", "decisions": "decisions", "asked": "benchmark"}
TRADER = {
    "base": "tiny",
    "base_kind": "scratch",
    "corpus": "trading",
    "method": "lora",
    "r": 16,
    "stages": ["sft-all", "dpo"],
    "quants": ["F32", "Q8_0"],
    "sets": dict.fromkeys(("rules", "texts", "pairs", "decisions"), "trading"),
}
PLANNER = TRADER | {
    "corpus": "wealth",
    "method": "dora",
    "stages": ["sft-A", "sft-B", "sft-C"],
    "quants": ["Q8_0"],
    "sets": dict.fromkeys(("asked", "texts"), "wealth"),
}
RECIPES = {
    name: each | {"artifacts": ["base", *each["stages"], "merged", *each["quants"]]}
    for name, each in (("trader", TRADER), ("planner", PLANNER))
}
PLANTED = {
    "notes": {"trading": {"pairs": 0.5, "noted_pairs": 1.0}},
    "markets": {"trading": {"market": "planted", "signal": 0.15}},
}
# how often an artifact is right: what it was trained on shows
SKILL = {"base": 0.05, "sft-all": 0.5, "sft-A": 0.2, "sft-B": 0.4, "sft-C": 0.55, "dpo": 0.5, "merged": 0.5}
LOSS = {"base": 2.1, "sft-all": 1.5, "sft-A": 1.9, "sft-B": 1.6, "sft-C": 1.5, "dpo": 1.55, "merged": 1.55}


def rows_of(name, artifact, recipe):
    """Rows of answers as evaluate_llm writes them: every artifact meets the same questions."""
    gguf = artifact in ("F32", "Q8_0")
    model = "merged" if gguf else artifact
    model = RECIPES[recipe]["stages"][-1] if model == "merged" else model
    shared, own = np.random.default_rng(len(name)), np.random.default_rng([len(name), len(model)])
    off = 0.01 * (artifact == "Q8_0")
    if name in ("rules", "asked"):
        hard = shared.random(120)
        right = (hard < SKILL[model] + off).astype(int)
        parts = ["decisions"] * 120 if name == "rules" else [f"domain {place % 6}" for place in range(120)]
        figures = [
            {"right": int(r), "exact": 0, "reward": float(r), "quality": 2 + 2 * int(r), "ended": 1} for r in right
        ]
        groups = [f"q{place // 8}" for place in range(120)]
    elif name == "texts":
        losses = LOSS[model] + off + 0.4 * shared.standard_normal(100) + 0.05 * own.standard_normal(100)
        number, accuracy = (6, None) if gguf else (100, 0.6)
        figures = [{"loss": float(each), "tokens": 40, "token_accuracy": accuracy} for each in losses[:number]]
        parts, groups = [("formulas", "states")[place % 2] for place in range(number)], [f"t{p}" for p in range(number)]
    elif name == "pairs":
        parts = ["noted_pairs"] * 90 + ["pairs"] * 90
        level = np.where(np.arange(180) < 90, 0.75 if model == "dpo" else 0.5, 0.5)
        right = (shared.random(180) < level).astype(int)
        whole = [None if gguf else int(each) for each in right]
        figures = [
            {"right": w, "first_right": int(r), "margin": None if gguf else float(r) - 0.5}
            for w, r in zip(whole, right, strict=True)
        ]
        groups = [f"AAA/2024-{1 + place % 12}{part}" for place, part in enumerate(parts)]
    else:
        right = (shared.random(90) < 0.5).astype(int)
        figures, parts = [{"right": int(each)} for each in right], ["pairs"] * 90
        groups = [f"AAA/2024-Q{1 + place % 4}" for place in range(90)]
    about = zip(figures, parts, groups, strict=True)
    return [
        {"id": f"{place:03d}", "part": part, "group": group, **each} for place, (each, part, group) in enumerate(about)
    ]


def body_of(name, rows, gguf):
    """What an evaluation says beyond the figures of its rows."""
    right, groups = [row.get("right") for row in rows], [row["group"] for row in rows]
    if name in ("rules", "asked"):
        known = {"min": {"asked": 150, **selective.calibrate(right, [0.4] * len(rows), groups)}}
        body = {"calibration": None if gguf else known, "too_long": ["one"]}
        curve = selective.risk_coverage(right, np.linspace(1, 0, len(rows)), groups)
        body["risk_coverage"] = None if gguf else curve
        share = {"side": "HOLD"} | proportions.share([1, 0] * 60, groups)._asdict()
        difference = proportions.mean(np.subtract(right, [1, 0] * 60), groups, 7)._asdict()
        return body | (
            {"naive": {"most_frequent": share | {"model_minus_this": difference}}} if name == "rules" else {}
        )
    if name == "texts":
        loss = evaluations.estimate(rows, evaluations.load("held_out").FIGURES["loss"], 7)
        body = {
            "perplexity": {key: float(np.exp(loss[key])) for key in ("value", "low", "high")},
            "tokens": 40 * len(rows),
        }
        return body | {
            "reason": "few texts" if gguf else None,
            "calibration": {"tokens": 9, "ece": 0.02, "brier": 0.21},
        }
    if name == "pairs":
        notes = {"noted_pairs": {"notes": 62, "tones": 12}}
        return {"reason": "llama.cpp gives the first token" if gguf else None, "notes": notes}
    other = [1 - each for each in right]
    paired = proportions.mean(np.subtract(right, other), groups, 7)._asdict()
    share = proportions.share(other, groups)._asdict()
    ensemble = {"n": 44, "ensemble": share, "model_minus_ensemble": paired | {"value": 0.023}}
    naive = {"majority": {"side": "SELL", **share, "model_minus_this": paired}}
    return {"naive": naive, "ensemble": ensemble, "calibration": selective.calibrate(right, [0.6] * 90, groups)}


def evaluation(recipe, artifact):
    """The evaluation and the answers of an artifact."""
    gguf, sets, answers = artifact in RECIPES[recipe]["quants"], {}, []
    for name in RECIPES[recipe]["sets"]:
        rows = rows_of(name, artifact, recipe)
        found = evaluations.summarise(rows, evaluations.load(KINDS[name]).FIGURES, 7)
        sets[name] = {"kind": KINDS[name], **found, **body_of(name, rows, gguf)}
        answers += [{"set": name, **row} for row in rows]
    backend = "llama.cpp" if gguf else "transformers"
    return {"artifact": artifact, "backend": backend, "model": {}, "sets": evaluations.rounded(sets)}, answers


def course(stage, steps=120, spike=None):
    """metrics.jsonl and training.json of a training, judged by the guard."""
    rng, records = np.random.default_rng(len(stage)), []
    for step in range(1, steps + 1):
        loss = 0.7 * 0.99**step if stage == "dpo" else 1.5 + np.exp(-step / 20)
        norm = float(np.exp(0.2 * rng.standard_normal()) * (30 if step == spike else 1))
        also = {"reward": 0.2 + step / 400} if stage == "grpo" else {}
        records.append(metrics.of_step(step, float(loss + 0.1 * rng.standard_normal()), norm, 1e-3, **also))
        if step % 30 == 0 and stage != "grpo":
            records.append(metrics.of_validation(step, float(loss + 0.05)))
    guard = health.Guard()
    for record in records:
        guard.observe(record)
    losses = [each["validation_loss"] for each in records if "validation_loss" in each]
    counted = {"dpo": {"pairs": 600}, "grpo": {"prompts": 60}}.get(stage, {"samples": 800})
    if stage == "grpo":
        counted |= {"mean_reward_first_tenth": 0.21, "mean_reward_last_tenth": 0.48}
    summary = {"steps": steps, "validation_losses": losses, "health": guard.summary(), "rows_halved": [[1024, 512]]}
    return records, summary | counted | {"too_long": ["a", "b"], "tokens": 90000}


def verification(recipe, quant, reason=None):
    def gate(name, passed, value, limit, **more):
        return {"gate": name, "passed": passed, "n": 512, "value": value, "limit": limit, "reason": reason, **more}

    gates = [
        gate("divergence", not reason, 8e-5, 1e-9 if reason else 1e-3, low=6e-5, high=1e-4, texts=60),
        gate("decisions", True, 0.996, 0.99, low=0.98, high=1.0, texts=60),
        gate("greedy", True, 1.0, 0.99, low=0.99, high=1.0, texts=60),
    ]
    figures = {"perplexity": {"model": 4.7711, "file": 4.7745}}
    reasons = [f"divergence: {reason}"] if reason else []
    return {
        "gguf": f"{recipe}-{quant}.gguf",
        "passed": not reason,
        "reasons": reasons,
        "gates": gates,
        "figures": figures,
    }


@cache
def contents(recipe):
    return {artifact: evaluation(recipe, artifact) for artifact in RECIPES[recipe]["artifacts"]}


def compared(folder, recipe):
    """comparison.json as its rule writes it."""
    found, inputs = contents(recipe), {"evaluations": [], "answers": []}
    for artifact, (body, answers) in found.items():
        inputs["evaluations"].append(folder / f"{recipe}-{artifact}.json")
        inputs["answers"].append(folder / f"{recipe}-{artifact}.jsonl")
        inputs["evaluations"][-1].write_text(json.dumps(body))
        inputs["answers"][-1].write_text("".join(json.dumps(row) + "\n" for row in answers))
    path = folder / f"{recipe}-comparison.json"
    compare_llms.main(Job(input=inputs, output=[path], params={"artifacts": list(found), "seed": 7}))
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return {recipe: compared(folder, recipe) for recipe in RECIPES}


def inputs_of(comparisons, recipes, **changed):
    """What the rule reads, in the order of its params."""
    files = {
        "preflights": [{"warnings": []} for _ in recipes],
        "trainings": [course(stage)[1] for each in recipes.values() for stage in each["stages"]],
        "verifications": [verification(name, quant) for name, each in recipes.items() for quant in each["quants"]],
        "evaluations": [contents(name)[each][0] for name in recipes for each in recipes[name]["artifacts"]],
        "comparisons": [comparisons[name] for name in recipes],
    }
    return files | changed


def tabulated(folder, inputs, recipes=RECIPES):
    """The page, parsed, and the rows of its csv."""
    params, names = {"recipes": recipes, "planted": PLANTED}, {"html": "llms.html", "csv": "llms.csv"}
    paths = made.job(folder, tabulate_llms.main, inputs, names, params=params, wildcards={})
    return made.Cells(paths["html"]), made.csv_rows(paths["csv"])


def drawn(folder, comparisons, recipes=RECIPES):
    params = {"recipes": recipes, "planted": PLANTED}
    inputs = {"evaluations": inputs_of(comparisons, recipes)["evaluations"]}
    return made.job(folder, draw_llms.main, inputs, "llms.svg", params=params, wildcards={})


def losses(folder, courses):
    """The figure of trainings; ``courses``: ``{stage: (records, summary)}``."""
    inputs = {"metrics": [], "summaries": []}
    for stage, (records, summary) in courses.items():
        paths = folder / f"{stage}.jsonl", folder / f"{stage}.json"
        for path, lines, kind in zip(paths, (records, [summary]), inputs, strict=True):
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            inputs[kind].append(str(path))
    job = {"params": {"stages": list(courses)}, "wildcards": {"recipe": "trader"}}
    draw_losses.main(Job(input=inputs, output=[str(folder / "losses.svg")], **job))
    return folder / "losses.svg"


def line_of(page, start):
    """The text of the page from ``start`` on, some lines long."""
    assert start in page.text, start
    return page.text[page.text.index(start) :][:600]


# the page


def test_every_artifact_has_a_row_with_figure_interval_and_n(tmp_path, comparisons):
    page, _ = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    for recipe, about in RECIPES.items():
        for artifact in about["artifacts"]:
            figure = contents(recipe)[artifact][0]["sets"]["texts"]["figures"]["loss"]
            said = f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
            rows = [row for row in page.rows if row[0] == artifact and any(cell.startswith(said) for cell in row)]
            assert rows, (recipe, artifact)
            assert all(" | n " in cell for row in rows for cell in row[1:]), rows
    assert "majority (SELL) 60 %: −20 points [−34, −6]" in page.text
    assert "n 120 in 15 groups, worth 102" in page.text and "Brier 0.172 (constant 0.055)" in page.text


def test_what_changed_is_said_with_its_paired_interval_and_what_is_no_difference_too(tmp_path, comparisons):
    page, _ = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    step = line_of(page, "dpo against sft-all")
    assert (
        "pairs · noted_pairs (planted signal): +24 points [" in step
        and "49 % to 73 %, n 90 in 12 groups: better" in step
    )
    assert "No difference at all on rules (n 120), pairs · pairs (n 90), decisions (n 90)." in step
    assert "texts: +0.058 nats [" in step and "n 100: worse." in step
    assert "n 120 in 15 groups: no difference that the data show." in line_of(page, "Q8_0 against merged")
    assert "n 6, 94 not asked of both" in line_of(page, "Q8_0 against merged")
    assert "dpo against base" in page.text and "Q8_0 against base" not in page.text  # the csv has it


def told(**changed):
    known = {"n": 182, "groups": 8, "unpaired": 0, "figure": "accuracy", "better": "higher", "p": 0.004, "p_holm": 0.01}
    known |= {"value_a": 0.48, "value_b": 0.71, "difference": 0.23, "low": 0.15, "high": 0.31}
    return llm_table._sentence(known | changed)


def test_a_sentence_says_no_more_than_the_interval_allows():
    assert told() == "+23 points [+15, +31], 48 % to 71 %, n 182 in 8 groups: better."
    assert told(difference=-0.01, low=-0.06, high=0.04).endswith("no difference that the data show.")
    assert told(difference=-0.2, low=-0.3, high=-0.1).endswith(": worse.")
    counted = "no difference that the data show when all comparisons of this figure are counted (p 0.2)."
    assert told(p_holm=0.2).endswith(counted)
    assert told(p=0.06, p_holm=0.3).endswith("no difference that the data show (p 0.06).")
    assert "nothing can be said" in told(low=None, high=None, groups=1)
    assert "all differences are equal" in told(low=None, high=None, p=0.5, p_holm=0.5, groups=2)
    assert told(low=None, high=None).startswith("+23 points (no interval), ") and told(low=None).endswith(": better.")
    assert (
        told(n=0, verdict="not compared: no row was answered by both") == "not compared: no row was answered by both."
    )
    loss = {"figure": "loss", "better": "lower", "value_a": 1.5, "value_b": 1.4, "high": -0.05}
    assert told(**loss, difference=-0.1, low=-0.15).startswith("−0.100 nats [−0.150, −0.050], 1.500 to 1.400")
    tiny = told(**loss | {"difference": 2e-5, "low": 1e-5, "high": 3e-5})
    assert tiny.startswith("+2.0e−05 nats [+1.0e−05, ") and tiny.endswith("worse, by less than a thousandth.")


def test_a_share_that_is_not_all_is_not_written_as_all():
    assert [llm_sets.percent(each) for each in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["0", "0.4", "50", "99.6", "100"]
    assert llm_sets.signed(-0.3) == "0" and llm_sets.signed(-3.2) == "−3" and llm_sets.signed(4.0) == "+4"


def test_what_llama_cpp_is_not_asked_is_not_shown_as_if_it_were(tmp_path, comparisons):
    page, _ = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    files = [row for row in page.rows if row[0] in ("F32", "Q8_0") and len(row) == 6]
    assert len(files) == 2
    for row in files:
        assert "few samples: see the paired differences" in row[2] and "n 6" in row[2]
        assert "first token only" in row[3] and "first token only" in row[4]
    models = [row for row in page.rows if row[0] == "merged"]
    assert not any("few samples" in cell or "only" in cell for row in models for cell in row)


def test_the_gates_tell_why_a_file_was_refused(tmp_path, comparisons):
    inputs = inputs_of(comparisons, RECIPES)
    inputs["verifications"][1] = verification("trader", "Q8_0", "mean KL 8e-05 above 1e-09 <b>")
    page, rows = tabulated(tmp_path, inputs)
    assert "2 of 3 GGUF files passed the gates." in page.text
    assert "divergence: mean KL 8e-05 above 1e-09 <b>" in page.text
    refused = next(row for row in page.rows if row[0] == "trader-Q8_0.gguf")
    assert refused[1] == "refused by 1 of 3 gates" and refused[2].startswith("✗ 8e-05 [6e-05, 0.0001] | ≤ 1e-09, n 512")
    passed = next(row for row in page.rows if row[0] == "trader-F32.gguf")
    assert passed[1] == "passed 3 gates" and passed[3].startswith("✓ 99.6 % [98, 100] | ≥ 99 %")
    gate = next(row for row in rows if row["figure"] == "divergence" and row["said"].startswith("refused"))
    assert (gate["recipe"], gate["artifact"], gate["n"], gate["groups"]) == ("trader", "Q8_0", "512", "60")


def test_a_file_whose_vocabulary_is_wrong_has_no_other_figures(tmp_path, comparisons):
    inputs, reason = inputs_of(comparisons, RECIPES), "the file has 3 tokens, the model 4"
    gate = {"gate": "vocabulary", "passed": False, "n": 4, "value": 3, "limit": 4, "reason": reason}
    broken = {"gguf": "x.gguf", "passed": False, "reasons": [f"vocabulary: {reason}"], "gates": [gate], "figures": {}}
    inputs["verifications"][0] = broken
    page, _ = tabulated(tmp_path, inputs)
    row = next(row for row in page.rows if row[0] == "x.gguf")
    assert row[1:] == ["refused by 1 of 1 gate", "not measured", "not measured", "not measured", "–"]


def test_trainings_tell_what_was_left_out_halved_and_found(tmp_path, comparisons):
    inputs = inputs_of(comparisons, RECIPES)
    inputs["trainings"][0] = course("sft-all", spike=70)[1]
    inputs["preflights"][1] = {"warnings": ["corpus 'wealth' was refused by its checks: pairs: skeletons is 4"]}
    page, _ = tabulated(tmp_path, inputs)
    row = next(row for row in page.rows if row[0] == "sft-all" and row[1] == "120")
    assert row[2:4] == ["800 samples | 90,000 tokens", "2"] and row[6] == "1,024 tokens to 512"
    assert row[5].startswith("step 70: spike (warning) | look at the samples of step 70")
    assert next(row for row in page.rows if row[0] == "dpo" and row[1] == "120")[5] == "nothing found"
    assert "Warning: corpus 'wealth' was refused by its checks: pairs: skeletons is 4" in page.text


def test_grpo_tells_its_reward(tmp_path, comparisons):
    recipes = {"only": TRADER | {"stages": ["grpo"], "quants": [], "sets": {}, "artifacts": ["base", "grpo", "merged"]}}
    inputs = {"preflights": [{}], "trainings": [course("grpo")[1]]}
    page, rows = tabulated(tmp_path, inputs, recipes)
    assert "mean reward 0.210 to 0.480" in page.text and "No evaluation is configured." in page.text
    assert "60 prompts" in page.text and rows == []


def test_what_is_planted_is_said_before_any_figure(tmp_path, comparisons):
    page, _ = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    before = page.text[: page.text.index("Recipe trader")]
    start = "Part noted_pairs of corpus trading: a note at the end of each question names the chosen side in 100 %"
    assert start in before
    told = line_of(page, start)
    assert "62 different notes of 12 tones, and training saw these" in told
    assert "It is the control" in before and "strength 0.15" in before
    assert [row for row in page.rows if "with a planted signal" in " ".join(row)]
    legend = page.text[page.text.rindex("Terms") :]
    for term in (
        "Surest answers",
        "Majority, balanced, ensemble",
        "Loss, perplexity",
        "Preference accuracy",
        "Calibration error, Brier",
        "n, groups, worth",
        "KL",
    ):
        assert f"{term}: " in legend


def test_the_csv_has_every_figure_and_every_comparison_with_n(tmp_path, comparisons):
    _, rows = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    for recipe in RECIPES:
        own = [row for row in rows if row["recipe"] == recipe and row["against"]]
        assert len(own) == len(comparisons[recipe]["comparisons"]) > 0
    assert all(row["n"] for row in rows if row["value"] and row["figure"] != "perplexity")
    assert {row["figure"] for row in rows if row["set"] == "decisions"} >= {
        "accuracy",
        "majority",
        "minus_ensemble",
        "ece",
        "ece_if_calibrated",
    }
    curve = [
        row for row in rows if row["artifact"] == "sft-all" and row["set"] == "rules" and "surest" in row["figure"]
    ]
    assert [row["figure"] for row in curve][:2] == ["accuracy_of_surest_0.1", "accuracy_of_surest_0.2"]
    assert len(curve) == 10 and all(row["low"] and row["high"] and row["groups"] for row in curve)
    assert [row for row in rows if row["figure"] == "risk_coverage_area"]
    assert [row for row in rows if row["figure"] == "minus_most_frequent" and row["set"] == "rules"]


def test_the_page_and_the_csv_say_the_same_of_every_comparison(tmp_path, comparisons):
    page, rows = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    for each in (each for found in comparisons.values() for each in found["comparisons"] if each["n"]):
        sentence = llm_table._sentence(each)
        for word in ("better", "worse"):
            assert (f": {word}" in sentence) == (f" is {word} than " in each["verdict"]), (sentence, each["verdict"])
    unsure = [row for row in rows if row["against"] and row["p_holm"] and float(row["p_holm"]) >= 0.05]
    assert unsure and all(row["said"].startswith("not told apart") for row in unsure)


def test_answers_stand_beside_a_guess_and_their_own_confidence(tmp_path, comparisons):
    page, _ = tabulated(tmp_path, inputs_of(comparisons, RECIPES))
    (cell,) = [row[1] for row in page.rows if row[0] == "sft-all" and "quality" in row[1]]
    assert " | most frequent answer (HOLD) 50 %: " in cell
    assert " | surest 50 % of answers: " in cell and " right, n 60 | " in cell
    assert ", n 120 of 150 that state something" in cell
    assert " (calibrated: 0.0" in cell and ", at most 0." in cell


def test_balanced_decisions_are_called_so(tmp_path, comparisons):
    inputs = json.loads(json.dumps(inputs_of(comparisons, RECIPES)))
    for each in inputs["evaluations"]:
        if naive := each["sets"].get("decisions", {}).get("naive"):
            naive["majority"] |= {"side": None, "value": 0.5, "low": None, "high": None, "effective_n": None}
    page, _ = tabulated(tmp_path, inputs)
    assert "balanced: 50 %: −20 points" in page.text and "majority (" not in page.text


def test_files_of_an_earlier_version_are_shown(tmp_path, comparisons):
    """Without what later versions added: notes, guesses of choices, curves, errors by chance."""
    inputs = json.loads(json.dumps(inputs_of(comparisons, RECIPES)))
    for each in inputs["evaluations"]:
        for own in each["sets"].values():
            for name in ("notes", "risk_coverage") + (("naive",) if own["kind"] == "answers" else ()):
                own.pop(name, None)
            calibration = own.get("calibration") or {}
            for found in (calibration, calibration.get("min", {})):
                found.pop("ece_if_calibrated", None), found.pop("asked", None)
    page, rows = tabulated(tmp_path, inputs)
    assert "calibrated:" not in page.text and "surest 50" not in page.text and len(rows) > 100


# the figures


def test_the_figure_has_every_artifact_with_its_figure_and_interval(tmp_path, comparisons):
    words = made.words(drawn(tmp_path, comparisons))
    for recipe, about in RECIPES.items():
        assert f"{recipe}: {about['method']} on tiny, corpus {about['corpus']}" in words
        for body, _ in contents(recipe).values():
            assert llm_sets.interval(body["sets"]["texts"]["figures"]["loss"], loss=True) in words
    assert words.count("merged") == 3  # one for each row of panels
    assert {"pairs · noted_pairs: preference accuracy", "planted signal", "control: notes say nothing"} <= set(words)
    assert [word for word in words if word.startswith("hollow: ")] and [w for w in words if w.startswith("dashed: ")]


def test_without_evaluations_the_figure_says_so(tmp_path, comparisons):
    recipes = {"only": TRADER | {"sets": {}, "artifacts": ["base"]}}
    path = made.job(
        tmp_path, draw_llms.main, {"evaluations": []}, "a.svg", params={"recipes": recipes, "planted": PLANTED}
    )
    assert "No recipe is evaluated." in made.words(path)


def test_figures_are_the_same_on_every_run(tmp_path, comparisons):
    courses = {stage: course(stage) for stage in ("sft-A", "dpo", "grpo")}
    for draw in (lambda: drawn(tmp_path, comparisons), lambda: losses(tmp_path, courses)):
        first = Path(draw()).read_bytes()
        assert first == Path(draw()).read_bytes() and b"<dc:date>" not in first


def test_the_losses_have_each_stage_with_its_own_figure_and_what_was_found(tmp_path):
    words = made.words(
        losses(tmp_path, {stage: course(stage, spike=70) for stage in ("sft-A", "sft-B", "dpo", "grpo")})
    )
    assert {"trader: course of the trainings", "sft-A, 120 steps", "dpo, 120 steps"} <= set(words)
    assert words.count("loss, nats a token") == 1 and words.count("loss on preferences, nats") == 1
    assert "mean reward" in words and "spike of the gradient norm: 4" in words and "validation loss" in words


def test_a_short_training_with_broken_numbers_is_drawn(tmp_path):
    records = [metrics.of_step(1, 2.0, 1.0, 1e-3), metrics.of_step(2, float("nan"), float("inf"), 1e-3)]
    found = health.Finding("non_finite", 2, health.STOP).record()
    words = made.words(losses(tmp_path, {"sft-all": (records, {"health": {"findings": [found]}})}))
    assert "number that is not finite: 1" in words and "validation loss" not in words


def test_the_running_mean_is_that_of_the_numbers_there_are():
    values = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    np.testing.assert_allclose(draw_losses.smoothed(values), [1.5, 1.5, 3.0, 4.5, 4.5])
    assert np.isnan(draw_losses.smoothed(np.full(3, np.nan))).all()


def test_no_spike_is_lost_where_a_line_is_thinned():
    values = np.sin(np.arange(50_000) / 40)
    values[31_234], values[40_001] = 9.0, np.nan
    kept = draw_losses.extremes(values)
    assert {0, 31_234, 40_001, 49_999} <= set(kept.tolist()) and len(kept) <= 1600
    assert len(draw_losses.extremes(values[:1000])) == 1000
