"""A difference is said only where it is one."""

import json

import numpy as np
import pytest

from scripts.common.job import Job
from scripts.llm import compare_llms, comparisons

BACKENDS = dict.fromkeys(("base", "sft-A", "dpo", "merged"), "transformers") | {
    "F32": "llama.cpp",
    "Q8_0": "llama.cpp",
}


def answered(right, part="made"):
    return {
        f"{part}/{place}": {"group": f"g{place // 2}", "part": part, "right": each, "reward": each, "quality": 1 + each}
        for place, each in enumerate(right)
    }


def compared(a, b, figure="accuracy", part=None):
    artifacts = {"a": ({"asked": "benchmark"}, {"asked": a}), "b": ({"asked": "benchmark"}, {"asked": b})}
    found = comparisons.compare([("a", "b")], artifacts, 7)
    return next(each for each in found if each["figure"] == figure and each["part"] == part)


def test_each_is_compared_with_the_base_and_with_what_it_was_made_from():
    found = comparisons.default_pairs(BACKENDS)
    assert ("base", "sft-A") in found and ("sft-A", "dpo") in found and ("base", "dpo") in found
    assert ("merged", "F32") in found and ("merged", "Q8_0") in found and ("F32", "Q8_0") not in found
    assert len(found) == len(set(found)) == 9


def test_a_clear_difference_is_said():
    rng = np.random.default_rng(1)
    a = (rng.random(200) < 0.4).astype(int)
    b = np.maximum(a, rng.random(200) < 0.4).astype(int)
    found = compared(answered(a.tolist()), answered(b.tolist()))
    assert found["verdict"] == "b is better than a"
    assert found["difference"] == pytest.approx(b.mean() - a.mean()) and found["low"] > 0
    assert found["mcnemar"]["only_a"] == 0 and found["p"] < 0.001 and found["n"] == 200 and found["groups"] == 100
    assert compared(answered(b.tolist()), answered(a.tolist()))["verdict"] == "b is worse than a"


def test_noise_is_not_told_apart():
    rng, said = np.random.default_rng(2), 0
    for _ in range(60):
        a, b = ((rng.random(100) < 0.75).astype(int).tolist() for _ in range(2))
        said += "not told apart" not in compared(answered(a), answered(b))["verdict"]
    assert said <= 7  # 5 % of 60 and chance


def test_seventy_five_and_eighty_of_a_hundred_are_no_difference():
    a, b = [1] * 75 + [0] * 25, [1] * 65 + [0] * 10 + [1] * 15 + [0] * 10
    found = compared(answered(a), answered(b))
    assert found["difference"] == pytest.approx(0.05) and "not told apart" in found["verdict"]


def test_a_lower_loss_is_better_and_long_answers_weigh_more():
    def lost(values):
        return {
            str(place): {
                "group": place,
                "part": "p",
                "loss": each,
                "tokens": 9 if place else 20,
                "token_accuracy": None,
            }
            for place, each in enumerate(values)
        }

    sets = {"text": "held_out"}
    artifacts = {
        "a": (sets, {"text": lost([3.0] + [2.0 + place / 50 for place in range(30)])}),
        "b": (sets, {"text": lost([1.0] + [1.9 + place / 60 for place in range(30)])}),
    }
    loss, accuracy = comparisons.compare([("a", "b")], artifacts, 7)
    plain = (2.0 + 30 * 0.1 + sum(place / 50 - place / 60 for place in range(30))) / 31
    assert loss["difference"] < -plain - 0.05 and loss["verdict"] == "b is better than a"
    assert accuracy["n"] == 0 and accuracy["verdict"].startswith("not compared: the figure is unknown")


def test_only_rows_that_both_answered_count():
    a, b = answered([1, 0, 1, 0, 1, 1]), answered([1, 1, 1, 1])
    found = compared(a, b)
    assert (found["n"], found["unpaired"], found["difference"]) == (4, 2, 0.5)
    assert "no row" in compared(a, answered([1], part="other"))["verdict"]


def test_what_was_not_asked_of_both_is_counted_part_by_part():
    many = answered([1] * 50, "long")
    a, b = answered([1, 0, 1], "short") | many, answered([1, 1], "short") | dict(list(many.items())[:2])
    assert compared(a, b)["unpaired"] == 49
    assert (compared(a, b, part="short")["unpaired"], compared(a, b, part="long")["unpaired"]) == (1, 48)


def test_parts_are_compared_on_their_own():
    rng = np.random.default_rng(4)
    noise = (rng.random(100) < 0.5).astype(int).tolist()
    a, b = answered([0] * 50 + [1] * 50, "planted"), answered([1] * 100, "planted")
    found = {
        part: compared(a | answered(noise, "none"), b | answered(noise, "none"), part=part)
        for part in ("planted", "none")
    }
    assert found["planted"]["verdict"] == "b is better than a" and "not told apart" in found["none"]["verdict"]


