"""GGUF files in llama.cpp: an HTTP server in this process (xllamacpp), and what it is asked.

Everything is greedy and as exact as it can be: keys and values are kept as float32, flash attention is off, nothing is
sampled. Texts are tokenised without added tokens (a chat template writes its own), special tokens are recognised.
"""

import http.client
import json
import re
import secrets
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from scripts.common.errors import StudyError

# prompts in one request
TOGETHER = 128
# bytes of weights that keep a thread busy: on shared cores threads that wait for each other make small models slower
BYTES_PER_THREAD = 32_000_000
# added to the logit of a token that has to come; the server reports probabilities as they were before
CERTAIN = 1e6
TOKEN, LOGPROB = re.compile(rb'"id":(\d+)'), re.compile(rb'"logprob":([^,}]+)')


def device(gpu):
    """What llama.cpp computes on here where it is given a GPU (``gpu``) or none: cpu, or the kind of the GPU (cuda).

    A build without GPU code, as the wheel on PyPI is, takes the CPU whatever it is given.
    """
    import xllamacpp

    kinds = xllamacpp.ggml_backend_dev_type
    able = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    found = [each["name"] for each in xllamacpp.get_device_info() if each["type"] in able]
    return found[0].rstrip("0123456789").lower() if gpu and found else "cpu"


