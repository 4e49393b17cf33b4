"""What makes a sample wrong by itself, or beside another one: it is kept apart with its reasons."""

import re
import unicodedata

from scripts.corpus.samples import answers_of, prompt_of

URL = re.compile(r"https?://|\bwww\.\w", re.IGNORECASE)
SECRET = re.compile(
    r"\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|X-Amz-Signature=|\bhf_[A-Za-z0-9]{30,}|[\w.+-]+@[\w-]+\.[a-z]{2,}\b"
)
# a format that was never filled in: "timestamp: .6f", "{entry_price}", "%(name)s"
PLACEHOLDER = re.compile(r"(?<![\w.])\.\d[fdeg]\b|(?<![\\\w}^_])\{[a-z_]{3,}\}|%\([a-z_]+\)[sdf]")
OUTCOME = re.compile(
    r"\b(?:actually|subsequently|eventually|afterwards|later)\s+(?:went|rose|fell|moved|gained|lost|hit|reached|closed)"
    r"|\bwould have (?:been|made|lost|gained|won|paid)|\bturned out\b|\b(?:in|with) hindsight\b"
    r"|\b(?:actual|realized|realised|true) (?:outcome|direction|future|next)|\bprice (?:then )?went (?:up|down)"
    r"|\b(?:stop|target|take[- ]profit|barrier) (?:was|got) (?:hit|reached|touched)"
    r"|\b(?:next|following) (?:bar|hour|day|candle|week)s? (?:rose|fell|closed|went|was|were)"
    r"|\bthis (?:trade|position|signal) (?:won|lost|made|failed|worked)",
    re.IGNORECASE,
)
# what extraction by script leaves behind: headings, tables and half sentences as questions or answers
FRAGMENT = re.compile(
    r"^(?:Define|What is|Explain)\s+(?:\*\*|\d+\\?\.|#|\||[a-z]+ly\b|Then\b|And\b|But\b|I have\b)|\n-{3,}\n+##"
)
# kinds whose texts are written before the outcome is known
BEFORE_OUTCOME = ("features", "trades", "preferences", "files")


def find(samples, checks):
    """``{place: [reason, ...]}`` of the samples that are wrong.

    A later copy of a sample is a duplicate; of samples with one question and different answers all are wrong, since
    nothing says which is right.
    """
    found = {place: reasons for place, sample in enumerate(samples) if (reasons := list(_alone(sample, checks)))}
    for place, reason in repetitions(samples):
        found.setdefault(place, []).append(reason)
    return dict(sorted(found.items()))


def repetitions(samples):
    """Yield ``(place, reason)`` of duplicates and of questions that have several answers."""
    answers, seen = {}, set()
    for sample in samples:
        if "defect" not in sample:
            answers.setdefault(prompt_of(sample), set()).add(_answer(sample))
    for place, sample in enumerate(samples):
        if "defect" in sample:
            continue
        prompt, answer = prompt_of(sample), _answer(sample)
        if (prompt, answer) in seen:
            yield place, "duplicate"
        elif len(answers[prompt]) > 1:
            yield place, "same question, another answer"
        seen.add((prompt, answer))


def _alone(sample, checks):
    """The reasons for which a sample is wrong by itself."""
    if "defect" in sample:
        yield sample["defect"]
        return
    texts = [prompt_of(sample), *answers_of(sample)]
    whole = "\n".join(texts)
    if not all(text.strip() for text in texts):
        yield "empty text"
    if len(whole) > checks["max_characters"]:
        yield f"longer than {checks['max_characters']} characters"
    if not unicodedata.is_normalized("NFC", whole):
        yield "not in Unicode form NFC"
    if any(ord(each) < 32 and each not in "\n\t" for each in whole) or "\ufffd" in whole:
        yield "control or replacement characters"
    if URL.search(whole):
        yield "URL"
    if SECRET.search(whole):
        yield "secret or e-mail address"
    if PLACEHOLDER.search(whole):
        yield "placeholder that was not filled"
    if sample["meta"]["kind"] == "files" and FRAGMENT.search(whole):
        yield "fragment"
    if sample["meta"]["kind"] in BEFORE_OUTCOME and _about_trades(sample) and OUTCOME.search(whole):
        yield "tells the outcome"
    if (spoken := language(whole)) != sample["meta"]["language"] and "mixed" not in (
        spoken,
        sample["meta"]["language"],
    ):
        yield f"language {spoken}, declared {sample['meta']['language']}"


def language(text):
    """``"en"``, ``"zh"`` or ``"mixed"``, by the share of Chinese characters among the letters."""
    chinese = sum("\u4e00" <= each <= "\u9fff" for each in text)
    letters = sum(each.isalpha() for each in text)
    return "en" if chinese <= 0.05 * letters else "zh" if chinese >= 0.5 * letters else "mixed"


def _about_trades(sample):
    return sample["meta"]["kind"] != "files" or "chosen" in sample


def _answer(sample):
    """What is compared when two samples ask the same."""
    return tuple(answers_of(sample)) or str(sample.get("answer"))