def test_many_comparisons_cost_something():
    rng = np.random.default_rng(6)
    names = [f"m{number}" for number in range(8)]
    artifacts = {
        name: ({"asked": "benchmark"}, {"asked": answered((rng.random(60) < 0.5).astype(int).tolist())})
        for name in names
    }
    found = comparisons.compare([("m0", name) for name in names[1:]], artifacts, 7)
    accuracy = [each for each in found if each["figure"] == "accuracy"]
    smallest = min(accuracy, key=lambda each: each["p"])
    assert smallest["p_holm"] == pytest.approx(min(1.0, 7 * smallest["p"]))
    assert all(each["p_holm"] >= each["p"] for each in accuracy)


def test_what_many_comparisons_cost_is_in_the_verdict():
    rng = np.random.default_rng(3)
    a = (rng.random(120) < 0.5).astype(int)
    b = np.where(np.arange(120) % 8 == 0, 1, a)  # a small gain: no chance alone, but one of many
    rows = {"a": a, "b": b} | {f"m{number}": rng.permutation(a) for number in range(30)}
    artifacts = {name: ({"asked": "benchmark"}, {"asked": answered(each.tolist())}) for name, each in rows.items()}
    alone = comparisons.compare([("a", "b")], artifacts, 7)[0]
    assert alone["p"] < 0.05 and alone["verdict"] == "b is better than a"
    first = comparisons.compare([("a", name) for name in list(rows)[1:]], artifacts, 7)[0]
    assert first["low"] > 0 and first["p"] < 0.05 < first["p_holm"]
    assert first["verdict"].startswith("not told apart: after Holm's correction p is")


def test_few_equal_differences_prove_nothing_and_many_do():
    few, many = ({str(place): {"group": place, "part": "p", "right": right, "reward": 0, "quality": 1}
                  for place in range(number)} for number, right in ((2, 1), (12, 1)))  # fmt: skip
    worse = [{key: row | {"right": 0} for key, row in each.items()} for each in (few, many)]
    found = compared(few, worse[0])
    assert (found["low"], found["high"], found["difference"]) == (None, None, -1)
    assert found["verdict"] == "not told apart: all differences are equal, so there is no interval"
    assert compared(many, worse[1])["verdict"] == "b is worse than a"
    # files of before
    old = found | {"low": -1.0, "high": -1.0, "p": None, "p_holm": None}
    assert "all differences are equal" in comparisons.verdict(old)


def test_rows_that_share_a_tone_are_not_separate():
    """b learned to read one of four tones: by quarter all groups gain, by tone one does."""
    rows, rng = {}, np.random.default_rng(5)
    for place in range(160):
        tone, about = place % 4, {"group": f"q{rng.integers(40)}", "part": "p", "reward": 0, "quality": 1}
        rows[str(place)] = about | {"tone": f"up/{tone}", "right": 0}
    learned = {key: row | {"right": int(row["tone"] == "up/0")} for key, row in rows.items()}
    untold = [{key: row | {"tone": None} for key, row in each.items()} for each in (rows, learned)]
    assert compared(*untold)["verdict"] == "b is better than a"
    found = compared(rows, learned)
    assert (found["groups"], found["difference"]) == (4, 0.25) and found["p"] > 0.3
    assert found["verdict"].startswith("not told apart")


def job(tmp_path, **params):
    names, inputs = ["base", "sft-A"], {"evaluations": [], "answers": []}
    for name, right in zip(names, ([0] * 30, [1] * 30), strict=True):
        figures = {"figures": {"accuracy": {"value": float(right[0])}}}
        body = {"backend": "transformers", "model": {}, "sets": {"asked": {"kind": "benchmark", **figures}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(body))
        rows = [{"set": "asked", "id": key, **row} for key, row in answered(right).items()]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        inputs["evaluations"].append(tmp_path / f"{name}.json")
        inputs["answers"].append(tmp_path / f"{name}.jsonl")
    return Job(input=inputs, output=[tmp_path / "c.json"], params={"artifacts": names, "seed": 7} | params)


def test_the_rule_writes_a_table_and_the_comparisons(tmp_path):
    compare_llms.main(job(tmp_path))
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["table"]["sft-A"]["asked"]["accuracy"]["value"] == 1
    assert {each["verdict"] for each in found["comparisons"]} == {"sft-A is better than base"}
    first = (tmp_path / "c.json").read_bytes()
    compare_llms.main(job(tmp_path))
    assert (tmp_path / "c.json").read_bytes() == first
