"""A byte-level BPE tokenizer of Qwen2's kind as the metadata of a GGUF file."""

import json
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.llm.tokenizers import SPLIT

# llama.cpp runs one and the same splitting code under both names (llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2); its
# converter uses the second for DeepSeek's distillates into Qwen: Qwen2's splits and a begin token of their own
PRE, PRE_DEEPSEEK = "qwen2", "deepseek-r1-qwen"
BEGIN_DEEPSEEK = "<｜begin▁of▁sentence｜>"
ELSEWHERE = (
    "quantmake converts Qwen2's tokenizer only: convert this folder with llama.cpp's convert_hf_to_gguf.py "
    "(it is in the source archive of llama-cpp-python 0.3.36, vendor/llama.cpp)"
)
# what llama.cpp's BPE does not do, and what tokenizer.json says where it is not asked for
PLAIN_BPE = {
    "type": ("BPE",),
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}


@dataclass(frozen=True)
class Tokenizer:
    """What a GGUF file says of its tokenizer; ``tokens`` and ``types`` have one entry for each row of the embedding."""

    pre: str
    tokens: list[str]
    types: list[int]
    template: str | None
    special: object

    def write(self, writer):
        """Add the metadata to a ``gguf.GGUFWriter``."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        self.special.add_to_gguf(writer, quiet=True)
        if self.template is not None:
            writer.add_chat_template(self.template)


def read(folder, rows):
    """The :class:`Tokenizer` of a model folder whose embedding has ``rows`` rows.

    Raises StudyError where it has no tokenizer.json, another kind of tokenizer, or tokens without a row.
    """
    folder = Path(folder)
    if not (folder / "tokenizer.json").exists():
        raise StudyError(f"{folder} has no tokenizer.json; save the model with its fast tokenizer. {ELSEWHERE}")
    content = read_json(folder / "tokenizer.json")
    config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    _check_splits(folder, content)
    tokens, types = _vocabulary(folder, content, config, rows)
    pre = PRE_DEEPSEEK if _text(config.get("bos_token")) == BEGIN_DEEPSEEK else PRE
    return Tokenizer(pre, tokens, types, chat_template(folder), _special(folder, rows))


def chat_template(folder):
    """The chat template of a model folder as transformers finds it: chat_template.jinja, then tokenizer_config.json.

    Of several named ones it is the one called "default". None where there is none.
    """
    file = Path(folder) / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    config = Path(folder) / "tokenizer_config.json"
    found = read_json(config).get("chat_template") if config.exists() else None
    if isinstance(found, list):
        found = {each["name"]: each["template"] for each in found}.get("default")
    return found


def _check_splits(folder, content):
    """StudyError unless tokenizer.json is a byte-level BPE with Qwen2's splits; a missing NFC is no difference."""
    where = f"{folder}/tokenizer.json"
    for key, allowed in PLAIN_BPE.items():
        if content["model"].get(key) not in allowed:
            raise StudyError(f"{where}: model.{key} is {content['model'].get(key)!r}. {ELSEWHERE}")
    if other := [each for each in _steps(content["normalizer"], "normalizers") if each["type"] != "NFC"]:
        raise StudyError(f"{where}: its normaliser {other[0]['type']} does not exist in llama.cpp. {ELSEWHERE}")
    steps = _steps(content["pre_tokenizer"], "pretokenizers")
    patterns = [each["pattern"].get("Regex") for each in steps if each["type"] == "Split"]
    if [each["type"] for each in steps] != ["Split", "ByteLevel"] or patterns != [SPLIT]:
        said = ", ".join(each["type"] for each in steps) or "nothing"
        raise StudyError(f"{where}: its pre-tokenizer ({said}; {patterns}) is not Qwen2's. {ELSEWHERE}")
    split, bytes_ = steps
    if split["behavior"] != "Isolated" or split.get("invert") or bytes_["add_prefix_space"] or bytes_.get("use_regex"):
        raise StudyError(f"{where}: its pre-tokenizer has Qwen2's pattern but other options. {ELSEWHERE}")


def _steps(part, key):
    """The steps of a normaliser or pre-tokenizer, a flat list."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    return [step for each in part[key] for step in _steps(each, key)]


def _vocabulary(folder, content, config, rows):
    """``(tokens, types)`` for every row: normal, control, user-defined, and unused up to the embedding's rows."""
    from gguf import TokenType

    added = {each["id"]: each for each in content.get("added_tokens", [])}
    for number, each in config.get("added_tokens_decoder", {}).items():
        if added.setdefault(int(number), each)["content"] != each["content"]:
            raise StudyError(
                f"{folder}: token {number} is {added[int(number)]['content']!r} in tokenizer.json and "
                f"{each['content']!r} in tokenizer_config.json; save the tokenizer again"
            )
    named = {number: text for text, number in content["model"]["vocab"].items()}
    if (most := max([*named, *added])) >= rows:
        raise StudyError(f"{folder}: its tokenizer has a token {most}, its embedding only {rows} rows; resize it")
    tokens, types = [], []
    for number in range(rows):
        if number in added:
            text = added[number]["content"]
            control = added[number].get("special") or _looks_special(text)
            tokens.append(text)
            types.append(TokenType.CONTROL if control else TokenType.USER_DEFINED)
        else:
            tokens.append(named.get(number, f"[PAD{number}]"))
            types.append(TokenType.NORMAL if number in named else TokenType.UNUSED)
    return tokens, types


def _looks_special(text):
    """Is it a marker, whatever its flag says? Qwen2.5 flags some as text; llama.cpp's converter asks this too."""
    return (text.startswith("<|") and text.endswith("|>")) or (text.startswith("<｜") and text.endswith("｜>"))


def _special(folder, rows):
    """``gguf.SpecialVocab``: merges, special tokens and which of them begin or end a text; without chat template."""
    from gguf import SpecialVocab

    try:
        special = SpecialVocab(folder, load_merges=True, n_vocab=rows)
    except (ValueError, KeyError, AttributeError, json.JSONDecodeError) as error:
        raise StudyError(f"{folder}: the special tokens or merges of its tokenizer cannot be read: {error}") from error
    if not special.merges:
        raise StudyError(f"{folder}/tokenizer.json has no merges")
    special.chat_template = None
    for end in ("bos", "eos"):
        special.add_special_token.setdefault(end, False)
    return special


def _text(token):
    """The text of a special token, which is written as a string or as a dict with flags."""
    return token.get("content") if isinstance(token, dict) else token
