"""One way to ask a model, be it a transformers policy or a GGUF file in llama.cpp: answers and log-probabilities.

Both get the same token ids and answer greedily. Everything is batched in an order that depends on the questions alone.
"""

import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.common.errors import StudyError
from scripts.llm import chats, llama_servers, policies, weights

ROWS = 32  # answers that are written side by side
TOKENS = 2048  # tokens of a forward pass, at most
LOGITS = 2**26  # numbers of a forward pass's output, at most (256 MB as float32)
CONTEXT = 4096  # tokens of a GGUF file's conversation, at most


class Said(NamedTuple):
    """An answer: its text, its tokens with the one that ended it, their log-probabilities (float64, None if unknown),
    whether it ended by itself, and the seconds from the start of its batch to its last token."""

    text: str
    ids: list
    logprobs: np.ndarray | None
    ended: bool
    seconds: float


class Followed(NamedTuple):
    """How a model takes a given text, token by token, arrays ``[tokens]``.

    ``logprobs``: float64, of each token; ``best``: bool, whether it is the likeliest; ``top``: float64, the
    log-probability of the likeliest. The last two are None if unknown.
    """

    logprobs: np.ndarray
    best: np.ndarray | None
    top: np.ndarray | None


class Preference(NamedTuple):
    """Log-probabilities of two answers to one prompt from the first token on which they differ.

    ``first``: of that token in each; ``whole``: the sums from there to the end, None if unknown. What they share says
    nothing of which is preferred.
    """

    first: tuple
    whole: tuple | None


@contextmanager
def opened(folder, index, *, adapter=None, gguf=None, dtype="float32", device="cpu", cards=1, threads=1):
    """A :class:`Policy` (the model in ``folder``, with the adapter in the folder ``adapter`` if any) or, with the path
    ``gguf``, a :class:`File` with the tokenizer of ``folder``."""
    tokenizer = chats.load_tokenizer(folder)
    context = weights.read_config(folder).get("max_position_embeddings", CONTEXT)
    if gguf is None:
        policies.use_one_thread()
        model = policies.load(folder, index, adapter=adapter, device=device, dtype=dtype, cards=cards)
        if adapter is not None and dtype == "float32":
            # the same function up to float32 rounding, and DoRA's norms are not taken anew at every token
            model = model.merge_and_unload()
        yield Policy(model, tokenizer, context, device)
        return
    weights.check(folder, index)
    context = min(context, CONTEXT)
    gpu = device == "cuda"
    with llama_servers.serve(Path(gguf), threads=threads, context=context, gpu=gpu) as server:
        yield File(server, tokenizer, context, llama_servers.device(gpu))


class Answerer:
    """What both backends share."""

    exhaustive = True  # whether log-probabilities of long texts are cheap

    def __init__(self, tokenizer, context, device):
        """``device``: what the answers are computed on, cpu or a kind of GPU."""
        self.tokenizer, self.context, self.device = tokenizer, context, device
        self.batches = []  # of each batch of answers: (seconds, tokens) of every answer in it
        self._preferences = {}

    def encode(self, turns):
        """The token ids of a prompt."""
        text = chats.prompt_text(self.tokenizer, turns)
        return self.tokenizer.encode(text, add_special_tokens=False)

    def token_range(self, ids, start, end):
        """``(first, last + 1)``: the tokens of ``ids`` that write the characters from ``start`` to ``end``."""
        return self._tokens_before(ids, start + 1) - 1, self._tokens_before(ids, end)

    def _tokens_before(self, ids, characters):
        """How many tokens it takes to write so many characters, by bisection."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if len(self.decode(ids[:middle])) >= characters:
                high = middle
            else:
                low = middle + 1
        return low

    def decode(self, ids):
        """The text of ids, without markers such as the end of a turn."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def prefer(self, pairs):
        """The :class:`Preference` of each of ``pairs``, ``(ids, ids)`` of the same prompt and two answers."""
        new = {(tuple(a), tuple(b)) for a, b in pairs} - self._preferences.keys()
        new = sorted(new, key=lambda pair: (len(pair[0]), pair))
        forks = [_fork(*pair) for pair in new]
        self._preferences |= dict(zip(new, self._prefer(forks), strict=True))
        return [self._preferences[tuple(a), tuple(b)] for a, b in pairs]

    def latency(self):
        """Seconds of an answer (p50, p95) and tokens per second, without the first batch; None where none is left.

        In a batch an answer takes from the start of the batch to its own last token.
        """
        kept = self.batches[1:]
        answers = [each for batch in kept for each in batch]
        spent = sum(max(seconds for seconds, _ in batch) for batch in kept)
        p50, p95 = np.quantile([seconds for seconds, _ in answers], [0.5, 0.95]) if answers else (None, None)
        return {
            "answers": len(answers),
            "warm_up_answers": len(self.batches[0]) if self.batches else 0,
            "largest_batch": max(map(len, self.batches), default=0),
            "p50_s": None if p50 is None else float(p50),
            "p95_s": None if p95 is None else float(p95),
            "tokens_per_s": sum(tokens for _, tokens in answers) / spent if spent else None,
        }


