"""Questions on the formula catalogue, aspect by aspect, and computations that are really carried out.

Every aspect of every formula is asked once at most. What is left of the wanted number are computations, of which there
are as many as one wants; they are at least half of a part that has them.
"""

import hashlib
import math
import re
from collections import Counter
from functools import cache

from scripts.common.errors import StudyError
from scripts.corpus import samples, templates
from scripts.market import formulas

FORMAT = "messages"
TEMPLATES = ("formulas",)
COMPUTATION = "computation"
# how many questions in Chinese, of those on families from China that have a Chinese source
CHINESE_SHARE = 0.34


def build(part):
    """The samples, in an order that a hash of what is asked decides."""
    catalogue = chosen(part.settings["families"])
    aspects, wanted = part.settings["aspects"], part.settings["samples"]
    twice = shared(catalogue) if "recognition" in aspects else ()
    asked = [(each, aspect) for each in catalogue for aspect in aspects if applies(aspect, each, twice)]
    asked = take_turns(asked, part, lambda item: (item[0].family, item[0].id, item[1]))
    told = asked[: math.ceil(wanted / 2) if COMPUTATION in aspects else wanted]
    for formula, aspect in told:
        yield _knowledge(part, formula, aspect)
    rest = wanted - len(told)
    if COMPUTATION not in aspects:
        if rest:
            raise StudyError(
                f"part {part.name}: {len(told)} questions can be asked on these formulas and aspects, and {wanted} are "
                "asked for; add aspects (computation has no limit) or families, or ask for fewer"
            )
        return
    yield from _computations(part, catalogue, rest)


def chosen(families):
    """The formulas of some families (a list of names, or ``"all"``), in the order of the catalogue."""
    names = formulas.families() if families == "all" else families
    return [formula for family in names for formula in formulas.load(family)]


def take_turns(items, part, describe):
    """``items`` in an order that a hash decides, the families taking turns as long as they last.

    ``describe``: function from an item to its family and what tells it from the others.
    """
    families = {}
    for item in sorted(items, key=lambda item: _order(part, *describe(item))):
        families.setdefault(describe(item)[0], []).append(item)
    placed = [(turn, family, item) for family, own in families.items() for turn, item in enumerate(own)]
    return [item for _, _, item in sorted(placed, key=lambda each: each[:2])]


def called(formula):
    """A formula's name, with its family where formulas of other families have the same name."""
    return f"{formula.name} of {formula.title.split(',')[0]}" if formula.name in _ambiguous() else formula.name


@cache
def _ambiguous():
    names = Counter(each.name for family in formulas.families() for each in formulas.load(family))
    return {name for name, number in names.items() if number > 1}


def shared(catalogue):
    """``{(family, LaTeX)}`` that several formulas have: by them no formula can be recognised."""
    counts = Counter((each.family, each.latex) for each in catalogue)
    return {each for each, number in counts.items() if number > 1}


def applies(aspect, formula, twice=()):
    """Whether an aspect can be asked of a formula; ``twice``: see :func:`shared`."""
    if aspect == COMPUTATION:
        return False
    if aspect == "expression":
        return bool(formula.expression)
    if aspect == "recognition":
        return (formula.family, formula.latex) not in twice
    return True


def _knowledge(part, formula, aspect):
    phrases = templates.load("formulas")[aspect]
    rng = samples.generator(part.seed, part.name, f"{formula.id}|{aspect}")
    values = texts(formula)
    chinese = "zh" in phrases and formula.source_zh and formula.title_zh and rng.random() < CHINESE_SHARE
    if chinese:
        number = rng.randrange(len(phrases["zh"]))
        question, answer = phrases["zh"][number]
    else:
        number = rng.randrange(len(phrases["questions"]))
        folklore = aspect == "source" and formula.source == "folklore"
        question, answer = phrases["questions"][number], rng.choice(phrases["folklore" if folklore else "answers"])
    template = f"{aspect}/{'zh' if chinese else 'en'}{number}"
    prompt, reply = fill(question, values), fill(answer, values)
    meta = samples.meta(
        part.name,
        "formulas",
        f"{formula.id}/{aspect}",
        domain=formula.family,
        difficulty=formula.difficulty,
        template=template,
        entity=formula.id,
        group=template,
        language=_language(prompt, reply, chinese),
        names=[called(formula), formula.name],
    )
    return samples.conversation(prompt, reply, meta)


