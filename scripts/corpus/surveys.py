"""A survey of the formula catalogue, family by family."""

from collections import Counter

from scripts.market import expressions, formulas

# what bars always have, and what follows from them
BARS = frozenset({"open", "high", "low", "close", "volume", "vwap", "amount", "returns"})


def survey(family):
    """``{"family", "title", "entries", "computed", "functions", "needs", "difficulty", "folklore"}`` of a family.

    ``computed``: entries with an expression; ``functions``: entries that a function computes; ``needs``: for every
    input that bars do not have, the names of the entries that need it.
    """
    entries = formulas.load(family)
    needs = {}
    for each in entries:
        if each.expression:
            for need in sorted(expressions.needs(expressions.parse(each.expression)) - BARS):
                needs.setdefault(need, []).append(each.name)
    return {
        "family": family,
        "title": entries[0].title,
        "entries": len(entries),
        "computed": sum(bool(each.expression) for each in entries),
        "functions": sum(bool(each.function) for each in entries),
        "needs": dict(sorted(needs.items())),
        "difficulty": dict(sorted(Counter(each.difficulty for each in entries).items())),
        "folklore": sum(each.source == "folklore" for each in entries),
    }