@contextmanager
def serve(path, threads=1, context=2048, gpu=False, slots=1):
    """A :class:`Server` of the GGUF file ``path``; it ends with the block.

    ``threads``: at most; small models get one. ``context``: tokens of one conversation (never more than the file
    allows); ``slots``: conversations that :meth:`Server.generate_many` answers side by side (8 double its speed).
    Raises StudyError when llama.cpp cannot load the file.
    """
    import xllamacpp

    if not Path(path).is_file():
        raise StudyError(f"there is no GGUF file {path}; convert the model first")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = context * slots, slots
    params.n_gpu_layers = 999 if gpu else 0
    params.fit_params = False  # it shortens the context where memory is short
    for each in (params.cpuparams, params.cpuparams_batch):
        each.n_threads = max(1, min(threads, Path(path).stat().st_size // BYTES_PER_THREAD))
        each.poll = 0  # a thread that waits takes no core from others
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib, params.warmup, params.ui = 0, False, False
    params.verbosity = 1  # errors only
    params.port = 0  # any free one of the loopback interface
    key = secrets.token_hex(16)
    params.api_keys = [key]
    try:
        running = xllamacpp.Server(params)
    except RuntimeError as error:
        raise StudyError(
            f"llama.cpp cannot load {path}: {error} What it says itself stands above in the log. The file is "
            "incomplete or of an architecture that it does not know; convert the model again"
        ) from None
    server = Server(running.listening_address, key, Path(path).name)
    try:
        yield server
    finally:
        server.close()
        del running  # ends its threads


class Server:
    """A GGUF file that answers."""

    def __init__(self, address, key, name):
        """``address``: the server's URL; ``key``: its password; ``name``: the file's, for messages."""
        self._connection = http.client.HTTPConnection(address.split("//")[1])
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self._name = name
        self.vocabulary = json.loads(self._ask("/v1/models"))["data"][0]["meta"]["n_vocab"]
        self._letter = self.tokenize("a")[0]  # a token that is text

    def close(self):
        """End the connection."""
        self._connection.close()

    def tokenize(self, text):
        """The ids of a text, a list."""
        return self._call("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]

    def detokenize(self, ids):
        """The text of ids."""
        return self._call("/detokenize", {"tokens": _plain(ids)})["content"]

    def render(self, messages, generation=True):
        """What the file's chat template makes of messages, with the opening of an answer if ``generation``.

        llama.cpp leaves out a begin token that the file's tokenizer adds; :meth:`tokenize` does not add it.
        """
        body = {"messages": list(messages), "add_generation_prompt": generation}
        return self._call("/apply-template", body)["prompt"]

    def generate(self, prompt, max_tokens, stop=()):
        """``(text, ids)`` of the greedy answer to a prompt, a text or ids; see :meth:`generate_many`."""
        answer = self.generate_many([prompt], max_tokens, stop)[0]
        return answer["text"], answer["ids"]

    def generate_many(self, prompts, max_tokens, stop=()):
        """The greedy answers to prompts (texts or ids), a list of dicts in their order.

        ``text``: without what ended it; ``ids``: all tokens, the one that ended it too; ``ended``: False where
        ``max_tokens`` was reached; ``seconds``: of prompt and answer, with the waits for neighbours where the server
        has several slots. ``stop``: texts that end an answer beside the file's own end tokens. No answer depends on
        what was asked before.
        """
        prompts = [self.tokenize(prompt) if isinstance(prompt, str) else _plain(prompt) for prompt in prompts]
        answers = []
        for first in range(0, len(prompts), TOGETHER):
            body = _greedy(prompts[first : first + TOGETHER], max_tokens) | {"stop": list(stop), "cache_prompt": False}
            found = self._call("/completion", body | {"response_fields": ["content", "tokens", "stop_type", "timings"]})
            for each in found if isinstance(found, list) else [found]:
                spent = each["timings"]["prompt_ms"] + each["timings"]["predicted_ms"]
                answer = {"text": each["content"], "ids": each["tokens"], "seconds": spent / 1000}
                answers.append(answer | {"ended": each["stop_type"] != "limit"})
        return answers

    def next_logprobs(self, ids, top=None):
        """``(ids, logprobs)`` of the ``top`` likeliest next tokens (all without it), the likeliest first.

        Logarithms of a float32 softmax; that of a probability which float32 cannot hold is -3.4e38. What was asked
        before is not computed again: positions of one text that follow each other cost one token each.
        """
        tokens, found = self._probabilities(_plain(ids), self._letter, top or self.vocabulary)
        return tokens[1:], found[1:]

    def log_probabilities(self, ids, start):
        """The log-probability of every token of ``ids`` from position ``start`` (1 or more) on, given those before."""
        ids = _plain(ids)
        return np.array([self._log_probability(ids[:place], ids[place]) for place in range(start, len(ids))], float)

    def ends(self, token):
        """Does this token end an answer? It is made to come, and llama.cpp says why it stopped."""
        body = _greedy([int(token)], 2) | {"logit_bias": [[int(token), CERTAIN]], "response_fields": ["stop_type"]}
        return self._call("/completion", body)["stop_type"] == "eos"

    def _log_probability(self, ids, token):
        # a grammar that spells the text out would need one request only, but llama.cpp aborts the whole process where
        # a token in it ends a text
        tokens, found = self._probabilities(ids, token, 1)
        if not len(tokens):  # the token is a part of a character: llama.cpp waits for the rest and says nothing
            tokens, found = self.next_logprobs(ids)
            found = found[tokens == token]
        return found[0]

    def _probabilities(self, ids, token, top):
        """``(tokens, logprobs)`` after ``ids`` where ``token`` is made to come: its own, then the ``top`` likeliest."""
        body = _greedy(ids, 1) | {"logit_bias": [[token, CERTAIN]], "n_probs": top}
        raw = self._ask("/completion", body | {"response_fields": ["completion_probabilities"]})
        # a regular expression is six times faster here than a JSON reader; quotes within tokens are escaped
        found = [b"nan" if each == b"null" else each for each in LOGPROB.findall(raw)]
        return np.array(TOKEN.findall(raw), dtype=np.int64), np.array(found, dtype=np.float64)

    def _call(self, address, body):
        return json.loads(self._ask(address, body))

    def _ask(self, address, body=None):
        """The raw answer of the server, bytes. StudyError with its message where it refuses."""
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        try:
            response, raw = self._request(method, address, content)
        except (ConnectionError, http.client.RemoteDisconnected):  # the server closes a connection after idle seconds
            self._connection.close()
            response, raw = self._request(method, address, content)
        if response.status != 200:
            try:
                message = json.loads(raw)["error"]["message"]
            except (ValueError, KeyError, TypeError):
                message = raw[:200].decode("utf-8", "replace")
            raise StudyError(f"llama.cpp with {self._name} refuses {address}: {message}")
        return raw

    def _request(self, method, address, content):
        self._connection.request(method, address, content, self._headers)
        response = self._connection.getresponse()
        return response, response.read()


def _greedy(prompt, max_tokens):
    """The body of a request for the likeliest tokens."""
    return {
        "prompt": prompt,
        "n_predict": max_tokens,
        "temperature": 0,
        "samplers": ["temperature"],
        "return_tokens": True,
        "cache_prompt": True,
    }


def _plain(ids):
    return [int(token) for token in ids]
