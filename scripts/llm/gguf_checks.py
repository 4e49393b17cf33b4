"""Is a GGUF file the model that it was made from? Gates on tokens, chat template, probabilities and decisions.

A gate is a dict: ``gate`` (its name), ``passed``, ``n``, ``value``, ``limit``, ``reason`` (None where it passed), and
figures of its own. The model is the merged one in float32; contexts are its token ids on both sides, so that a fault of
the tokenizer shows in its own gate and not in all.

The greedy tokens are compared without generating twice: the file answers, and the model is asked for its likeliest
token after each token of that answer. All equal means equal greedy answers; after a difference the comparison goes on
in the file's words.
"""

import random
import re
from dataclasses import dataclass, field

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.statistics import proportions
from scripts.corpus import samples
from scripts.llm import chats, gguf_models, gguf_tokenizers, torture_texts

# mean KL (nats) at most, and share of equal decisions at least. Seen on a small trained model: F32 3e-11, F16 1e-7,
# BF16 9e-6, Q8_0 1e-4 and 0.993 of tokens without forgiven ties, Q4_K_M 2e-3 and 0.93 of choices
LIMITS = {
    "F32": (1e-9, 1.0),
    "F16": (1e-5, 0.999),
    "BF16": (1e-3, 0.99),
    "Q8_0": (1e-3, 0.99),
    "Q6_K": (5e-3, 0.98),
    "Q5_K_M": (2e-2, 0.95),
    "Q4_K_M": (5e-2, 0.90),
}
# above so many tokens the likeliest TOP are compared and the rest as one; its mass is a difference of float32 sums
WHOLE_VOCABULARY, TOP, TAIL_LIMIT = 20_000, 1024, 1e-6
POSITIONS = 512  # of held-out text, in all
GREEDY = 32  # tokens of an answer
# nats: a token that the model finds as likely as its first, up to this, is no other decision. Float32 sums differ by
# some 1e-5; for formats with rounded weights it is one percent of a probability
TIE, TIE_ROUNDED = 1e-4, 1e-2
FLOOR = -103.0  # the logarithm of the smallest float32: what llama.cpp calls -3.4e38 is at most this
CHOICES = (("BUY", "SELL", "HOLD"), ("BUY", "SELL"), ("yes", "no"), ("Yes", "No"))
CONTROL = 3  # type of special tokens in GGUF
PRE_TOKENIZERS = (gguf_tokenizers.PRE, gguf_tokenizers.PRE_DEEPSEEK)


@dataclass(frozen=True)
class Limits:
    """What a file is held to: mean KL in nats, share of equal decisions, and how near a tie is (nats)."""

    max_kl: float
    min_agreement: float
    tie: float


@dataclass(frozen=True)
class Question:
    """A held-out sample in tokens: prompt and answer (if it has one), and where it chooses among which tokens."""

    name: str
    prompt: list[int]
    ids: list[int]
    choice: tuple[int, tuple[int, ...]] | None = field(default=None)


def questions(tokenizer, found, number, seed, longest):
    """``number`` samples of ``found`` (any format), drawn by ``seed``, as :class:`Question`; none above ``longest``.

    ``longest``: tokens of a conversation, of which GREEDY are kept for the answer. StudyError where none is left.
    """
    drawn = random.Random(f"{seed}|questions").sample(found, len(found))
    chosen = []
    for sample in drawn:
        if len(chosen) < number and len((each := question(tokenizer, sample)).ids) <= longest - GREEDY:
            chosen.append(each)
    if not chosen:
        raise StudyError(
            f"none of {len(found)} held-out samples fits into {longest} tokens with {GREEDY} of an answer; the GGUF "
            "file cannot be compared with its model: name other prompts or a base with a longer context"
        )
    return chosen


def question(tokenizer, sample):
    """A sample of any corpus format as a :class:`Question`."""
    turns = sample["messages"][:-1] if "messages" in sample else sample["prompt"]
    name, said = sample["meta"]["id"], samples.answers_of(sample)
    if not said:
        ids = tokenizer.encode(chats.prompt_text(tokenizer, turns), add_special_tokens=False)
        return Question(name, ids, ids)
    ids, start = chats.encode(tokenizer, turns, said[0])
    return Question(name, ids[:start], ids, _choice(tokenizer, turns, said[0], ids))


