"""The symbols of a LaTeX formula: which ones it has, and which a glossary leaves unexplained.

Symbols are letters, runs of letters (``ATR``) and Greek letters, with their subscript. No symbols in this sense, and
so in no need of an explanation, are: subscripts; the indices i, j, k, s, t; words in ``\\mathrm``, ``\\text`` and
``\\operatorname`` (names of functions and of what is defined); operators (``\\sum``, ``\\Delta``, ``\\nabla``,
``\\partial``, ``\\mathbb{E}``, E[...], P(...), O(...)); the d of a differential, the e of a power, a transposing T, and
pi where it is the number. A key of a glossary (``sigma_t``, ``r_{i,t}``, ``\\hat\\beta``, ``ATR``) explains its symbol
with whatever subscript: an explanation of ``r_t`` holds for ``r_{t-1}``.
"""

import re
from dataclasses import dataclass

GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "ell"),
)
ACCENTS = ("hat", "bar", "tilde", "vec", "dot", "ddot", "check", "overline", "underline", "widehat", "widetilde")
FONTS = ("mathbf", "boldsymbol", "bm", "mathcal", "mathit", "mathfrak", *ACCENTS)
WORDS = ("mathrm", "text", "textrm", "textit", "mbox", "operatorname", "operatorname*", "mathsf", "mathtt")
SKIPPED = ("mathbb", "begin", "end", "label", "tag")
# what stands before a symbol's brackets: E[x], P\left(...), O(n)
OPENS = re.compile(r"\s*(\\left|\\big\w*|\\Big\w*|\\bigl)?\s*(\(|\[|\\\{|\\mid|\|)")
TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[A-Za-z]+|\s+|.", re.S)
INDICES = frozenset("ijkst")


@dataclass(frozen=True)
class Symbol:
    """``base`` (``sigma``, ``ATR``), ``full`` (with its subscript: ``sigma_t``), and whether it is a ``word``."""

    base: str
    full: str
    word: bool = False


def symbols(latex):
    """The :class:`Symbol` of a formula, in order, each once."""
    return tuple(dict.fromkeys(_scan(TOKEN.findall(latex))))


def unexplained(latex, glossary):
    """The symbols of a formula, as text, that no key of ``glossary`` explains."""
    known = {part.base for key in glossary for part in _key(key)}
    missing = [each for each in symbols(latex) if not each.word and not _known(each.base, known)]
    return list(dict.fromkeys(each.full for each in missing))


def explaining(latex, glossary):
    """The part of ``glossary`` that explains symbols of a formula.

    Where a symbol stands in it with the very subscript of the formula, its keys with other subscripts are left out.
    """
    found = symbols(latex)
    fulls, exact = {each.full for each in found}, set()
    keys = {key: _key(key) for key in glossary}
    for parts in keys.values():
        exact |= {each.base for each in parts if each.full in fulls}
    letters = {letter for each in found if not each.word for letter in (each.base, *_letters(each.base))}
    bases = (letters | {each.base for each in found}) - exact
    return {key: glossary[key] for key, parts in keys.items() if any(p.full in fulls or p.base in bases for p in parts)}


def _known(base, known):
    return base in known or all(letter in known or letter in INDICES for letter in _letters(base) or [None])


def _letters(base):
    """The letters of a run that may be a product of them; none of a Greek letter or of a single one."""
    return tuple(base) if len(base) > 1 and base.lower() not in GREEK else ()


def _key(key):
    """The symbols that a key of a glossary names."""
    text = re.sub(r"^(hat|bar|tilde)_?(?=\w)|_(hat|bar|tilde)$", "", key)
    greek = "|".join((*GREEK, *(each.capitalize() for each in GREEK)))
    text = re.sub(rf"(?<![A-Za-z\\])({greek})(?![A-Za-z])", r"\\\1 ", text)
    text = re.sub(r"_([A-Za-z0-9]{2,})", r"_{\1}", text)
    # a key is what it is: indices and pi count here, and an operator's letter does too
    return tuple(dict.fromkeys(_scan(TOKEN.findall(text), named=True)))


def _scan(tokens, named=False):
    """The symbols of a list of tokens; ``named``: exempt letters count too."""
    found, place, last = [], 0, None
    while place < len(tokens):
        token = tokens[place]
        if token in ("_", "^"):
            content, place = _group(tokens, place + 1)
            if token == "_" and last is not None:
                found[last] = Symbol(found[last].base, f"{found[last].base}_{_plain(content)}", found[last].word)
            elif token == "^" and "".join(content).strip() not in ("T", "\\top", "*", "\\prime"):
                found += _scan(content)
            continue
        if token.startswith("\\") and token[1:] in (*WORDS, *SKIPPED):
            content, place = _group(tokens, place + 1)
            last = None
            if token[1:] in WORDS:
                found.append(Symbol(*[_plain(content)] * 2, word=True))
                last = len(found) - 1
            continue
        if token == "{" or (token.startswith("\\") and token[1:] in FONTS):
            content, place = _group(tokens, place if token == "{" else place + 1)
            inner = _scan(content, named)
            found += inner
            last = len(found) - 1 if len(inner) == 1 else None
            continue
        place += 1
        if token.isspace():
            continue
        last = None
        base = _base(token, tokens[place:], named)
        if base:
            found.append(Symbol(base, base))
            last = len(found) - 1
    return found


def _base(token, rest, named):
    """The base of the symbol that a token is, or None."""
    after = "".join(rest[:4])
    if token.startswith("\\"):
        name = re.sub("^var(?=[a-z])", "", token[1:])
        if name.lower() not in GREEK or (name == "Delta" and not named):
            return None
        number = name == "pi" and not named and not re.match(r"\s*(_|\(|\\mid|\\left|\|)", after)
        return None if number else name
    if not token.isalpha():
        return None
    if named or len(token) > 1:
        return token
    exempt = (
        token in INDICES
        or (token in "EPO" and OPENS.match(after))
        or (token == "e" and after.lstrip().startswith("^"))
        or (token == "d" and re.match(r"\s*(\\?[A-Za-z])", after))
    )
    return None if exempt else token


def _group(tokens, place):
    """``(tokens of the group or the single token at place, place behind it)``."""
    while place < len(tokens) and tokens[place].isspace():
        place += 1
    if place >= len(tokens):
        return [], place
    if tokens[place] != "{":
        if len(tokens[place]) > 1 and tokens[place].isalpha():  # x_ab is x with subscript a, times b
            first, tokens[place] = tokens[place][0], tokens[place][1:]
            return [first], place
        if tokens[place].startswith("\\") and tokens[place][1:] in (*WORDS, *FONTS, "mathbb"):
            content, end = _group(tokens, place + 1)
            return [tokens[place], "{", *content, "}"], end
        return [tokens[place]], place + 1
    depth = 0
    for end in range(place, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[end], 0)
        if depth == 0:
            return tokens[place + 1 : end], end + 1
    return tokens[place + 1 :], len(tokens)


def _plain(content):
    """A subscript or a word without braces, spaces, fonts and backslashes."""
    return re.sub(rf"\\({'|'.join((*WORDS, *FONTS)).replace('*', '')})\b|[{{}}\s\\]", "", "".join(content))
