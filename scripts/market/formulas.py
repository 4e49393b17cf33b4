"""The formula catalogue: ``resources/formulas/<family>.yaml``, read, checked and expanded.

A file has ``family`` (its name), ``title``, ``entries``, and what holds for all entries: ``source``, ``variables``
(symbol: meaning [unit]); a Chinese family also ``title_zh`` and ``source_zh``. An entry has

``id``, ``name``
    ``family.slug`` in [a-z0-9_.], unique; the name as people write it.
``latex``, ``expression``, ``function``
    The formula in LaTeX; where it computes from bars its text in the language of ``scripts.market.expressions``, from
    which the LaTeX is rendered if there is none; where a function computes it, that function's full name.
``variables``
    Symbols of the LaTeX that the family's glossary lacks (``scripts.market.notation`` says what counts as one). The
    variables of expressions are explained here, in ``BARS``.
``meaning``, ``fails``, ``source``, ``source_zh``, ``difficulty``, ``tags``
    What it says, when it misleads, the paper or ``folklore``, one of ``DIFFICULTIES``, words to search by.
``for``
    ``{n: [5, 10]}`` or ``{n: 59..1}``: the entry is repeated for every combination of the values, ``{n}`` being
    replaced in all its texts. Other braces, those of LaTeX, stay as they are.

Feature sets read the catalogue at planning time: an expression is parsed, and LaTeX rendered, only when asked for.
"""

import itertools
import re
from dataclasses import dataclass, field
from functools import cache, cached_property

from scripts.common import resources
from scripts.common.errors import StudyError
from scripts.market import notation

FOLDER = resources.FOLDER / "formulas"
DIFFICULTIES = ("easy", "medium", "hard", "extreme")
FILE_KEYS = frozenset({"family", "title", "title_zh", "source", "source_zh", "variables", "entries"})
TEXTS = ("id", "name", "latex", "expression", "function", "meaning", "fails", "source", "source_zh", "difficulty")
ENTRY_KEYS = frozenset({*TEXTS, "variables", "tags", "for"})
REQUIRED = ("id", "name", "meaning", "fails", "source", "difficulty")

# The variables of expressions.
BARS = {
    "open": "price at which the bar opened [quote currency]",
    "high": "highest price of the bar [quote currency]",
    "low": "lowest price of the bar [quote currency]",
    "close": "price at which the bar closed [quote currency]",
    "volume": "quantity traded in the bar [units of the base asset]",
    "amount": "turnover of the bar [quote currency]",
    "vwap": "volume-weighted average price of the bar: amount / volume, or the typical price "
    "(high + low + close) / 3 where the bars have no amount [quote currency]",
    "returns": "simple return of the bar, close / delay(close, 1) - 1 [fraction]",
    "cap": "market capitalisation of the symbol [quote currency]",
    "sector": "sector of the symbol, the widest group of firms [label]",
    "industry": "industry of the symbol, a part of its sector [label]",
    "subindustry": "subindustry of the symbol, a part of its industry [label]",
    "benchmark_open": "price at which the benchmark index opened [index points]",
    "benchmark_close": "price at which the benchmark index closed [index points]",
    "mkt": "return of the market over the riskless rate, a factor of Fama and French [fraction]",
    "smb": "return of small firms less that of big ones, a factor of Fama and French [fraction]",
    "hml": "return of firms of high book value to price less that of low ones, a factor of Fama and French [fraction]",
    "self": "the formula's own value at the bar before [1]",
}


@dataclass(frozen=True)
class Formula:
    """One entry of the catalogue; ``latex``, ``variables`` and ``tree`` are worked out when they are asked for."""

    id: str
    family: str
    name: str
    title: str
    title_zh: str | None
    expression: str | None
    function: str | None
    meaning: str
    fails: str
    source: str
    source_zh: str | None
    difficulty: str
    tags: tuple[str, ...]
    written: str | None = field(repr=False)
    own: dict = field(repr=False)
    glossary: dict = field(repr=False)

    @cached_property
    def tree(self):
        """The expression's tree, or None. Raises StudyError where the expression is none."""
        return parse(self.expression) if self.expression else None

    @cached_property
    def latex(self):
        """The formula in LaTeX: as written, else rendered from the tree."""
        if self.written:
            return self.written
        from scripts.market import expressions

        return expressions.to_latex(self.tree)

    @cached_property
    def variables(self):
        """``{symbol: meaning [unit]}`` of everything that the formula names."""
        named = {} if self.tree is None else {name: explain(name) for name in _variables(self.tree, self.expression)}
        shared = notation.explaining(self.written, self.glossary) if self.written else {}
        return shared | self.own | named


def families():
    """The names of all families, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


@cache
def load(family):
    """The :class:`Formula` of a family, in the order of its file, a tuple.

    Raises StudyError where there is no such family, or its file or an entry is not as the catalogue wants it.
    """
    content = _read(family)
    found = tuple(
        _formula(family, content, entry, number)
        for number, given in enumerate(content["entries"], start=1)
        for entry in _expanded(family, given, number)
    )
    for key in ("id", "name"):
        values = [getattr(each, key) for each in found]
        twice = sorted({each for each in values if values.count(each) > 1}) if len(set(values)) < len(values) else []
        _require(not twice, family, twice and twice[0], f"the {key} stands there more than once: give each its own")
    return found


def definition(family):
    """``{name: expression}`` of the entries of a family that compute, as written; nothing is parsed."""
    return {each.name: each.expression for each in load(family) if each.expression}


@cache
def digest(family):
    """A short digest of a family's content, prose included, comments and layout left out."""
    return resources.digest(_read(family))