def _choice(tokenizer, turns, answer, ids):
    """``(place, tokens)``: where the answer first says one of the words that its prompt offers, and their tokens."""
    prompt = samples.prompt_of({"prompt": turns})
    offered = next((words for words in CHOICES if all(re.search(rf"\b{word}\b", prompt) for word in words)), ())
    places = [each for word in offered for each in re.finditer(rf"\b{word}\b", answer)]
    if not places:
        return None
    before = answer[: min(places, key=lambda each: each.start()).start()]
    rows = [chats.encode(tokenizer, turns, before + word)[0] for word in offered]
    place = next((n for n, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1), None)
    if place is None or rows[0][:place] != ids[:place]:
        return None
    tokens = tuple(row[place] for row in rows)
    return (place, tokens) if len(set(tokens)) == len(tokens) else None


def limits(quant, max_kl=None, min_agreement=None):
    """The :class:`Limits` of a quant; ``max_kl`` and ``min_agreement`` override them where they are not None."""
    usual = LIMITS[quant]
    return Limits(
        usual[0] if max_kl is None else max_kl,
        usual[1] if min_agreement is None else min_agreement,
        TIE if quant == "F32" else TIE_ROUNDED,
    )


def compare(server, tokenizer, model, path, asked, limits, seed):
    """``(gates, figures)`` of the GGUF file ``path`` that ``server`` runs, over the questions ``asked``."""
    known = metadata(path)
    gates, figures = [vocabulary(server, model)], {}
    if not gates[0]["passed"]:
        return gates, figures
    for name, check in (
        ("tokenisation", lambda: tokenisation(server, tokenizer, known, model.config.model_type, asked)),
        ("chat_template", lambda: chat_template(server, tokenizer, known)),
        ("stop_token", lambda: stop_token(server, tokenizer, known)),
    ):
        try:
            gates.append(check())
        except StudyError as error:  # llama.cpp refuses to answer, as broken files make it
            gates.append(_gate(name, False, 0, None, None, str(error)))
    try:
        gate, decisions = greedy(server, model, asked, limits)
        more, figures = probabilities(server, model, asked, decisions, limits, seed)
    except StudyError as error:
        return [*gates, _gate("divergence", False, 0, None, limits.max_kl, str(error))], figures
    return [*gates, gate, *more], figures


def vocabulary(server, model):
    """Gate: as many tokens as the model has; without it no other gate can be asked."""
    number = model.get_input_embeddings().num_embeddings
    reason = None if server.vocabulary == number else f"the file has {server.vocabulary} tokens, the model {number}"
    return _gate("vocabulary", reason is None, number, server.vocabulary, number, reason)


def tokenisation(server, tokenizer, metadata, architecture, asked):
    """Gate: the same ids for the torture set and for the held-out prompts (and answers).

    Of architectures that our converter knows, the name of the pre-tokenizer has to be one of its own too: another one
    can give equal ids for the vocabulary of a small model and others for a larger one.
    """
    special = sorted({*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens})
    texts = torture_texts.texts(special[:20])
    texts += [tokenizer.decode(each.ids, clean_up_tokenization_spaces=False) for each in asked]
    wrong = [each for each in texts if tokenizer.encode(each, add_special_tokens=False) != server.tokenize(each)]
    faults, named = [], metadata["pre"]
    if gguf_models.supports({"model_type": architecture}) and named not in PRE_TOKENIZERS:
        faults.append(f"the file names the pre-tokenizer {named!r}, not one of {', '.join(PRE_TOKENIZERS)}")
    if wrong:
        faults.append(f"{len(wrong)} texts have other ids with its pre-tokenizer {named!r}, such as {wrong[0][:60]!r}")
    return _gate("tokenisation", not faults, len(texts), len(wrong), 0, "; ".join(faults) or None)


def chat_template(server, tokenizer, metadata):
    """Gate: the file's own template writes conversations as the tokenizer's does, with and without a system message."""
    refused, wrong, compared = [], [], 0
    for name, messages in torture_texts.conversations().items():
        try:
            wanted = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # a template refuses in its own words, as any exception of jinja2
            refused.append(f"{name}: {error}")
            continue
        compared += 1
        try:
            written = server.render(messages)
        except StudyError as error:
            written = str(error)
        # llama.cpp leaves out a begin token that its tokenizer adds
        if written not in (wanted, wanted.removeprefix(tokenizer.bos_token or "")):
            wrong.append(name)
    reasons = [f"conversations are written otherwise: {', '.join(wrong)}"] if wrong else []
    if not metadata["template"]:
        reasons.append("the file has no chat template of its own")
    return _gate("chat_template", not reasons, compared, len(wrong), 0, "; ".join(reasons) or None, refused=refused)


