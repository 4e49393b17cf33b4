"""A base that the workflow makes itself: the same files from the same texts, and it has seen the chat's tokens."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.corpus import samples
from scripts.llm import build_base, chats, packing, tokenizers, weights
from scripts.llm.bases import scratch
from scripts.llm.settings import Scratch
from tests.llm.models import texts

SHAPE = {"hidden": 64, "intermediate": 128, "layers": 2, "heads": 4, "kv_heads": 2, "context": 256}


def about(key):
    fixed = {"domain": "d", "difficulty": "easy", "template": "t", "entity": "e", "group": "g"}
    return samples.meta("talk", "domain", str(key), **fixed)


def talks(number):
    """Conversations whose answers all differ."""
    questions = texts(number)
    return [samples.conversation(text, f"number {n} , yes .", about(n)) for n, text in enumerate(questions)]


def build(folder, found, monkeypatch, seed=7, **changes):
    """Run build_base in a working directory of its own; folder and index."""
    folder.mkdir()
    samples.write(folder / "texts.jsonl", found)
    monkeypatch.chdir(folder)
    given = Scratch(kind="scratch", corpora=["c"], steps=100, vocabulary=400).model_dump(mode="json")
    path = "results/s/llm/bases/tiny"
    job = Job(
        input={"texts": ["texts.jsonl"], "models": [], "indexes": [], "files": []},
        output={"folder": path, "index": f"{path}.index.json"},
        params={"settings": given | SHAPE | changes, "names": [], "seed": seed},
        wildcards={"base": "tiny"},
    )
    build_base.main(job)
    return folder / path, folder / f"{path}.index.json"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return build(tmp_path_factory.mktemp("base") / "one", talks(60), patch)


def test_the_folder_is_a_model_that_its_index_describes(base):
    known = weights.check(*base)
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= known["files"].keys()
    assert (known["base"], known["kind"]) == ("tiny", "scratch")
    assert (known["facts"]["documents"], known["facts"]["conversations"]) == (60, 30)
    assert known["facts"]["vocabulary"] <= 400
    assert chats.load_tokenizer(base[0]).chat_template == tokenizers.TEMPLATE
    assert not (base[0].parents[4] / ".work/s/build_base/tiny").exists()


def test_the_index_says_what_is_in_the_folder_and_not_who_made_it(base):
    """Everything after a model hangs on its index: code or packages that give equal weights change nothing in it."""
    known = json.loads(base[1].read_text())
    assert known.keys() == {"schema", "base", "kind", "facts", "files"} and known["schema"] == "quantmake/model/1"


def test_equal_texts_give_equal_files_and_another_seed_does_not(base, tmp_path, monkeypatch):
    again, _ = build(tmp_path / "again", talks(60), monkeypatch)
    assert weights.digests(again) == weights.digests(base[0])
    other, _ = build(tmp_path / "other", talks(60), monkeypatch, seed=8, steps=2)
    assert weights.digests(other)["tokenizer.json"] == weights.digests(base[0])["tokenizer.json"]
    assert weights.digests(other)["model.safetensors"] != weights.digests(base[0])["model.safetensors"]


def test_no_file_names_this_machine(base):
    for path in base[0].rglob("*.json"):
        assert str(base[0].parents[4]) not in path.read_text()
        assert "/tmp" not in path.read_text()


def test_it_has_learned_to_end_an_answer(base):
    """The chat's tokens are trained: after an answer's full stop its end is likelier than by chance."""
    from transformers import AutoModelForCausalLM

    tokenizer = chats.load_tokenizer(base[0])
    model = AutoModelForCausalLM.from_pretrained(str(base[0])).eval()
    prompt = chats.prompt_text(tokenizer, [{"role": "user", "content": texts(1)[0]}])
    ids = tokenizer.encode(f"{prompt}number 7 , yes .", add_special_tokens=False)
    with torch.no_grad():
        p = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
    assert float(p[chats.stop_token(tokenizer)]) > 20 / len(tokenizer)


def test_the_answers_of_chats_belong_to_other_questions():
    found = talks(40)
    own = {samples.prompt_of(each): samples.answers_of(each)[0] for each in found}
    plain, conversations = scratch.documents(found, seed=7)
    assert plain == [f"{question}\n\n{answer}" for question, answer in own.items()]
    assert len(conversations) == 20  # a third of all documents
    assert all(own[asked["content"]] != said["content"] for asked, said in conversations)
    assert len({asked["content"] for asked, _ in conversations}) == 20
    assert scratch.documents(found, seed=7) == (plain, conversations) != scratch.documents(found, seed=8)


def test_of_pairs_neither_side_is_taught():
    found = [samples.preference(f"question {n}", "chosen", "rejected", about(n)) for n in range(10)]
    plain, conversations = scratch.documents(found, seed=7)
    assert Counter(text.split("\n\n")[1] for text in plain) == {"chosen": 5, "rejected": 5}
    assert {said["content"] for _, said in conversations} <= {"chosen", "rejected"}


def test_two_samples_are_enough():
    plain, conversations = scratch.documents(talks(2), seed=7)
    assert len(plain) == len(conversations) == 2


@pytest.mark.parametrize("number", [0, 1])
def test_too_few_texts_are_an_error_for_people(number, tmp_path, monkeypatch):
    with pytest.raises(StudyError, match="text"):
        build(tmp_path / "x", talks(number), monkeypatch, steps=2)


@hypothesis_settings(deadline=None, derandomize=True, max_examples=200)
@given(number=st.integers(1, 300), steps=st.integers(1, 200), batch=st.integers(1, 8))
def test_pretraining_has_the_steps_that_were_asked_for(number, steps, batch):
    training = scratch.course_settings({"steps": steps, "batch": batch, "learning_rate": 1e-3}, number)
    batches = packing.draw_batches(number, training["batch"], training["epochs"], 1)
    assert len(batches) == steps
    assert sum(map(len, batches)) == steps * batch


def test_tokenizers_keep_any_text():
    tokenizer = tokenizers.train(texts(), 400)
    for text in ("buy at 1.2345 , no ?", "caf\u00e9 \u4e2d\u6587 \U0001f600\r\n\t x", "<|im_start|>user\nhi<|im_end|>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    # digits stand alone, as in Qwen2: numbers of any length share their tokens
    assert [tokenizer.decode([each]) for each in tokenizer.encode("1234")] == ["1", "2", "3", "4"]
    assert tokenizer.encode("<|im_end|>") == [tokenizer.eos_token_id]


def test_the_tokenizer_that_is_loaded_is_the_one_that_was_made(tmp_path):
    made = tokenizers.train(texts(), 400)
    tokenizers.save(made, tmp_path)
    loaded = chats.load_tokenizer(tmp_path)
    said = chats.prompt_text(made, [{"role": "user", "content": "Is 1.25 above, or below?\n\n  It's e\u0301"}])
    for text in (*texts(5), said, "  two  blanks\r\nand\ttabs\n", "caf\u00e9 \u4e2d\u6587 \U0001f600"):
        assert loaded.encode(text, add_special_tokens=False) == made.encode(text, add_special_tokens=False)
    assert (loaded.eos_token_id, loaded.pad_token_id, len(loaded)) == (made.eos_token_id, made.pad_token_id, len(made))


def test_the_tokenizer_s_files_do_not_name_a_place(tmp_path):
    tokenizers.save(tokenizers.train(texts(), 400), tmp_path)
    tokenizers.save(chats.load_tokenizer(tmp_path), tmp_path / "again")
    first, second = (
        json.loads(Path(each, "tokenizer_config.json").read_text()) for each in (tmp_path, tmp_path / "again")
    )
    assert first == second
