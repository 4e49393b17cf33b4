"""Artifacts are asked the same questions in the same way, whatever they are, and say the same at every run."""

import json
import sys
import types

import huggingface_hub
import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.corpus import samples
from scripts.llm import answering, chats, evaluate_llm, evaluations, policies
from scripts.llm.evaluations import decisions, harness, held_out, pairs, questions
from tests.llm.models import make_adapter, make_base, texts

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing.*:FutureWarning", "ignore:.*SwigPy.*:DeprecationWarning"
)
SENTENCES = texts(60, seed=3)
CONTEXT = evaluations.Context(7)


def meta(number, **other):
    values = {"domain": "tax", "difficulty": "easy", "template": "t", "entity": "e", "group": f"g{number // 2}"}
    return samples.meta("made", "made", str(number), **values | other)


def question(number, **other):
    answer = {"kind": "number", "value": 7.0, "tolerance": 0.001, "expected": [], "prohibited": []}
    return samples.verifiable(SENTENCES[number], answer, meta(number, **other))


def pair(number, side="BUY", hour=0):
    stamp = f"2024-01-{number + 1:02d}T{hour:02d}:00:00Z"
    told = [f"the close is above its mean so I choose {each} ." for each in (side, "SELL" if side == "BUY" else "BUY")]
    about = meta(number, entity="AAA", group="2024-Q1", time=stamp, t1=stamp.replace("T00", "T12"))
    return samples.preference(SENTENCES[number], *told, about | {"outcome": {"chosen": side}})


def written(path, made):
    samples.write(path, made)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("models") / "base", scale=1.3)


@pytest.fixture(scope="module")
def policy(base):
    with answering.opened(*base) as answerer:
        yield answerer


class Scripted(answering.Answerer):
    """Says what it is told to; one token a character."""

    backend = "scripted"

    def __init__(self, answers=(), margins=(), context=10_000):
        super().__init__(None, context, "cpu")
        self.answers, self.margins = list(answers), list(margins)

    def encode(self, turns):
        return [ord(each) for each in turns[-1]["content"]]

    def decode(self, ids):
        return "".join(map(chr, ids))

    def answer(self, prompts, max_new_tokens):
        said = self.answers[: len(prompts)]
        return [answering.Said(text, [*map(ord, text)], np.log(np.full(len(text), p)), True, 0.1) for text, p in said]

    def prefer(self, pairs):
        return [answering.Preference((margin, 0.0), (margin, 0.0)) for margin in self.margins]


# how a policy is asked


def test_an_answer_does_not_depend_on_its_neighbours(policy):
    prompts = [policy.encode([{"role": "user", "content": text}]) for text in SENTENCES[:5]]
    prompts.append(prompts[0][:7])  # much shorter than the others: padded
    together = policy.answer(prompts, 12)
    alone = [policy.answer([prompt], 12)[0] for prompt in prompts]
    assert [each.ids for each in together] == [each.ids for each in alone]
    for one, two in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.logprobs, two.logprobs, atol=1e-4)


def test_an_answer_ends_with_its_stop_token_and_the_others_go_on(policy, base):
    prompts = [policy.encode([{"role": "user", "content": text}]) for text in SENTENCES[:6]]
    free = policy.answer(prompts, 12)
    with answering.opened(*base) as stopping:
        stopping.ends = {free[0].ids[4]}
        said = stopping.answer(prompts, 12)
    for one, two in zip(free, said, strict=True):
        places = [place for place, token in enumerate(one.ids) if token in stopping.ends]
        length = places[0] + 1 if places else 12
        assert two.ids == one.ids[:length] and two.ended == bool(places)
    assert said[0].text == policy.decode(said[0].ids[:-1])
    assert {each.ended for each in said} == {True, False}, "the test needs both"


def test_probabilities_of_an_answer_are_those_of_reading_it(policy):
    prompt = policy.encode([{"role": "user", "content": SENTENCES[0]}])
    said = policy.answer([prompt], 10)[0]
    followed = policy.follow([(prompt + said.ids, len(prompt)), (prompt[:9], 3)])
    np.testing.assert_allclose(followed[0].logprobs, said.logprobs, atol=1e-5)
    assert followed[0].best.all() and len(followed[1].logprobs) == 6
    np.testing.assert_array_equal(followed[0].top, followed[0].logprobs)