def stop_token(server, tokenizer, metadata):
    """Gate: the token that ends a turn is the file's end token, is a control token, and ends an answer in llama.cpp."""
    stop = chats.stop_token(tokenizer)
    text, faults = tokenizer.convert_ids_to_tokens(stop), []
    if stop not in (metadata["eos"], metadata["eot"]):
        faults.append(
            f"the file's end token is {metadata['eos']}, not {stop} ({text}), with which the template ends a turn"
        )
    if metadata["types"][stop : stop + 1] != [CONTROL]:
        faults.append(f"{text} is not a control token in the file")
    if not server.ends(stop):
        faults.append(f"llama.cpp does not stop at {text}: answers would never end")
    return _gate("stop_token", not faults, 3, len(faults), 0, "; ".join(faults) or None, token=stop, text=text)


def metadata(path):
    """``{"eos", "eot", "types", "template", "pre"}`` of a GGUF file.

    End tokens (ids or None), types of all tokens, has it a chat template, and the name of its pre-tokenizer.
    """
    from gguf import GGUFReader

    fields = GGUFReader(path).fields

    def value(name):
        return fields[f"tokenizer.{name}"].contents() if f"tokenizer.{name}" in fields else None

    types = value("ggml.token_type") or []
    ends = {name: value(f"ggml.{name}_token_id") for name in ("eos", "eot")}
    return ends | {"types": types, "template": bool(value("chat_template")), "pre": value("ggml.pre")}


def log_softmax(model, ids, places):
    """The model's log-probabilities before the tokens at ``places``: float64 (places, vocabulary)."""
    import torch

    with torch.inference_mode():
        kept = torch.tensor([place - 1 for place in places])
        row = torch.tensor([ids[: max(places)]], device=model.device)
        logits = model(row, logits_to_keep=kept.to(model.device)).logits[0].double()
        return torch.log_softmax(logits, dim=-1).cpu().numpy()


def greedy(server, model, asked, limits):
    """Gate: the file's greedy answers, token by token, are those of the model; and the :class:`Agreement`."""
    answers = server.generate_many([each.prompt for each in asked], GREEDY)
    tokens = Agreement(limits)
    whole = 0
    for each, answer in zip(asked, answers, strict=True):
        said, start = answer["ids"], len(each.prompt)
        known = log_softmax(model, each.prompt + said, range(start, start + len(said)))
        hits = [tokens.add(row, token, each.name) for row, token in zip(known, said, strict=True)]
        whole += all(hits)
    gate = tokens.gate("greedy", "tokens of greedy answers") | {"equal_answers": whole, "answers": len(asked)}
    return gate, tokens


class Agreement:
    """Decisions of the file, and whether the model decides so too."""

    def __init__(self, limits):
        """Nothing yet; ``limits``: a :class:`Limits`."""
        self.limits, self.hits, self.groups, self.ties = limits, [], [], 0

    def add(self, known, decided, group):
        """``decided`` (an index) is the file's choice, ``known`` the model's log-probabilities; is it the model's too?

        A tie counts as equal. ``group`` names the text, since decisions on one text are not separate.
        """
        hit = bool(known.max() - known[decided] < self.limits.tie)
        self.ties += hit and int(known.argmax()) != int(decided)
        self.hits.append(hit)
        self.groups.append(group)
        return hit

    def gate(self, name, what):
        """The gate: no more differ than the limit allows. Of fewer than ``1 / (1 - limit)`` decisions that is none."""
        limit, n, more = self.limits.min_agreement, len(self.hits), {"ties": self.ties, "tie": self.limits.tie}
        if not n:
            return _gate(name, True, 0, None, limit, None, note=f"no {what} to compare", **more)
        share = proportions.share(self.hits, self.groups)
        missed, allowed = n - sum(self.hits), int((1 - limit) * n + 1e-9)
        passed = missed <= allowed
        reason = None if passed else f"{missed} of {n} {what} differ, {allowed} may; is each tensor in its place?"
        more |= {"low": share.low, "high": share.high, "texts": share.groups, "allowed": allowed}
        return _gate(name, passed, n, share.value, limit, reason, **more)


