"""Modelfiles: what Ollama has to be told of a GGUF file, above all its chat template in Go's template language.

Ollama uses no chat template that it does not know, so a model made here answers in garbage unless TEMPLATE and the stop
tokens come with it. The template is taken apart by asking it to write conversations: what stands before and after each
message (ChatML, Llama 3, DeepSeek's distillates and all that write messages one after another). The Go template made of
these pieces is then rendered by :func:`render`, a subset of Go's language, and has to write what the tokenizer writes.

Ollama itself was never run here: what its parser and its templates do is taken from their documentation.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.llm import chats, torture_texts
from scripts.llm.weights import read_config

USER, ANSWER, SYSTEM, AGAIN = "Quillfeather", "Marblestone", "Thornwhistle", "Copperlantern"
# Llama's templates write today's date where they are not given one
DATE = "26 Jul 2024"
REFUSED = (
    "Ollama cannot be told how this model is asked: {}. Use a base whose chat template writes messages one after "
    "another (ChatML, Llama 3 and DeepSeek's distillates do), or give a local base such a chat_template.jinja"
)


@dataclass(frozen=True)
class Pieces:
    """What a chat template writes around messages: ``before`` and ``after`` them by role.

    ``opening`` asks for an answer; ``default`` stands before the first message where that is no system message. Without
    "system" in ``before`` the template has none.
    """

    before: dict[str, str]
    after: dict[str, str]
    opening: str
    default: str


def write(tokenizer, file, *, begin="", system=None, temperature=0.0, num_ctx=2048):
    """The text of the Modelfile of the GGUF file called ``file``, which lies beside it.

    ``begin``: what :func:`begin_token` says of the model's folder.
    Raises StudyError where the tokenizer's chat template cannot be written for Ollama, or ``system`` cannot.
    """
    pieces = take_apart(tokenizer, begin)
    if system and "system" not in pieces.before:
        raise StudyError("export.modelfile.system is set, but the chat template of the base knows no system message")
    template = go_template(pieces)
    check(tokenizer, template, begin)
    lines = [f"FROM ./{file}", f"TEMPLATE {quoted(template, 'the template')}"]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops(tokenizer)]
    lines += [f"PARAMETER temperature {temperature:g}", f"PARAMETER num_ctx {num_ctx}"]
    if system:
        lines.append(f"SYSTEM {quoted(system, 'export.modelfile.system')}")
    return "\n".join(lines) + "\n"


def of_model(folder, tokenizer, file, settings):
    """The text of :func:`write` for the model in ``folder``; ``settings``: a recipe's export.modelfile, a dict."""
    context = settings["num_ctx"] or read_config(folder)["max_position_embeddings"]
    options = settings | {"begin": begin_token(folder, tokenizer), "num_ctx": context}
    return write(tokenizer, file, **options)


def stops(tokenizer):
    """The texts that end an answer: what the template closes a turn with, and the tokenizer's end token."""
    ends = [chats.turn_end(tokenizer), tokenizer.eos_token]
    return list(dict.fromkeys(end for end in ends if end))


def quoted(text, what):
    """A value of a Modelfile between triple quotes, within which a single quote is a character like others.

    They know no escapes: StudyError for a text with triple quotes, or one that ends in a quote.
    """
    if '"""' in text or text.endswith('"'):
        raise StudyError(
            f'{what} has """ in it or ends in a double quote, which a Modelfile cannot hold; use other quotes: '
            f"{text[:80]!r}"
        )
    return f'"""{text}"""'


def begin_token(folder, tokenizer):
    """The begin token if llama.cpp puts it before every text by itself, as the model's folder says; else "".

    Such a token is left out of the Go template, so that it does not come twice. A GGUF file follows add_bos_token of
    tokenizer_config.json, and without it what the tokenizer does; transformers 5 does not follow it.
    """
    flag = read_json(Path(folder) / "tokenizer_config.json").get("add_bos_token")
    adds = tokenizer.encode("")[:1] == [tokenizer.bos_token_id] if flag is None else flag
    return tokenizer.bos_token if adds and tokenizer.bos_token else ""