def test_two_answers_read_at_once_weigh_what_they_weigh_apart(policy):
    made = [pair(number) for number in range(7)]
    made[3]["rejected"][0]["content"] += " its mean is above the close so buy"  # tails of unequal length
    both, _ = pairs.encode(policy, made)
    for (_, (a, b)), found in zip(both, policy.prefer([each for _, each in both]), strict=True):
        prefix, *tails = answering._fork(a, b)
        apart = policy.follow([(prefix + tail, len(prefix)) for tail in tails])
        np.testing.assert_allclose(found.whole, [each.logprobs.sum() for each in apart], atol=1e-4)
        np.testing.assert_allclose(found.first, [each.logprobs[0] for each in apart], atol=1e-5)


def test_equal_answers_are_no_pair(policy):
    with pytest.raises(StudyError, match="equal"):
        policy.prefer([([1, 2, 3], [1, 2, 3])])


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_an_adapter_is_applied(base, policy, tmp_path, method):
    adapter = make_adapter(base[0], tmp_path / method, method=method, scale=0.2)
    segments = [(policy.encode([{"role": "user", "content": text}]), 4) for text in SENTENCES[:4]]
    with answering.opened(*base, adapter=adapter) as adapted:
        found = adapted.follow(segments)
    beside = answering.Policy(policies.load(*base, adapter=adapter), policy.tokenizer, 512).follow(segments)
    without = policy.follow(segments)
    for one, two, three in zip(found, beside, without, strict=True):
        np.testing.assert_allclose(one.logprobs, two.logprobs, atol=2e-4)
        assert np.abs(one.logprobs - three.logprobs).max() > 0.01


def test_a_broken_model_is_named(base, tmp_path):
    with answering.opened(*base) as broken:
        next(broken.model.parameters()).data[:] = float("nan")
        with pytest.raises(StudyError, match="NaN"):
            broken.answer([[5, 6, 7]], 3)
        with pytest.raises(StudyError, match="NaN"):
            broken.follow([([5, 6, 7], 1)])


def test_a_gguf_file_says_what_the_policy_says(base, policy, tmp_path):
    from scripts.llm import gguf_models

    gguf_models.convert(base[0], tmp_path / "base-F32.gguf", "F32", "base")
    prompts = [policy.encode([{"role": "user", "content": text}]) for text in SENTENCES[:3]]
    both, _ = pairs.encode(policy, [pair(number) for number in range(3)])
    with answering.opened(*base, gguf=tmp_path / "base-F32.gguf") as file:
        assert [each.ids for each in file.answer(prompts, 8)] == [each.ids for each in policy.answer(prompts, 8)]
        segments = [(prompts[0], len(prompts[0]) - 5)]
        np.testing.assert_allclose(file.follow(segments)[0].logprobs, policy.follow(segments)[0].logprobs, atol=1e-3)
        first = [each.first for each in file.prefer([each for _, each in both])]
        np.testing.assert_allclose(first, [each.first for each in policy.prefer([each for _, each in both])], atol=1e-3)
        made = [samples.conversation(text, text[:9], meta(place)) for place, text in enumerate(SENTENCES[:20])]
        settings = {"parts": "all", "samples": None}
        body, rows = held_out.evaluate(file, written(tmp_path / "t.jsonl", made), settings, CONTEXT)
    assert len(rows) <= held_out.FEW_SAMPLES and "one request a token" in body["reason"]
    assert file.latency()["answers"] == 2 and file.latency()["p50_s"] > 0  # without the first


# the kinds of sets


