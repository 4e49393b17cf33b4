"""The workflow's rule graph by stage: read from Snakemake's mermaid output, without what follows from the rest."""

import re
from pathlib import Path

from scripts.common.errors import StudyError

TARGETS = ("all", "plans", "checks")  # rules that make nothing themselves
# as data flows through them
STAGES = ("market", "forecast", "ensemble", "corpus", "llm", "decision", "release", "report")
BEGIN, END = "<!-- rulegraph -->", "<!-- /rulegraph -->"


def parse(text):
    """``(rules, edges)`` of the output of `snakemake --rulegraph mermaid-js`; target rules are left out, and
    the way of a rule to itself (a phase of SFT continues the one before).

    ``rules``: sorted names; ``edges``: set of (rule, rule that reads its output). Raises StudyError for other text.
    """
    names = dict(re.findall(r"^\s*(\w+)\[\"?([^\"\]]+)\"?\]", text, re.M))
    edges = {(names[one], names[two]) for one, two in re.findall(r"^\s*(\w+)\s*-->\s*(\w+)", text, re.M)}
    if not names:
        raise StudyError("no rule graph came in: pipe the output of `snakemake --rulegraph mermaid-js` into this")
    rules = sorted(set(names.values()) - set(TARGETS))
    return rules, {(one, two) for one, two in edges if one != two and not {one, two} & set(TARGETS)}


def stages(rules, scripts):
    """``{stage: [rules]}``: a rule's stage is the folder of ``scripts`` that holds its script; '' where none does."""
    place = {path.stem: path.parent.name for path in sorted(Path(scripts).glob("*/*.py"))}
    found = {}
    for rule in rules:
        found.setdefault(place.get(rule, ""), []).append(rule)
    return found


def reduced(edges):
    """The edges that no longer way implies: the transitive reduction of an acyclic graph."""
    after = {}
    for one, two in edges:
        after.setdefault(one, set()).add(two)
    reach = {}

    def below(rule):
        if rule not in reach:
            reach[rule] = set().union(*({each} | below(each) for each in after.get(rule, ())))
        return reach[rule]

    return {(one, two) for one, two in edges if not any(two in below(each) for each in after[one] - {two})}


def ranks(rules, edges):
    """``{rule: rank}``: the length of the longest way that leads to a rule."""
    before = {}
    for one, two in edges:
        before.setdefault(two, set()).add(one)
    found = {}

    def rank(rule):
        if rule not in found:
            found[rule] = 1 + max((rank(each) for each in before.get(rule, ())), default=-1)
        return found[rule]

    return {rule: rank(rule) for rule in rules}


def in_order(by_stage, rank):
    """The stages as data flows through them, others after them, and their rules by rank."""
    order = sorted(by_stage, key=lambda stage: (STAGES.index(stage) if stage in STAGES else len(STAGES), stage))
    return {stage: sorted(by_stage[stage], key=lambda rule: (rank[rule], rule)) for stage in order}


def mermaid(by_stage, edges):
    """A mermaid flowchart with a box per stage; ``by_stage`` and ``edges`` as from the functions above."""
    lines = ["flowchart TB"]
    for stage, rules in by_stage.items():
        lines += [f'  subgraph stage_{stage}["{stage}"]', *(f"    {rule}" for rule in rules), "  end"]
    lines += [f"  {one} --> {two}" for one, two in sorted(edges)]
    return "\n".join(lines)


def between_markers(page, graph):
    """``page`` with the graph as a mermaid block between its markers. Raises StudyError where they are missing."""
    if BEGIN not in page or END not in page.split(BEGIN, 1)[1]:
        raise StudyError(f"the page has no lines '{BEGIN}' and '{END}' to put the rule graph between")
    head, rest = page.split(BEGIN, 1)
    return f"{head}{BEGIN}\n```mermaid\n{graph}\n```\n{END}{rest.split(END, 1)[1]}"
