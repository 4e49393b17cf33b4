"""Your own jsonl: questions and answers, conversations, or preference pairs, row by row.

A row that is no sample (no JSON, no answer, an unknown difficulty) becomes a sample with a ``defect``: it goes to the
quarantine with that reason, and nothing is lost.
"""

import hashlib
import json
import unicodedata

from scripts.common.errors import StudyError
from scripts.corpus import samples
from scripts.corpus.questions import DIFFICULTIES

TEMPLATES = ()


def format_of(settings):
    """Preferences when a key of rejected answers is named, else messages."""
    return "preferences" if settings["rejected"] else "messages"


def build(part):
    """The rows of the file in its order. Raises StudyError for an empty file or one of another kind."""
    with open(part.file, encoding="utf-8-sig", errors="replace") as lines:
        rows = [text for text in lines if text.strip()]
    if not rows:
        raise StudyError(
            f"part {part.name}: {part.settings['path']} is empty (0 rows); remove the part or mend the file"
        )
    if rows[0].startswith("version https://git-lfs"):
        raise StudyError(f"part {part.name}: {part.settings['path']} is a Git LFS pointer, not the data: git lfs pull")
    for number, text in enumerate(rows, start=1):
        yield _sample(part, number, text)


def _sample(part, number, line):
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
    except ValueError:
        return _defective(part, number, {"line": line.strip()[:2000]}, "no JSON object")
    settings = part.settings
    prompt, answer, rejected = _texts(row, settings)
    meta = _meta(part, number, row, prompt)
    if meta["difficulty"] not in DIFFICULTIES:
        return _defective(part, number, row, f"difficulty '{meta['difficulty']}' is none of {', '.join(DIFFICULTIES)}")
    texts = {"question": prompt, "answer": answer} | ({"rejected answer": rejected} if settings["rejected"] else {})
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            return _defective(part, number, row, f"empty {name}")
    if settings["rejected"]:
        return samples.preference(prompt, answer, rejected, meta)
    if isinstance(row.get("messages"), list):
        turns = [(turn["role"], unicodedata.normalize("NFC", turn["content"])) for turn in row["messages"]]
        return {"messages": [{"role": role, "content": content} for role, content in turns], "meta": meta}
    return samples.conversation(prompt, answer, meta)


def _texts(row, settings):
    """Question, answer and rejected answer of a row; what is not there is None."""
    if isinstance(row.get("messages"), list):
        turns = row["messages"]
        sound = all(isinstance(turn, dict) and isinstance(turn.get("content"), str) for turn in turns)
        if not sound or len(turns) < 2 or [turn.get("role") for turn in turns[-2:]] != ["user", "assistant"]:
            return None, None, None
        return "\n".join(turn["content"] for turn in turns[:-1]), turns[-1]["content"], None
    prompt, context = row.get(settings["prompt"]), row.get(settings["context"]) if settings["context"] else None
    if isinstance(prompt, str) and isinstance(context, str) and context.strip():
        prompt = f"{prompt}\n\n{context}"
    return prompt, row.get(settings["answer"]), row.get(settings["rejected"]) if settings["rejected"] else None


def _meta(part, number, row, prompt):
    settings = part.settings
    difficulty = str(row.get(settings["difficulty"], "medium")) if settings["difficulty"] else "medium"
    domain = str(row.get(settings["domain"], part.name)) if settings["domain"] else part.name
    text = f"{prompt} {row.get(settings['answer'], '')}"
    return samples.meta(
        part.name,
        "files",
        str(number),
        domain=domain,
        difficulty=settings["difficulties"].get(difficulty, difficulty),
        template="file",
        entity=domain,
        # rows with one question are in one split
        group=hashlib.sha256(str(prompt).encode()).hexdigest()[:16],
        language=_language(text),
    )


def _language(text):
    chinese = sum("\u4e00" <= each <= "\u9fff" for each in text)
    letters = sum(each.isalpha() for each in text)
    return "en" if chinese <= 0.05 * letters else "zh" if chinese >= 0.5 * letters else "mixed"


def _defective(part, number, row, reason):
    prompt = row.get(part.settings["prompt"])
    meta = _meta(part, number, row, prompt)
    return {"defect": reason, "row": row, "meta": meta}