@cache
def parse(expression):
    """The tree of an expression in the canonical language. Raises StudyError."""
    from scripts.market import expressions

    return expressions.parse(expression)


def explain(variable):
    """The meaning and unit of a variable of expressions. Raises KeyError for one that there is not."""
    days = re.fullmatch(r"adv(\d+)", variable)
    if days:
        return f"mean volume of the last {days[1]} bars, the bar included [units of the base asset]"
    return BARS[variable]


def _variables(tree, expression):
    """The variables of an expression, those that others are made of left out (volume of an adv20 that is named)."""
    from scripts.market import expressions

    words = set(re.findall(r"[a-z_]\w*", expression))
    averages = sorted((each for each in words if re.fullmatch(r"adv\d+", each)), key=lambda each: int(each[3:]))
    needed = words & (set(BARS) | set(expressions.needs(tree)))
    return [name for name in BARS if name in needed] + averages


@cache
def _read(family):
    """The content of a family's file, its outer shape checked."""
    path = FOLDER / f"{family}.yaml"
    if not path.is_file():
        raise StudyError(f"there is no family of formulas '{family}'; there are: {', '.join(families()) or 'none'}")
    content = resources.read(path, _place(family))
    _require(isinstance(content, dict), family, None, "is no mapping: it needs family, title and entries")
    _require(
        not set(content) - FILE_KEYS, family, None, f"unknown keys {sorted(set(content) - FILE_KEYS)}: remove them"
    )
    _require(content.get("family") == family, family, None, f"its family must be '{family}', the name of the file")
    _require(_is_text(content.get("title")), family, None, "needs a title")
    _require(isinstance(content.get("entries"), list), family, None, "needs entries, a list")
    _check_glossary(family, None, content.get("variables"))
    chinese = "title_zh" in content
    _require(not chinese or _is_text(content["title_zh"]), family, None, "its title_zh is empty: write it or remove it")
    return content


def _expanded(family, entry, number):
    """The entries that an entry stands for: itself, or one for every combination of the values of ``for``."""
    _require(isinstance(entry, dict), family, f"entry {number}", "is no mapping")
    label = entry.get("id") or f"entry {number}"
    unknown = sorted(map(str, set(entry) - ENTRY_KEYS))
    _require(not unknown, family, label, f"unknown keys {', '.join(unknown)}: remove them")
    if "for" not in entry:
        return [entry]
    loops = entry["for"]
    _require(isinstance(loops, dict) and loops, family, label, "`for` must name values, such as {n: [5, 10]}")
    values = [_values(family, label, each) for each in loops.values()]
    bare = {key: value for key, value in entry.items() if key != "for"}
    return [_filled(bare, dict(zip(loops, chosen, strict=True))) for chosen in itertools.product(*values)]


def _values(family, label, given):
    """The values of a loop: a list, or ``59..1`` for the whole numbers between, both ends included."""
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", given) if isinstance(given, str) else None
    if ends:
        first, last = int(ends[1]), int(ends[2])
        return list(range(first, last + 1) if first <= last else range(first, last - 1, -1))
    _require(isinstance(given, list) and given, family, label, "a loop of `for` needs a list, or a range such as 59..1")
    return given


def _filled(value, chosen):
    """``value`` with ``{name}`` replaced in all its texts, in keys too."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: str(chosen.get(found[1], found[0])), value)
    if isinstance(value, list):
        return [_filled(each, chosen) for each in value]
    if isinstance(value, dict):
        return {_filled(key, chosen): _filled(each, chosen) for key, each in value.items()}
    return value


def _formula(family, content, entry, number):
    """The :class:`Formula` of one entry; raises StudyError for what it lacks."""
    label = entry.get("id") or f"entry {number}"
    entry = {key: content[key] for key in ("source", "source_zh") if key in content} | entry
    for key in TEXTS:
        _require(key not in entry or _is_text(entry[key]), family, label, f"its {key} is no text, or empty: write one")
    lacking = [key for key in REQUIRED if key not in entry]
    _require(not lacking, family, label, f"lacks {', '.join(lacking)}")
    _require("latex" in entry or "expression" in entry, family, label, "needs a latex or an expression")
    slug = rf"{re.escape(family)}\.[a-z0-9_.]+"
    _require(
        re.fullmatch(slug, entry["id"]), family, label, f"its id must be '{family}.' and letters a-z, digits, _ or ."
    )
    known = entry["difficulty"] in DIFFICULTIES
    _require(known, family, label, f"its difficulty must be one of {', '.join(DIFFICULTIES)}")
    tags = entry.get("tags")
    _require(tags and all(map(_is_text, tags)), family, label, "needs tags, a list of words")
    _require("title_zh" not in content or "source_zh" in entry, family, label, "a Chinese family needs a source_zh")
    _check_glossary(family, label, entry.get("variables"))
    return Formula(
        **{key: entry.get(key) for key in TEXTS if key != "latex"},
        family=family,
        title=content["title"],
        title_zh=content.get("title_zh"),
        tags=tuple(tags),
        written=entry.get("latex"),
        own=dict(entry.get("variables") or {}),
        glossary=dict(content.get("variables") or {}),
    )


def _check_glossary(family, label, given):
    fits = given is None or (isinstance(given, dict) and all(_is_text(k) and _is_text(v) for k, v in given.items()))
    _require(fits, family, label, "its variables must be texts: symbol: meaning [unit] (quote keys such as 'y' or 1)")


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


def _require(condition, family, label, message):
    if not condition:
        raise StudyError(f"{_place(family)}{f', {label}' if label else ''}: {message}")


def _place(family):
    return f"resources/formulas/{family}.yaml"