def test_questions_are_answered_and_judged(tmp_path):
    path = written(tmp_path / "q.jsonl", [question(number, domain="ab"[number % 2]) for number in range(10)])
    answerer = Scripted([("Answer: 7", 0.9)] * 4 + [("Answer: 8", 0.5), ("none", 0.9)])
    settings = {"per_domain": 3, "max_new_tokens": 20}
    body, rows = questions.evaluate(answerer, path, settings, CONTEXT)
    found = evaluations.summarise(rows, questions.FIGURES, 7)
    assert [row["id"] for row in rows] == [f"made/{number}" for number in (0, 1, 2, 3, 6, 7)]  # equal distances
    accuracy = found["figures"]["accuracy"]
    assert (round(accuracy["value"], 3), accuracy["n"], accuracy["groups"]) == (0.667, 6, 3)
    assert accuracy["effective_n"] < 6 and sorted(found["parts"]) == ["a", "b"]
    assert body["calibration"]["joint"]["n"] == 5 and "1 do not" in body["confidence_reason"]
    assert (body["calibration"]["joint"]["asked"], "naive" in body) == (6, False)
    # what states nothing is asked too, and is the least sure
    first, *_, last = body["risk_coverage"]["points"]
    assert (first["errors"], last["errors"], last["n"], last["threshold"]) == (0, 2, 6, 0)
    assert last["value"] == accuracy["value"]
    assert body["quality_counts"] == {"1": 1, "2": 1, "3": 0, "4": 4, "5": 0}
    assert rows[0]["prompt"] == SENTENCES[0] and rows[0]["expected"] == 7.0


def asked_of_notes(tmp_path, answers, directions):
    made = []
    for number, direction in enumerate(directions):
        note = {"direction": direction, "frame": number, "tone": number % 2}
        about = meta(number, group=f"{direction}/{number}") | {"kind": "notes", "note": note}
        about |= {"answer": {"value": direction}}
        made.append(samples.conversation(SENTENCES[number], direction, about))
    settings = {"kind": "answers", "parts": "all", "per_domain": None, "max_new_tokens": 20}
    return questions.evaluate(Scripted(answers), written(tmp_path / "n.jsonl", made), settings, CONTEXT)


def test_choices_stand_beside_the_one_that_is_expected_most_often(tmp_path):
    body, rows = asked_of_notes(tmp_path, [("Up.", 0.9)] * 5 + [("Down.", 0.9)], ["up"] * 4 + ["down"] * 2)
    guess = body["naive"]["most_frequent"]
    assert guess["side"] == "up" and guess["value"] == pytest.approx(4 / 6)
    assert guess["model_minus_this"]["value"] == pytest.approx(1 / 6)
    even, _ = asked_of_notes(tmp_path, [("Up.", 0.9)] * 4, ["up", "up", "down", "down"])
    assert even["naive"]["most_frequent"]["side"] is None and even["naive"]["most_frequent"]["value"] == 0.5
    assert [row["tone"] for row in rows] == ["up/0", "up/1", "up/0", "up/1", "down/0", "down/1"]


def test_questions_of_one_tone_are_not_separate(tmp_path):
    """Of two tones one is misread in every frame: 40 notes, and no more than two tones are known."""
    answers = [("Up.", 0.9), ("Down.", 0.9)] * 20
    _, rows = asked_of_notes(tmp_path, answers, ["up"] * 40)
    found = evaluations.summarise(rows, questions.FIGURES, 7)["figures"]["accuracy"]
    assert (found["value"], found["n"], found["groups"]) == (0.5, 40, 2)
    assert found["high"] - found["low"] > 0.9
    plain = evaluations.summarise([row | {"tone": None} for row in rows], questions.FIGURES, 7)["figures"]["accuracy"]
    assert plain["groups"] == 40 and plain["high"] - plain["low"] < 0.35


def test_phrasings_of_one_question_are_one_group():
    about = meta(1) | {"question": "margin_call_price"}
    groups = {evaluations.group_of(about | {"group": f"margin_call_price/{each}"}) for each in ("reserved2", "first")}
    assert groups == {"made/margin_call_price"}
    assert evaluations.group_of(meta(1)) == "made/g0"
    assert evaluations.group_of(pair(1)["meta"]) == "AAA/2024-Q1"


def test_questions_that_do_not_fit_are_left_out_and_named(tmp_path):
    path = written(tmp_path / "q.jsonl", [question(number) for number in range(4)])
    longest = max(range(4), key=lambda number: len(SENTENCES[number]))
    answerer = Scripted([("Answer: 7", 0.9)] * 3, context=len(SENTENCES[longest]) + 19)
    body, rows = questions.evaluate(answerer, path, {"per_domain": None, "max_new_tokens": 20}, CONTEXT)
    assert body["too_long"] == [f"made/{longest}"] and len(rows) == 3


