"""A small base of our own: a tokenizer and a Qwen2 model pretrained on the training texts of corpora.

It sees every question with its answer as running text, which teaches the language, and conversations in the chat format
whose answers belong to other questions, which teach the format: what to answer is left to fine-tuning. (A base that has
never seen the chat tokens cannot learn them from an adapter: their embeddings are frozen.)
"""

import random

from scripts.common.errors import StudyError
from scripts.common.job import progress
from scripts.corpus import samples

TRAINS = True
MAX_LENGTH = 1024  # tokens of a document
ROW_TOKENS = 1024
SHARE_OF_CHATS = 1 / 3


def build(settings, inputs, folder, *, seed, threads, session):
    """Write tokenizer and weights into ``folder``; the facts for the index.

    ``settings``: dict of :class:`scripts.llm.settings.Scratch`; ``inputs["texts"]``: jsonl files of training samples;
    ``session``: the :class:`scripts.llm.sessions.Session` that trains. Equal inputs give equal files.
    """
    from scripts.llm import architectures, chats, examples, tokenizers, trainers

    found = [sample for path in inputs["texts"] for sample in samples.read(path)]
    if len(found) < 2:
        raise StudyError(
            f"{len(found)} samples are no text to pretrain on: the corpora's training splits are too small"
        )
    plain, conversations = documents(found, seed)
    tokenizer = tokenizers.train(plain, settings["vocabulary"])
    tokenizers.save(tokenizer, folder)
    texts = plain + [
        chats.prompt_text(tokenizer, turns[:1]) + turns[1]["content"] + tokenizer.eos_token for turns in conversations
    ]
    learned = examples.documents(tokenizer, texts, MAX_LENGTH)
    training = course_settings(settings, len(learned))
    model = architectures.new_qwen2(settings, tokenizer, seed)
    progress.info("%d parameters, %d documents", sum(each.numel() for each in model.parameters()), len(learned))
    session.train(
        model,
        lambda capacity: trainers.course(learned, training, seed, capacity),
        training,
        objective=trainers.Imitation(),
        validation=None,
        seed=seed,
    )
    model.save_pretrained(str(folder))
    return {
        "parameters": sum(each.numel() for each in model.parameters()),
        "vocabulary": len(tokenizer),
        "documents": len(plain),
        "conversations": len(conversations),
    }


def documents(found, seed):
    """``(plain, conversations)``: running texts of all samples, and conversations whose answers are others'."""
    rng = random.Random(f"{seed}|documents")
    asked = [(samples.prompt_of(each), _answer(each, number)) for number, each in enumerate(found)]
    plain = [f"{prompt}\n\n{answer}" for prompt, answer in asked]
    chosen = rng.sample(range(len(asked)), max(2, round(len(asked) * SHARE_OF_CHATS / (1 - SHARE_OF_CHATS))))
    conversations = [
        [{"role": "user", "content": asked[one][0]}, {"role": "assistant", "content": asked[other][1]}]
        for one, other in zip(chosen, chosen[1:] + chosen[:1], strict=True)
    ]
    return plain, conversations


def course_settings(settings, number):
    """The settings of pretraining in the terms of every training: epochs that make up the steps, and so on."""
    return {
        "batch": settings["batch"],
        "epochs": settings["steps"] * settings["batch"] / number,
        "row_tokens": ROW_TOKENS,
        "learning_rate": settings["learning_rate"],
        "schedule": "cosine",
        "warmup": 0.03,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "dtype": "float32",
        "gradient_checkpointing": False,
        "checkpoints": 10,
        "evaluations": 0,
    }


def _answer(sample, number):
    """A sample's answer; of a preference pair the chosen or the rejected one in turn, so that neither is taught."""
    answers = samples.answers_of(sample)
    return answers[number % len(answers)]
