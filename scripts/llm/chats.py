"""Conversations as a tokenizer's chat template writes them, and as token ids.

A sample is a prompt and an answer: the template writes the prompt up to where the answer begins; the answer is its text
and what the template closes a turn with (``<|im_end|>``). Both are tokenised apart, as they are when a model answers.
"""

import unicodedata

from scripts.common.errors import StudyError

# some templates (DeepSeek-R1) open a thought in the prompt: answers without one close it first, others go on with it
THOUGHT, END, CLOSED = "<think>", "</think>", "\n</think>\n\n"
PROBE = "Is this the answer?"


def load_tokenizer(folder):
    """The tokenizer in a model folder. StudyError when it has no chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if not tokenizer.chat_template:
        raise StudyError(
            f"the tokenizer of {folder} has no chat template, so it cannot be told how a question is asked; use an "
            "instruction-tuned base, or add chat_template.jinja to a local one"
        )
    return tokenizer


def prompt_text(tokenizer, turns):
    """The text that a model answers: ``turns`` (a list of role and content) and the opening of its own turn."""
    turns = [each | {"content": unicodedata.normalize("NFC", each["content"])} for each in turns]
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def answer_text(tokenizer, prompt, answer):
    """What follows ``prompt``: the answer and the end of its turn."""
    answer, before = unicodedata.normalize("NFC", answer), prompt.rstrip()
    if before.endswith(THOUGHT):
        # a thought of the answer's own begins where the prompt ends: after its <think> and what follows that
        own = answer.lstrip().removeprefix(THOUGHT).removeprefix(prompt[len(before) :])
        answer = own if END in answer else CLOSED + answer
    return answer + turn_end(tokenizer)


def turn_end(tokenizer):
    """What the template closes an assistant's turn with, such as ``<|im_end|>``.

    Raises StudyError when it closes it with nothing: a model trained so would never stop.
    """
    turns = [{"role": "user", "content": PROBE}, {"role": "assistant", "content": PROBE[::-1]}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    if whole.count(PROBE[::-1]) != 1:
        raise StudyError("the chat template does not write an assistant's answer as it stands; it cannot be trained on")
    end = whole.split(PROBE[::-1])[1].strip()
    if not end:
        raise StudyError("the chat template closes an answer with no token: a model trained with it never stops")
    return end


def stop_token(tokenizer):
    """The id of the token that ends an answer. StudyError when the template ends it with several tokens."""
    end = turn_end(tokenizer)
    ids = tokenizer.encode(end, add_special_tokens=False)
    if len(ids) != 1:
        raise StudyError(f"the chat template ends an answer with {end!r}, which is {len(ids)} tokens and not one")
    return ids[0]


def encode(tokenizer, turns, answer):
    """``(ids, start)``: the tokens of prompt and answer, and where the answer begins."""
    prompt = prompt_text(tokenizer, turns)
    asked = tokenizer.encode(prompt, add_special_tokens=False)
    said = tokenizer.encode(answer_text(tokenizer, prompt, answer), add_special_tokens=False)
    return asked + said, len(asked)