def take_apart(tokenizer, begin=""):
    """The :class:`Pieces` of a tokenizer's chat template, without the token ``begin``.

    Raises StudyError where it does not write messages one after another, each with the same before and after it.
    """
    user, answer, again = _message("user", USER), _message("assistant", ANSWER), _message("user", AGAIN)
    asked = _split(tokenizer, [user], (USER,), opening=False)
    opened = _split(tokenizer, [user], (USER,), opening=True)
    said = _split(tokenizer, [user, answer], (USER, ANSWER), opening=False)
    whole = _split(tokenizer, [user, answer, again], (USER, ANSWER, AGAIN), opening=False)
    after = {"user": asked[1], "assistant": said[2]}
    before = {
        "assistant": _without(said[1], after["user"], "", "an assistant's turn"),
        "user": _without(whole[2], after["assistant"], "", "a second question"),
    }
    head = _without(asked[0], "", before["user"], "a first question")
    opening = _without(opened[1], after["user"], "", "the opening of an answer")
    try:
        first = _split(tokenizer, [_message("system", SYSTEM), user], (SYSTEM, USER), opening=False)
    except StudyError:  # many templates know no system message, and say so by an error or leave it out
        return Pieces(before, after, opening, head.removeprefix(begin))
    before["system"] = first[0].removeprefix(begin)
    after["system"] = _without(first[1], "", before["user"], "a question after a system message")
    return Pieces(before, after, opening, head.removeprefix(begin))


def go_template(pieces):
    """The pieces as a template of Ollama: a loop over ``.Messages``, then the opening of the answer."""
    text = "{{ range $i, $_ := .Messages }}"
    if pieces.default:
        text += '{{ if and (eq $i 0) (ne .Role "system") }}' + _literal(pieces.default) + "{{ end }}"
    for number, role in enumerate(sorted(pieces.before, key=("system", "user", "assistant").index)):
        word = "else if" if number else "if"
        around = _literal(pieces.before[role]), _literal(pieces.after[role])
        text += f'{{{{ {word} eq .Role "{role}" }}}}{around[0]}{{{{ .Content }}}}{around[1]}'
    return text + "{{ end }}{{ end }}" + _literal(pieces.opening)


def check(tokenizer, template, begin=""):
    """StudyError unless ``template`` writes 1-turn and 3-turn conversations as the tokenizer does.

    Blanks around a message are left away: some chat templates strip them, Go's language cannot.
    """
    for name, messages in torture_texts.conversations().items():
        messages = [_message(each["role"], each["content"].strip()) for each in messages]
        try:
            wanted = _rendered(tokenizer, messages, opening=True)
        except StudyError:  # a template without system messages
            continue
        written = render(template, messages)
        if written != wanted.removeprefix(begin):
            raise StudyError(REFUSED.format(f"a {name} conversation is {wanted!r} for it, but {written!r} for Ollama"))


def render(template, messages):
    """What a Go template makes of messages. Known: text, range over .Messages, if, else, end, eq, ne, and, or, not.

    Raises StudyError for anything else.
    """
    tokens = _lex(template)
    written, rest = _render(tokens, {"Messages": messages})
    if rest:
        raise StudyError(f"the Go template has an action {rest[0][1]!r} that closes nothing")
    return written


def _message(role, content):
    return {"role": role, "content": content}


def _rendered(tokenizer, messages, opening):
    """What the tokenizer's template writes; its refusals, which can be any exception, as a StudyError."""
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opening, date_string=DATE)
    except Exception as error:
        raise StudyError(REFUSED.format(f"its chat template refuses a conversation ({error})")) from None


def _split(tokenizer, messages, contents, opening):
    """The text between ``contents`` in what the template writes; StudyError where one is not there just once."""
    text, parts = _rendered(tokenizer, messages, opening), []
    for content in contents:
        if text.count(content) != 1:
            raise StudyError(REFUSED.format("its chat template leaves a message out, changes it, or repeats it"))
        part, text = text.split(content)
        parts.append(part)
    return [*parts, text]


def _without(text, start, end, what):
    if not (text.startswith(start) and text.endswith(end)) or len(text) < len(start) + len(end):
        raise StudyError(REFUSED.format(f"its chat template writes {what} in a way that depends on what stands before"))
    return text[len(start) : len(text) - len(end)]