def test_the_loss_is_that_of_transformers(policy, tmp_path):
    import torch

    made = [samples.conversation(text, text[::-1], meta(number)) for number, text in enumerate(SENTENCES[:6])]
    settings = {"parts": "all", "samples": None}
    body, rows = held_out.evaluate(policy, written(tmp_path / "t.jsonl", made), settings, CONTEXT)
    figures = evaluations.summarise(rows, held_out.FIGURES, 7)["figures"]
    total = tokens = 0
    for sample in made:
        ids, start = chats.encode(policy.tokenizer, sample["messages"][:-1], sample["messages"][-1]["content"])
        with torch.no_grad():
            labels = torch.tensor([[-100] * start + ids[start:]])
            loss = policy.model(input_ids=torch.tensor([ids]), labels=labels).loss
        total, tokens = total + float(loss) * (len(ids) - start), tokens + len(ids) - start
    assert figures["loss"]["value"] == pytest.approx(total / tokens, abs=1e-5)
    assert body["perplexity"]["value"] == pytest.approx(np.exp(total / tokens), rel=1e-5)
    assert body["tokens"] == tokens == body["calibration"]["tokens"]
    assert figures["loss"]["low"] < figures["loss"]["value"] < figures["loss"]["high"]


def test_held_out_samples_come_from_all_of_the_file():
    assert evaluations.spread(list(range(100)), 4) == [0, 25, 50, 75]
    assert evaluations.spread([1, 2], 5) == evaluations.spread([1, 2], None) == [1, 2]


def test_a_file_is_asked_for_few_tokens():
    long = [([0] * 200, 50)] * 20  # answers of 150 tokens
    assert held_out._few(long, list(range(20))) == [0, 2]
    assert len(held_out._few([([0] * 60, 50)] * 20, list(range(20)))) == held_out.FEW_SAMPLES


def test_the_chosen_answer_has_to_be_the_likelier(tmp_path):
    path = written(tmp_path / "p.jsonl", [pair(number) for number in range(6)])
    answerer = Scripted(margins=[1.0, 2.0, 0.5, -1.0])
    answerer.tokenizer = Words()
    _, rows = pairs.evaluate(answerer, path, {"parts": ["made"], "samples": 4}, CONTEXT)
    assert [row["right"] for row in rows] == [1, 1, 1, 0] and rows[3]["margin"] == -1.0
    assert evaluations.summarise(rows, pairs.FIGURES, 7)["figures"]["margin"]["value"] == 0.625
    body, _ = pairs.evaluate(answerer, path, {"parts": ["made"], "samples": 4}, CONTEXT)
    assert body["notes"] == {}
    with pytest.raises(StudyError, match="has made"):
        pairs.evaluate(answerer, path, {"parts": ["other"], "samples": None}, CONTEXT)