def texts(formula):
    """What phrasings may name of a formula, as texts."""
    variables = "\n".join(f"- ${symbol}$: {meaning}" for symbol, meaning in formula.variables.items())
    values = {
        "name": called(formula),
        "name_zh": f"{formula.name}（{formula.title_zh}）" if called(formula) != formula.name else formula.name,
        "family": formula.title,
        "family_zh": formula.title_zh or "",
        "formula": f"$${formula.latex}$$",
        "expression": formula.expression or "",
        "variables": variables or "- no inputs",
        "meaning": formula.meaning.strip(),
        "fails": formula.fails.strip(),
        "source": "folklore of the field, no single source" if formula.source == "folklore" else formula.source,
        "source_zh": formula.source_zh or "",
        "difficulty": formula.difficulty,
        "tags": ", ".join(formula.tags),
    }
    if formula.tree is not None:
        from scripts.market import expressions

        values["lookback"] = str(expressions.lookback(formula.tree))
        values["needs"] = ", ".join(sorted(expressions.needs(formula.tree)))
    return values


def fill(phrase, values):
    """A phrase with its names filled in; the braces of LaTeX inside the values stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), phrase)


def _computations(part, catalogue, wanted):
    """``wanted`` computations; the formulas take turns, in an order of their own."""
    from scripts.corpus import computations

    pool = pool_of(catalogue)
    pool = take_turns(pool, part, lambda item: (item[0].family, item[0].id))
    values = computations.evaluate([node for _, nodes in pool for node in nodes]) if wanted else {}
    made, seen, turn, misses = 0, set(), 0, 0
    while made < wanted:
        if not pool or misses > 50 * len(pool):
            raise StudyError(
                f"part {part.name}: {made} computations can be made of these formulas, {wanted} are missing"
            )
        formula, nodes = pool[turn % len(pool)]
        rng = samples.generator(part.seed, part.name, f"{formula.id}|{COMPUTATION}|{turn}")
        turn += 1
        node = rng.choice(nodes)
        drawn = computations.draw(node, values, rng, whole=node is formula.tree)
        sample = drawn and _computation(part, formula, drawn, rng, turn)
        if not sample or samples.prompt_of(sample) in seen:
            misses += 1
            continue
        seen.add(samples.prompt_of(sample))
        made += 1
        yield sample


def pool_of(catalogue):
    """``[(formula, nodes)]`` of the formulas that can be computed from bars alone, with their parts."""
    from scripts.corpus import computations
    from scripts.market import expressions

    beyond = {
        "sector",
        "industry",
        "subindustry",
        "benchmark_open",
        "benchmark_close",
        "mkt",
        "smb",
        "hml",
        "cap",
        "self",
    }
    usable = [each for each in catalogue if each.tree is not None and not expressions.needs(each.tree) & beyond]
    found = [(each, computations.parts(each.tree)) for each in usable]
    return [(formula, nodes) for formula, nodes in found if nodes]


def ask(formula, drawn, rng):
    """``(question, number of the phrasing)`` of a computation."""
    phrases = templates.load("formulas")[COMPUTATION]
    kind = "whole" if drawn.whole else "part"
    number = rng.randrange(len(phrases[kind]))
    given = [rng.choice(phrases["values"]).format(term=f"`{term}`", value=value) for term, value in drawn.terms.items()]
    values = {"name": called(formula), "expression": drawn.expression, "values": ", ".join(given)}
    return fill(phrases[kind][number], values), f"{kind}{number}"


def difficulty_of(drawn):
    """By the number of operations: one, two, three or four, more."""
    steps = len(drawn.steps)
    return "easy" if steps == 1 else "medium" if steps == 2 else "hard" if steps <= 4 else "extreme"


def _computation(part, formula, drawn, rng, turn):
    from scripts.corpus import computations

    question, number = ask(formula, drawn, rng)
    values = {"steps": "\n".join(drawn.steps), "result": computations.write(drawn.value)}
    answer = fill(rng.choice(templates.load("formulas")[COMPUTATION]["answers"]), values)
    meta = samples.meta(
        part.name,
        "formulas",
        f"{formula.id}/{COMPUTATION}/{turn}",
        domain=formula.family,
        difficulty=difficulty_of(drawn),
        template=f"{COMPUTATION}/{number}",
        entity=formula.id,
        # a formula whose computation is tested was not computed in training
        group=f"{COMPUTATION}/{formula.id}",
        names=[called(formula), formula.name, *(f"`{term}`" for term in drawn.terms), f"`{drawn.expression}`"],
    )
    return samples.conversation(question, answer, meta)


def _language(prompt, answer, chinese):
    from scripts.corpus.defects import language

    return language(f"{prompt}\n{answer}") if chinese else "en"


def _order(part, *what):
    return hashlib.sha256("|".join([str(part.seed), part.name, *what]).encode()).hexdigest()