class Policy(Answerer):
    """A transformers model, in memory."""

    backend = "transformers"

    def __init__(self, model, tokenizer, context, device="cpu"):
        super().__init__(tokenizer, context, device)
        self.model = model
        ends = getattr(model.generation_config, "eos_token_id", None)
        known = ends if isinstance(ends, list) else [ends]
        self.ends = {chats.stop_token(tokenizer), *(each for each in known if each is not None)}

    def answer(self, prompts, max_new_tokens):
        """The greedy :class:`Said` to each prompt (ids)."""
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        found = {}
        for batch in _slices(order, ROWS):
            said = self._answer([prompts[place] for place in batch], max_new_tokens)
            self.batches.append([(each.seconds, len(each.ids)) for each in said])
            found |= dict(zip(batch, said, strict=True))
        return [found[place] for place in range(len(prompts))]

    def _answer(self, prompts, max_new_tokens):
        import torch

        started, device = time.perf_counter(), self.model.device
        ids, mask = _left_padded(prompts, device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        rows, said = list(range(len(prompts))), [([], []) for _ in prompts]
        cache, finished = None, [0.0] * len(prompts)
        with torch.inference_mode():
            for step in range(max_new_tokens):
                columns = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
                output = self.model(**columns, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache, (likeliest, logprobs) = output.past_key_values, _likeliest(output.logits[:, -1])
                for row, token, logprob in zip(rows, likeliest.tolist(), logprobs.tolist(), strict=True):
                    said[row][0].append(token), said[row][1].append(logprob)
                    finished[row] = time.perf_counter() - started
                going = [place for place, row in enumerate(rows) if said[row][0][-1] not in self.ends]
                if not going or step + 1 == max_new_tokens:
                    break
                ids, positions = likeliest[:, None], positions[:, -1:] + 1
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
                if len(going) < len(rows):
                    kept = torch.tensor(going, device=device)
                    cache.batch_select_indices(kept)
                    ids, mask, positions = ids[kept], mask[kept], positions[kept]
                    rows = [rows[place] for place in going]
        return [self._said(*each, seconds) for each, seconds in zip(said, finished, strict=True)]

    def _said(self, ids, logprobs, seconds):
        ended = ids[-1] in self.ends
        return Said(self.decode(ids[:-1] if ended else ids), ids, np.array(logprobs), ended, seconds)

    def follow(self, segments):
        """The :class:`Followed` of each ``(ids, start)``, from ``start`` on."""
        order = sorted(range(len(segments)), key=lambda place: len(segments[place][0]))
        sizes = [(len(ids), len(ids) - start) for ids, start in segments]
        found = {}
        for batch in self._batched(order, sizes):
            ids, mask = _left_padded([segments[place][0] for place in batch], self.model.device)
            tails = [sizes[place][1] for place in batch]
            columns = {"attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
            logits = self._logits(ids, max(tails) + 1, columns)
            for row, (place, tail) in enumerate(zip(batch, tails, strict=True)):
                found[place] = Followed(*_followed(logits[row, -tail - 1 : -1], ids[row, -tail:]))
        return [found[place] for place in range(len(segments))]

    def _prefer(self, forks):
        sizes = [(sum(map(len, fork)), len(fork[1]) + len(fork[2])) for fork in forks]
        found = []
        for batch in self._batched(range(len(forks)), sizes):
            found += self._forked([forks[place] for place in batch])
        return found

    def _forked(self, forks):
        """Both answers of each prompt in one row: the second does not see the first, and stands in its place."""
        import torch

        ids, mask = _left_padded([prefix + a + b for prefix, a, b in forks], self.model.device)
        rows, width = ids.shape
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        seen = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril()
        seen = (seen & mask[:, None, :].bool()) | torch.eye(width, dtype=torch.bool, device=ids.device)
        for row, (_, a, b) in enumerate(forks):
            start = width - len(b)
            seen[row, start:, start - len(a) : start] = False
            positions[row, start:] -= len(a)
        tails = [len(a) + len(b) for _, a, b in forks]
        columns = {"attention_mask": seen[:, None], "position_ids": positions}
        logits = self._logits(ids, max(tails) + 1, columns)
        found = []
        for row, (_, a, b) in enumerate(forks):
            own = logits[row, -len(a) - len(b) - 1 :]
            # both begin after the last token of the prompt
            steps = [own[: len(a)], torch.cat([own[:1], own[len(a) + 1 : -1]])]
            one, two = (_followed(each, ids.new_tensor(said))[0] for each, said in zip(steps, (a, b), strict=True))
            found.append(Preference((one[0], two[0]), (one.sum(), two.sum())))
        return found

    def _logits(self, ids, kept, columns):
        import torch

        with torch.inference_mode():
            return self.model(input_ids=ids, use_cache=False, logits_to_keep=kept, **columns).logits

    def _batched(self, order, sizes):
        """Places in batches of neighbours; ``sizes``: (tokens, of which outputs are needed) of each place."""
        vocabulary, batch = self.model.config.vocab_size, []
        for place in order:
            longer = [*batch, place]
            tokens, outputs = (max(sizes[each][kind] for each in longer) * len(longer) for kind in (0, 1))
            if batch and (tokens > TOKENS or outputs * vocabulary > LOGITS):
                yield batch
                longer = [place]
            batch = longer
        if batch:
            yield batch


class File(Answerer):
    """A GGUF file in llama.cpp; a log-probability costs one request."""

    backend, exhaustive = "llama.cpp", False

    def __init__(self, server, tokenizer, context, device="cpu"):
        super().__init__(tokenizer, context, device)
        self.server = server

    def answer(self, prompts, max_new_tokens):
        """The greedy :class:`Said` to each prompt (ids), one after the other."""
        found = self.server.generate_many(prompts, max_new_tokens)
        self.batches += [[(each["seconds"], len(each["ids"]))] for each in found]
        return [Said(each["text"], each["ids"], None, each["ended"], each["seconds"]) for each in found]

    def follow(self, segments):
        """The :class:`Followed` of each ``(ids, start)``: log-probabilities only."""
        return [Followed(self.server.log_probabilities(ids, start), None, None) for ids, start in segments]

    def _prefer(self, forks):
        found = []
        for prefix, *tails in forks:
            first = tuple(self.server.log_probabilities([*prefix, tail[0]], len(prefix))[0] for tail in tails)
            found.append(Preference(tuple(map(float, first)), None))
        return found


def _fork(a, b):
    """``(prefix, rest of a, rest of b)``; StudyError where one of them has no rest."""
    shared = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if shared in (len(a), len(b)):
        raise StudyError("two answers of a preference pair are equal, or one is the beginning of the other")
    return list(a[:shared]), list(a[shared:]), list(b[shared:])


def _left_padded(rows, device):
    """``(ids, mask)``, int64 ``[rows, longest]``: texts end together, so that they are continued together."""
    import torch

    width = max(map(len, rows))
    ids = [[0] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _likeliest(logits):
    """``(ids, logprobs)`` of the likeliest token in each row of ``[rows, vocabulary]``."""
    highest, ids = logits.float().max(dim=-1)
    logprobs = highest - logits.float().logsumexp(dim=-1)
    _finite(logprobs)
    return ids, logprobs


def _followed(logits, ids):
    """``(logprobs, best, top)`` of ``ids`` ``[tokens]`` under ``[tokens, vocabulary]``."""
    logits = logits.float()
    total, (highest, likeliest) = logits.logsumexp(dim=-1), logits.max(dim=-1)
    logprobs = logits.gather(-1, ids[:, None])[:, 0] - total
    _finite(logprobs)
    values = (logprobs, likeliest == ids, highest - total)
    return tuple(each.cpu().numpy().astype(bool if each.dtype.is_floating_point is False else float) for each in values)


def _finite(logprobs):
    if not bool(logprobs.isfinite().all()):
        raise StudyError(
            "the model's probabilities are not numbers (NaN or infinite logits): its weights are broken, or its number "
            "format overflows; check the training's metrics.jsonl, or use float32"
        )


def _slices(values, size):
    return [values[first : first + size] for first in range(0, len(values), size)]