def probabilities(server, model, asked, decisions, limits, seed):
    """``(gates, figures)``: mean KL, equal decisions and equal choices over runs of held-out tokens of every question.

    ``decisions``: an :class:`Agreement` that the next tokens are added to.
    ``figures``: perplexity of both over the same tokens, and the largest difference of log-probabilities.
    """
    top = server.vocabulary if server.vocabulary <= WHOLE_VOCABULARY else TOP
    rows, groups, choices = [], [], Agreement(limits)
    for each in asked:
        places = positions(each, -(-POSITIONS // len(asked)), seed)
        for place, known in zip(places, log_softmax(model, each.ids, places), strict=True):
            tokens, found = server.next_logprobs(each.ids[:place], top)
            kl, largest, log = divergence(known, tokens, np.maximum(found, FLOOR))
            actual = each.ids[place]
            if (said := log.get(actual)) is None:
                said = server.log_probabilities(each.ids[: place + 1], place)[0]
            rows.append((kl, largest, known[actual], said))
            groups.append(each.name)
            decisions.add(known, tokens[0], each.name)
            if each.choice and each.choice[0] == place and all(token in log for token in each.choice[1]):
                offered = list(each.choice[1])
                choices.add(known[offered], int(np.argmax([log[token] for token in offered])), each.name)
    kl, largest, model_log, file_log = np.array(rows).T
    figures = {
        "perplexity": {"model": _number(np.exp(-model_log.mean())), "file": _number(np.exp(-file_log.mean()))},
        "largest_log_difference": _number(largest.max()),
        "positions": len(rows),
    }
    limit = limits.max_kl if top == server.vocabulary else max(limits.max_kl, TAIL_LIMIT)
    gates = [
        _divergence_gate(kl, groups, limit, seed, top),
        decisions.gate("decisions", "next tokens of greedy answers and of held-out text"),
        choices.gate("choices", "choices among the words that a prompt offers"),
    ]
    return gates, figures


def positions(each, number, seed):
    """``number`` positions in a row of a question: in its answer if it has one, around its choice if it has one."""
    first = len(each.prompt) if len(each.ids) > len(each.prompt) else 1
    last = max(first, len(each.ids) - number)
    if each.choice:
        first, last = max(first, each.choice[0] - number + 1), each.choice[0]
    start = random.Random(f"{seed}|{each.name}").randint(first, last)
    start = max(1, min(start, len(each.ids) - number))  # short answers: the run reaches back into the prompt
    return range(start, min(start + number, len(each.ids)))


def divergence(known, tokens, found):
    """``(kl, largest, log)`` of a model's log-probabilities ``known`` (vocabulary), a file's ``found`` of ``tokens``.

    Both are renormalised in float64: over all tokens, or over ``tokens`` and one tail of the rest. ``kl``: in nats,
    model from file; ``largest``: difference of log-probabilities among tokens that the model gives more than 1e-6;
    ``log``: the file's renormalised log-probabilities, a dict by token.
    """
    ours, theirs = known[tokens], found.astype(np.float64)
    if len(tokens) < len(known):
        ours, theirs = (np.append(each, np.log(max(1 - np.exp(each).sum(), 1e-12))) for each in (ours, theirs))
    ours, theirs = (each - np.logaddexp.reduce(each) for each in (ours, theirs))
    likely = ours > np.log(1e-6)
    kl = float(np.sum(np.exp(ours) * (ours - theirs)))
    return kl, float(np.abs(ours - theirs)[likely].max()), dict(zip(tokens.tolist(), theirs.tolist(), strict=False))


def _divergence_gate(values, groups, limit, seed, top):
    """The gate on mean KL, with the interval of a bootstrap over texts; ``top``: tokens compared at a position."""
    if not np.isfinite(values).all():
        reason = f"{int((~np.isfinite(values)).sum())} positions have probabilities that are no numbers: broken weights"
        return _gate("divergence", False, len(values), None, limit, reason)
    mean = proportions.mean(values, groups, seed)
    passed = bool(mean.value <= limit)
    reason = None if passed else f"mean KL {mean.value:.3g} above {limit:.3g}; is each tensor in its place?"
    more = {"low": mean.low, "high": mean.high, "texts": mean.groups, "largest": float(values.max()), "compared": top}
    return _gate("divergence", passed, mean.n, mean.value, limit, reason, **more)


def _gate(name, passed, n, value, limit, reason, **more):
    return {"gate": name, "passed": passed, "n": n, "value": value, "limit": limit, "reason": reason, **more}


def _number(value):
    return float(value) if np.isfinite(value) else None