def _literal(text):
    """Text as Go's language has it: its own braces are written as a string."""
    return text.replace("{{", '{{ "{{" }}')


def _lex(template):
    """``[("text" | "action", content), ...]`` with the blanks left out that ``{{-`` and ``-}}`` ask to."""
    tokens, trim = [], False
    for number, part in enumerate(re.split(r"\{\{((?:[^\"}]|\"[^\"]*\"|\}(?!\}))*)\}\}", template)):
        if number % 2:
            if part.startswith("- ") and tokens:
                tokens[-1] = ("text", tokens[-1][1].rstrip())
            trim = part.endswith(" -")
            tokens.append(("action", part.removeprefix("- ").removesuffix(" -").strip()))
        else:
            tokens.append(("text", part.lstrip() if trim else part))
    return tokens


def _render(tokens, scope):
    """``(text, rest)``: tokens up to the end of their block, and the rest from what ends it on."""
    written = []
    while tokens:
        kind, content = tokens[0]
        word = content.split(" ", 1)[0] if kind == "action" else None
        if word in ("else", "end"):
            break
        tokens = tokens[1:]
        if kind == "text":
            written.append(content)
        elif word == "range":
            text, tokens = _loop(content, tokens, scope)
            written.append(text)
        elif word == "if":
            text, tokens = _branch(content[2:], tokens, scope)
            written.append(text)
        else:
            written.append(str(_value(content, scope)))
    return "".join(written), tokens


def _loop(content, tokens, scope):
    known = re.fullmatch(r"range (?:(\$\w+), \$\w+ := )?\.Messages", content)
    if not known:
        raise StudyError(f"only .Messages can be ranged over in the Go template, not {content!r}")
    depth, length = 1, 0
    while depth and length < len(tokens):
        action = tokens[length][1].split(" ")[0] if tokens[length][0] == "action" else None
        depth += (action in ("range", "if")) - (action == "end")
        length += 1
    written = []
    for number, message in enumerate(scope["Messages"]):
        inner = scope | {"Role": message["role"], "Content": message["content"], known[1]: number}
        text, rest = _render(tokens[:length], inner)
        _closed(rest)
        written.append(text)
    return "".join(written), tokens[length:]


def _branch(condition, tokens, scope):
    """The text of the first branch of an if whose condition holds."""
    chosen, written = bool(_value(condition, scope)), ""
    text, tokens = _render(tokens, scope)
    if chosen:
        written = text
    if tokens and tokens[0][1].startswith("else if "):
        text, tokens = _branch(tokens[0][1][7:], tokens[1:], scope)
        return (written if chosen else text), tokens
    if tokens and tokens[0][1] == "else":
        text, tokens = _render(tokens[1:], scope)
        written = written if chosen else text
    return written, _closed(tokens)


def _closed(tokens):
    if not tokens or tokens[0][1] != "end":
        raise StudyError("the Go template has a range or an if without its end")
    return tokens[1:]


def _value(expression, scope):
    """The value of an expression: names, strings, numbers, and functions in prefix order with parentheses."""
    words = re.findall(r'"[^"]*"|[()]|[^\s()"]+', expression)
    value, rest = _call(words, scope)
    if rest:
        raise StudyError(f"the Go template has {expression!r}, which is not understood")
    return value


def _call(words, scope):
    functions = {
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: a != b,
        "and": lambda *all_: next((each for each in all_ if not each), all_[-1]),
        "or": lambda *all_: next((each for each in all_ if each), all_[-1]),
        "not": lambda a: not a,
    }
    if words and words[0] in functions:
        function, words, arguments = functions[words[0]], words[1:], []
        while words and words[0] != ")":
            argument, words = _atom(words, scope)
            arguments.append(argument)
        return function(*arguments), words
    return _atom(words, scope)


def _atom(words, scope):
    word, rest = (words[0], words[1:]) if words else ("", [])
    if word == "(":
        value, rest = _call(rest, scope)
        return value, rest[1:]
    if word.startswith('"'):
        return word[1:-1], rest
    if word.isdigit():
        return int(word), rest
    name = word.removeprefix(".")
    if name in scope:
        return scope[name], rest
    raise StudyError(f"the Go template names {word!r}, which is not understood")
