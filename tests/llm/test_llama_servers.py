"""What llama.cpp says of a GGUF file, against the model that the file was made from."""

import socket

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.llm import chats, gguf_models, llama_servers
from tests.llm import models

PROMPT = "<|im_start|>user\nis the close above its mean?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder, _ = models.make_base(tmp_path_factory.mktemp("served") / "base", scale=2.0)
    path = folder.with_name("served.gguf")
    gguf_models.convert(folder, path, "F32", "served")
    return folder, path


@pytest.fixture(scope="module")
def server(base):
    with llama_servers.serve(base[1], context=256, slots=4) as running:
        yield running


@pytest.fixture(scope="module")
def tokenizer(base):
    return chats.load_tokenizer(base[0])


@pytest.fixture(scope="module")
def log_softmax(base):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base[0])

    def of(ids):
        with torch.inference_mode():
            return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1).numpy()

    return of


def test_texts_become_the_tokenizers_ids_and_texts_again(server, tokenizer):
    ids = server.tokenize(PROMPT)
    assert ids == tokenizer.encode(PROMPT, add_special_tokens=False)
    assert server.detokenize(ids) == PROMPT
    assert server.vocabulary == len(tokenizer)


def test_conversations_are_written_with_and_without_an_opened_answer(server, tokenizer):
    turns = [{"role": "user", "content": "é 📈?"}]
    for opening in (True, False):
        wanted = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=opening)
        assert server.render(turns, opening) == wanted


def test_all_log_probabilities_are_the_models(server, tokenizer, log_softmax):
    ids = tokenizer.encode(PROMPT + "buy sell é市", add_special_tokens=False)
    known = log_softmax(ids)
    for place in (1, 5, len(ids)):
        tokens, found = server.next_logprobs(ids[:place])
        assert sorted(tokens.tolist()) == list(range(len(tokenizer)))
        assert np.all(np.diff(found) <= 0)
        np.testing.assert_allclose(found, known[place - 1][tokens], atol=2e-3, rtol=1e-4)
    few, first = server.next_logprobs(ids, top=3)
    assert few.tolist() == tokens[:3].tolist()
    np.testing.assert_allclose(first, found[:3], atol=1e-4)


def test_the_log_probability_of_every_token_of_a_text_is_found(server, tokenizer, log_softmax):
    # end tokens within the text, and characters in pieces, of which llama.cpp says nothing by itself
    ids = tokenizer.encode(PROMPT + "yes<|im_end|>\n<|endoftext|>市é buy", add_special_tokens=False)
    found = server.log_probabilities(ids, 4)
    known = log_softmax(ids)[np.arange(3, len(ids) - 1), ids[4:]]
    assert found.shape == (len(ids) - 4,)
    np.testing.assert_allclose(found, known, atol=2e-3, rtol=1e-4)
    assert server.log_probabilities(ids, len(ids)).shape == (0,)


def test_greedy_answers_are_the_models_and_equal_one_by_one_and_side_by_side(server, tokenizer, log_softmax):
    prompts = [PROMPT, PROMPT.replace("mean", "number"), tokenizer.encode("buy buy", add_special_tokens=False)] * 2
    answers = server.generate_many(prompts, 12)
    assert [each["ids"] for each in answers[:3]] == [each["ids"] for each in answers[3:]]
    ids = server.tokenize(PROMPT)
    for token in answers[0]["ids"]:
        assert token == log_softmax(ids)[-1].argmax()
        ids.append(token)
    text, alone = server.generate(PROMPT, 12)
    assert (text, alone) == (answers[0]["text"], answers[0]["ids"])
    assert not answers[0]["ended"] and len(alone) == 12 and answers[0]["seconds"] > 0


def test_an_answer_ends_before_a_stop_text(server):
    whole, _ = server.generate(PROMPT, 12)
    stop = next(letter for letter in whole[1:] if letter.isascii())
    answer = server.generate_many([PROMPT], 12, stop=[stop])[0]
    assert answer["ended"] and answer["text"] == whole[: whole.index(stop)]


def test_only_end_tokens_end_an_answer(server, tokenizer):
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    others = [tokenizer.convert_tokens_to_ids("<|im_start|>"), tokenizer.encode("b")[0]]
    assert [server.ends(token) for token in ends + others] == [True, True, False, False]


def test_a_prompt_that_is_too_long_is_an_error_with_figures(server):
    with pytest.raises(StudyError, match=r"served\.gguf.*300 tokens.*256"):
        server.generate([5] * 300, 1)
    assert server.tokenize("a")  # and the server goes on


def test_a_file_that_is_missing_or_cut_short_is_an_error(base, tmp_path):
    with pytest.raises(StudyError, match="no GGUF file"), llama_servers.serve(tmp_path / "none.gguf"):
        pass
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(base[1].read_bytes()[:-5000])
    with pytest.raises(StudyError, match=r"cannot load .*cut\.gguf"), llama_servers.serve(cut):
        pass


def test_a_server_that_closed_an_idle_connection_is_asked_again(server):
    server._connection.sock.shutdown(socket.SHUT_RDWR)
    assert server.tokenize("buy") == server.tokenize("buy")


def test_it_says_what_it_computes_on(monkeypatch):
    """The wheel has no GPU code: what is measured beside a GPU is the CPU's speed."""
    import xllamacpp

    assert [llama_servers.device(gpu) for gpu in (False, True)] == ["cpu", "cpu"]
    kinds = xllamacpp.ggml_backend_dev_type
    cpu = {"name": "CPU", "type": kinds.GGML_BACKEND_DEVICE_TYPE_CPU}
    for name, device in (("CUDA0", "cuda"), ("Vulkan1", "vulkan")):
        found = [{"name": name, "type": kinds.GGML_BACKEND_DEVICE_TYPE_GPU}, cpu]
        monkeypatch.setattr(xllamacpp, "get_device_info", lambda found=found: found)
        assert [llama_servers.device(gpu) for gpu in (False, True)] == ["cpu", device]


def test_strangers_on_this_machine_get_no_answer(server):
    import http.client

    connection = http.client.HTTPConnection(server._connection.host, server._connection.port)
    connection.request("POST", "/tokenize", '{"content": "a"}', {"Content-Type": "application/json"})
    assert connection.getresponse().status == 401
    connection.close()