def test_pairs_tell_how_many_notes_and_tones_they_have(tmp_path):
    made = [pair(number) for number in range(6)]
    for number, each in enumerate(made):
        each["meta"]["note"] = {"direction": "up", "agrees": True, "frame": number // 2, "tone": number % 2}
    made[5]["meta"]["note"]["frame"] = 0
    answerer = Scripted(margins=[1.0] * 6)
    answerer.tokenizer = Words()
    body, rows = pairs.evaluate(
        answerer, written(tmp_path / "p.jsonl", made), {"parts": "all", "samples": None}, CONTEXT
    )
    assert body["notes"] == {"made": {"notes": 5, "tones": 2}} and {row["tone"] for row in rows} == {"up/0", "up/1"}


class Words:
    """A tokenizer of characters, with a chat template."""

    def apply_chat_template(self, turns, tokenize, add_generation_prompt=False):
        return "".join(f"{turn['content']}#" for turn in turns)

    def encode(self, text, add_special_tokens):
        return [ord(each) for each in text]


def decided(tmp_path, sides, margins, context=CONTEXT):
    path = written(tmp_path / "d.jsonl", [pair(number, side) for number, side in enumerate(sides)])
    answerer = Scripted(margins=margins)
    answerer.tokenizer = Words()
    return decisions.evaluate(answerer, path, {"parts": "all", "samples": None}, context)


def test_decisions_are_judged_by_the_outcome_and_set_against_naive_ones(tmp_path):
    # margins are those of the side that gained: the model says BUY, SELL, BUY, SELL
    body, rows = decided(tmp_path, ["BUY", "BUY", "SELL", "SELL", "SELL"], [2.0, -1.0, -3.0, 0.5, 0.1])
    assert [row["answer"] for row in rows] == ["BUY", "SELL", "BUY", "SELL", "SELL"]
    assert [row["right"] for row in rows] == [1, 0, 0, 1, 1]
    assert rows[0]["p_buy"] == pytest.approx(1 / (1 + np.exp(-2))) and rows[2]["p_buy"] > 0.9
    assert body["naive"]["majority"]["side"] == "SELL" and body["naive"]["majority"]["value"] == 0.6
    assert body["naive"]["always_buy"]["model_minus_this"]["value"] == pytest.approx(0.2)
    assert body["ensemble"] is None and list(body["periods"]) == ["2024-Q1"]
    assert body["calibration"]["share"] == 0.4  # of rows on which BUY gained, whatever the model said
    assert "accuracy" not in body["calibration"] and 0 < body["calibration"]["mean_p"] < 1


def test_the_majority_of_balanced_decisions_is_half(tmp_path):
    body, rows = decided(tmp_path, ["BUY", "BUY", "SELL", "SELL"], [2.0, -1.0, 3.0, 0.5])
    majority = body["naive"]["majority"]
    assert (majority["side"], majority["value"], majority["low"]) == (None, 0.5, None)
    assert majority["model_minus_this"]["value"] == 0.25
    assert "exactly one side gained" in body["selection"] and "as many BUY as SELL" in body["selection"]


def test_decisions_meet_the_ensemble_at_equal_stamps_only(tmp_path):
    stamps = pd.DatetimeIndex([f"2024-01-{day:02d}" for day in (1, 2, 3, 9)], tz="UTC")
    table = pd.DataFrame({"timestamp": stamps, "t1": stamps + pd.Timedelta("5h"), "p_stack": [0.9, 0.2, 0.6, 0.5]})
    table.to_parquet(tmp_path / "stacked.parquet")
    context = evaluations.Context(7, (("AAA", tmp_path / "stacked.parquet"),))
    body, rows = decided(tmp_path, ["BUY", "BUY", "SELL", "SELL"], [2.0, 1.0, 1.0, 1.0], context)
    assert [row["ensemble_p"] for row in rows] == [0.9, 0.2, 0.6, None]
    found = body["ensemble"]
    assert (found["n"], found["rows_without_prediction"]) == (3, 1)
    assert found["model"]["value"] == 1 and found["ensemble"]["value"] == pytest.approx(1 / 3)
    assert found["model_minus_ensemble"]["only_model"] == 2 and found["model_minus_ensemble"]["mcnemar_p"] == 0.5
    assert found["median_hours"] == {"ensemble": 5.0, "outcome": 12.0}
    elsewhere = evaluations.Context(7, (("BBB", tmp_path / "stacked.parquet"),))
    body, _ = decided(tmp_path, ["BUY"], [1.0], elsewhere)
    assert body["ensemble"]["n"] == 0 and "no out-of-fold" in body["ensemble"]["reason"]


def test_pairs_without_an_outcome_are_no_decisions(tmp_path):
    made = pair(1)
    del made["meta"]["outcome"]
    answerer = Scripted(margins=[1.0])
    with pytest.raises(StudyError, match="meta.outcome"):
        decisions.evaluate(answerer, written(tmp_path / "d.jsonl", [made]), {"parts": "all", "samples": None}, CONTEXT)


def test_a_harness_that_is_not_there_is_asked_for(policy, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(StudyError, match="pip install 'lm_eval"):
        harness.evaluate(policy, None, {"tasks": ["piqa"], "path": None, "limit": 5}, CONTEXT)


class Harness:
    """As much of lm_eval as is used: one task, whose answers are read by two filters."""

    def __init__(self, monkeypatch):
        self.asked, models, tasks = None, types.ModuleType("m"), types.ModuleType("t")
        models.HFLM, tasks.TaskManager = dict, dict
        names = ("lm_eval", "lm_eval.models", "lm_eval.models.huggingface", "lm_eval.tasks")
        for name, module in zip(names, (self, types.ModuleType("n"), models, tasks), strict=True):
            monkeypatch.setitem(sys.modules, name, module)

    def simple_evaluate(self, **asked):
        self.asked, self.offline = asked, huggingface_hub.constants.is_offline_mode()
        samples = [
            {"doc_id": doc, "filter": name, "exact_match": float(doc % 2 or name == "flexible-extract"),
             "filtered_resps": ["7"], "target": "7"}
            for name in ("strict-match", "flexible-extract") for doc in range(20)
        ]  # fmt: skip
        results = {"gsm8k": {"exact_match,strict-match": 0.5, "alias": "gsm8k", "exact_match_stderr": float("nan")}}
        return {"samples": {"gsm8k": samples}, "results": results, "n-samples": {"gsm8k": {"effective": 20}}}


def test_a_question_of_the_harness_counts_once_and_nothing_is_fetched(policy, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    stub = Harness(monkeypatch)
    body, rows = harness.evaluate(policy, None, {"tasks": ["gsm8k"], "path": None, "limit": 20}, CONTEXT)
    found = evaluations.summarise(rows, harness.FIGURES, 7)["figures"]["accuracy"]
    assert (found["n"], found["groups"], found["value"]) == (20, 20, 0.5)
    assert {row["id"].split("/")[1] for row in rows} == {"strict-match"}
    assert body["tasks"] == {"gsm8k": {"exact_match,strict-match": 0.5, "n": 20}}
    assert stub.offline and stub.asked["limit"] == 20 and stub.asked["bootstrap_iters"] == 0


def test_an_unknown_kind_is_named():
    with pytest.raises(StudyError, match="no kind of evaluation set 'quiz'"):
        evaluations.load("quiz")


# the rule


@pytest.fixture(scope="module")
def evaluated(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    files = [
        written(folder / "q.jsonl", [question(number) for number in range(40)]),
        written(folder / "t.jsonl", [samples.conversation(t, t[::-1], meta(n)) for n, t in enumerate(SENTENCES[:12])]),
        written(folder / "p.jsonl", [pair(number, "BUY" if number % 2 else "SELL") for number in range(12)]),
    ]
    sets = {
        "asked": {"kind": "benchmark", "corpus": "c", "per_domain": None, "max_new_tokens": 6},
        "text": {"kind": "held_out", "corpus": "c", "parts": "all", "samples": None},
        "sides": {"kind": "decisions", "corpus": "c", "parts": "all", "ensemble": None, "samples": None},
    }
    outputs = []
    for threads in (1, 2):
        paths = {name: folder / f"{threads}-{name}" for name in ("evaluation", "answers", "latency")}
        inputs = {"model": base[0], "index": base[1], "sets": files}
        params = {"artifact": "base", "sets": sets, "dtype": "float32", "seed": 7}
        evaluate_llm.main(Job(input=inputs, output=paths, params=params, threads=threads))
        outputs.append(paths)
    policies.use_one_thread()
    return outputs


def test_equal_runs_are_equal_bytes_whatever_the_threads(evaluated):
    one, two = evaluated
    assert one["evaluation"].read_bytes() == two["evaluation"].read_bytes()
    assert one["answers"].read_bytes() == two["answers"].read_bytes()


def test_an_evaluation_says_n_and_interval_and_no_times(evaluated):
    text = evaluated[0]["evaluation"].read_text()
    found = json.loads(text)
    assert found["artifact"] == "base" and list(found["sets"]) == ["asked", "sides", "text"]
    for name, own in found["sets"].items():
        for figure in own["figures"].values():
            assert {"n", "groups", "low", "high", "value"} <= figure.keys(), name
    assert '_s"' not in text and "/tmp" not in text and "tokens_per_s" not in text
    assert found["model"]["weights"]["model.safetensors"]
    speed = json.loads(evaluated[0]["latency"].read_text())
    assert (speed["answers"], speed["warm_up_answers"]) == (8, 32)
    assert speed["p95_s"] >= speed["p50_s"] > 0 and speed["tokens_per_s"] > 0


def test_people_can_read_what_was_said(evaluated):
    rows = [json.loads(line) for line in evaluated[0]["answers"].read_text().splitlines()]
    asked = [row for row in rows if row["set"] == "asked"]
    assert len(rows) == 40 + 12 + 12 and len(asked) == 40
    assert {"id", "prompt", "answer", "score", "expected"} <= asked[0].keys()
    assert asked[0]["prompt"] == SENTENCES[0] and asked[0]["answer"]
