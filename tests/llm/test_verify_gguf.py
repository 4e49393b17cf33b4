"""verify_gguf passes a right file and names what is wrong with a wrong one."""

import json
import unicodedata

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.corpus import samples
from scripts.llm import chats, gguf_checks, gguf_models, policies, torture_texts, verify_gguf
from tests.llm import models

QUANTS = ("F32", "F16", "BF16", "Q8_0")
END, CLOSE = 0, 2  # ids of <|endoftext|> and <|im_end|>


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model that is sure of its answers, and right files of it."""
    place = tmp_path_factory.mktemp("verified")
    folder, index = models.make_base(place / "base", scale=1.5)
    for quant in QUANTS:
        gguf_models.convert(folder, place / f"{quant}.gguf", quant, "verified")
    about = dict.fromkeys(samples.META)
    rows = [
        {"prompt": [_said("user", f"{text}\nBUY or SELL?")], "chosen": [_said("assistant", f"I think {side} now.")],
         "rejected": [_said("assistant", "No.")], "meta": about | {"id": f"p/{number}"}}
        for number, (text, side) in enumerate(zip(models.texts(8, 3), ["BUY", "SELL"] * 4, strict=True))
    ]  # fmt: skip
    rows += [
        {"messages": [_said("user", text), _said("assistant", text[::-1])], "meta": about | {"id": f"m/{text[:9]}"}}
        for text in models.texts(6, 5)
    ]
    rows += [{"prompt": [_said("user", "1 + 1")], "answer": {}, "meta": about | {"id": "v/1"}}]
    samples.write(place / "prompts.jsonl", rows)
    return folder, index, place


def _said(role, content):
    return {"role": role, "content": content}


def verify(base, path, quant="F32", texts=15, positions=60, resources=(), threads=1, **params):
    """What verify_gguf writes of a file; fewer positions of held-out text than usual, to be quick."""
    folder, index, place = base
    params = {"quant": quant, "texts": texts, "max_kl": None, "min_agreement": None, "seed": 7} | params
    inputs = {"gguf": str(path), "model": str(folder), "index": str(index), "prompts": [str(place / "prompts.jsonl")]}
    output = path.with_name(f"{path.stem}.verify.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf_checks, "POSITIONS", positions)
        verify_gguf.main(Job(inputs, [str(output)], params, resources=resources, threads=threads))
    return json.loads(output.read_text())


def refused(found):
    assert found["passed"] == (not found["reasons"])
    names = [each["gate"] for each in found["gates"] if not each["passed"]]
    assert [reason.split(":")[0] for reason in found["reasons"]] == names
    return set(names)


def altered(source, path, fields=None, tensors=None):
    """A copy of a GGUF file with other metadata (None: left out) and tensors (functions of arrays)."""
    import gguf

    reader, fields = gguf.GGUFReader(source), fields or {}
    writer = gguf.GGUFWriter(path, "qwen2")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or fields.get(name, 1) is None:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, fields.get(name, field.contents()), kind, inner)
    for each in reader.tensors:
        data = np.array(each.data)
        writer.add_tensor(
            each.name, (tensors or {}).get(each.name, lambda same: same)(data), raw_dtype=each.tensor_type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_right_f32_file_passes_every_gate_with_its_figures(base):
    found = verify(base, base[2] / "F32.gguf", positions=gguf_checks.POSITIONS)
    assert found["passed"] and not refused(found)
    gates = {each["gate"]: each for each in found["gates"]}
    assert list(gates) == [
        "vocabulary", "tokenisation", "chat_template", "stop_token", "greedy", "divergence", "decisions", "choices",
    ]  # fmt: skip
    assert gates["tokenisation"]["n"] > 80 and gates["chat_template"]["n"] == 4
    assert gates["greedy"]["value"] == 1 and gates["greedy"]["equal_answers"] == gates["greedy"]["answers"] == 15
    divergence = gates["divergence"]
    assert 0 <= divergence["value"] <= divergence["limit"] == 1e-9 and divergence["n"] >= 500
    assert divergence["low"] <= divergence["value"] <= divergence["high"] and divergence["texts"] == 15
    assert gates["choices"]["n"] == 8 and gates["decisions"]["n"] == divergence["n"] + gates["greedy"]["n"]
    perplexity = found["figures"]["perplexity"]
    assert perplexity["file"] == pytest.approx(perplexity["model"], rel=1e-3) and perplexity["file"] > 1
    assert found["gguf"] == "F32.gguf" and found["schema"] == "quantmake/gguf_verification/1"


@pytest.mark.parametrize("quant", QUANTS[1:])
def test_rounded_files_pass_the_gates_of_their_quant_and_not_those_of_f32(base, quant):
    path = base[2] / f"{quant}.gguf"
    loose = verify(base, path, quant, min_agreement=0.5)
    assert loose["passed"], loose["reasons"]
    assert "divergence" in refused(verify(base, path, "F32", min_agreement=0.5))


def test_overrides_move_the_gates(base):
    path = base[2] / "Q8_0.gguf"
    assert refused(verify(base, path, "Q8_0", texts=5, max_kl=1e-12, min_agreement=0.5)) == {"divergence"}


def test_two_runs_write_the_same_bytes_whatever_torchs_threads(base):
    import torch

    path, before, found = base[2] / "Q8_0.gguf", torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            verify(base, path, "Q8_0", texts=4, threads=threads)
            found.append(path.with_name("Q8_0.verify.json").read_bytes())
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] and str(base[2]).encode() not in found[0]


def test_the_model_is_asked_on_the_gpu_that_the_job_was_given(base, monkeypatch):
    asked = []

    def load(folder, index, device="cpu", cards=1):
        asked.append(device)
        return original(folder, index)

    original = policies.load
    monkeypatch.setattr(policies, "device_for", lambda resources: "cuda" if resources["gpu"] else "cpu")
    monkeypatch.setattr(policies, "load", load)
    for gpus in (0, 1):
        assert verify(base, base[2] / "F32.gguf", texts=2, positions=8, resources={"gpu": gpus})["passed"]
    assert asked == ["cpu", "cuda"]


@pytest.mark.parametrize("pre", ["default", "llama-bpe"])
def test_a_wrong_pre_tokenizer_is_found_and_nothing_else(base, tmp_path, pre):
    path = altered(base[2] / "F32.gguf", tmp_path / "pre.gguf", {"tokenizer.ggml.pre": pre})
    found = verify(base, path, texts=4)
    assert refused(found) == {"tokenisation"}
    assert f"pre-tokenizer '{pre}'" in found["reasons"][0]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("blk.1.attn_q.weight", np.transpose),
        ("blk.0.ffn_down.weight", np.negative),
        ("blk.1.attn_k.bias", lambda bias: bias + 1),
        ("output_norm.weight", lambda weight: weight * 1.001),
    ],
)
def test_one_wrong_tensor_is_found(base, tmp_path, name, change):
    path = altered(base[2] / "F32.gguf", tmp_path / "flipped.gguf", tensors={name: change})
    found = refused(verify(base, path, texts=4))
    assert "divergence" in found and found <= {"greedy", "divergence", "decisions", "choices"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tokenizer.ggml.eos_token_id": END}, "the file's end token is 0"),
        ({"tokenizer.ggml.eos_token_id": None}, "the file's end token is None"),
        ({"tokenizer.ggml.eos_token_id": 77}, "the file's end token is 77"),
        ("plain", "not a control token"),
    ],
)
def test_a_missing_or_wrong_stop_token_is_found(base, tmp_path, fields, words):
    if fields == "plain":
        types = gguf_checks.metadata(base[2] / "F32.gguf")["types"]
        fields = {"tokenizer.ggml.token_type": types[:CLOSE] + [1] + types[CLOSE + 1 :]}
    found = verify(base, altered(base[2] / "F32.gguf", tmp_path / "endless.gguf", fields), texts=4)
    assert "stop_token" in refused(found)
    assert any(words in reason for reason in found["reasons"])


def test_another_or_no_chat_template_is_found(base, tmp_path):
    key = "tokenizer.chat_template"
    template = chats.load_tokenizer(base[0]).chat_template
    for other in (template.replace("'\\n' }}{% endfor %}", "'' }}{% endfor %}"), None):
        assert other != template
        path = altered(base[2] / "F32.gguf", tmp_path / "template.gguf", {key: other})
        assert refused(verify(base, path, texts=4)) == {"chat_template"}


def test_a_file_of_another_vocabulary_is_refused_before_anything_else(base, tmp_path):
    folder, _ = models.make_base(tmp_path / "other", vocabulary=300)
    gguf_models.convert(folder, tmp_path / "other.gguf", "F32", "other")
    found = verify(base, tmp_path / "other.gguf")
    assert refused(found) == {"vocabulary"} and "the model" in found["reasons"][0]


def test_a_file_that_cannot_be_loaded_is_an_error(base, tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes((base[2] / "F32.gguf").read_bytes()[:-1000])
    with pytest.raises(StudyError, match="cannot load"):
        verify(base, path)


def test_prompts_that_do_not_fit_are_an_error(base):
    tokenizer = chats.load_tokenizer(base[0])
    found = samples.read(base[2] / "prompts.jsonl")
    with pytest.raises(StudyError, match="longer context"):
        gguf_checks.questions(tokenizer, found, 5, 1, longest=40)
    assert len(gguf_checks.questions(tokenizer, found, 5, 1, longest=400)) == 5


def test_of_large_vocabularies_the_rest_counts_as_one_token():
    rng = np.random.default_rng(3)
    known, other = (np.log(each) for each in rng.dirichlet(np.full(500, 0.05) + 1e-3, 2))
    order = np.argsort(-other)
    whole, _, log = gguf_checks.divergence(known, order, other[order])
    assert whole == pytest.approx(float(np.sum(np.exp(known) * (known - other))), rel=1e-9)
    assert log[int(order[0])] == pytest.approx(other[order[0]])
    few, _, _ = gguf_checks.divergence(known, order[:50], other[order[:50]])
    rest = (1 - np.exp(each[order[:50]]).sum() for each in (known, other))
    ours, theirs = rest
    top = order[:50]
    wanted = np.sum(np.exp(known[top]) * (known[top] - other[top])) + ours * np.log(ours / theirs)
    assert few == pytest.approx(wanted, rel=1e-6) and 0 < few < whole
    same, largest, _ = gguf_checks.divergence(known, order, known[order] + 0.3)  # renormalised
    assert abs(same) < 1e-12 and largest < 1e-9


def test_ties_are_no_difference_and_are_counted():
    limits = gguf_checks.limits("F32")
    agreement = gguf_checks.Agreement(limits)
    known = np.log([0.4, 0.4 - 1e-6, 0.2])
    assert agreement.add(known, 0, "a") and agreement.add(known, 1, "a") and not agreement.add(known, 2, "b")
    gate = agreement.gate("greedy", "tokens")
    assert (gate["ties"], gate["n"], gate["passed"]) == (1, 3, False) and "1 of 3" in gate["reason"]


@pytest.mark.parametrize(
    ("quant", "number", "differing", "passes"),
    [
        ("Q8_0", 1, 1, False),  # 99 % of one decision is that decision
        ("Q8_0", 99, 1, False),
        ("Q8_0", 100, 1, True),
        ("Q8_0", 199, 2, False),
        ("Q8_0", 200, 2, True),
        ("Q4_K_M", 10, 1, True),
        ("Q4_K_M", 9, 1, False),
        ("F32", 1000, 1, False),
        ("Q8_0", 5, 0, True),
    ],
)
def test_no_more_decisions_differ_than_the_limit_allows_which_of_few_is_none(quant, number, differing, passes):
    agreement = gguf_checks.Agreement(gguf_checks.limits(quant))
    for place in range(number):
        agreement.add(np.log([0.9, 0.1]), int(place < differing), str(place))
    gate = agreement.gate("choices", "choices")
    assert gate["passed"] is passes and gate["value"] == pytest.approx(1 - differing / number)


def test_the_torture_set_is_normalised_and_holds_what_it_promises():
    texts = torture_texts.texts(["<|im_end|>"])
    assert len(set(texts)) == len(texts) and all(unicodedata.normalize("NFC", each) == each for each in texts)
    joined = "".join(texts)
    assert all(each in joined for each in ("\r\n", "é", "市", "📈", "  ", "<|im_end|>", "\u200d", "12", "def "))
