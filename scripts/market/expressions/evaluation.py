"""Computing formulas on a panel: every distinct part of them once, most of it in pieces that fit the cache.

Parts that look at one symbol only are computed for a few symbols at a time, in *waves*: a wave goes through the
symbols and computes for each few all the parts that are due, keeping those that are formulas, that an operator across
symbols reads, or that a later wave reads. Formulas without operators across symbols make one wave; the others follow
one by one, each in as many waves as it has operators across symbols above one another.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market.expressions.analysis import expanded, needs
from scripts.market.expressions.operators import OPERATORS, Operator
from scripts.market.expressions.syntax import CONDITION, GROUP, NUMBER, Node, walk

# How many values of one array are computed at a time.
PIECE = 30_000


@dataclass(frozen=True)
class Step:
    """One part: a node, its operator, the kinds of its arguments, and the key of what it shares with other parts."""

    node: Node
    operator: Operator
    kinds: str
    shared: tuple | None

    @classmethod
    def of(cls, node):
        """The step that computes a node."""
        operator = OPERATORS[node.operator]
        kinds = operator.kinds(len(node.arguments))
        pairs = zip(node.arguments, kinds, strict=True)
        own = tuple(each for each, kind in pairs if kind in operator.shares)
        return cls(node, operator, kinds, (operator.prepare, *own) if operator.prepare else None)


def evaluate(formulas, panel):
    """``{name: float64 array [stamps, symbols]}`` of ``{name: Node}``, on ``panel.timestamp`` x ``panel.symbols``.

    Finite, or NaN where unknown or where the symbol has no bar; a condition is 1 where it holds, else 0. Raises
    StudyError that names what a formula needs and the panel does not have.
    """
    roots = {}
    for name, node in formulas.items():
        missing = sorted(needs(node) - panel.available)
        if missing:
            raise StudyError(
                f"formula {name} needs {', '.join(missing)}, which the panel does not have: leave the formula out, or "
                "give the panel industries, a benchmark, factors or cap"
            )
        if node.type not in (NUMBER, CONDITION):
            raise StudyError(f"formula {name} is a {node.type}, not a number")
        roots[name] = expanded(node)
    with np.errstate(all="ignore"):
        found = _Run(panel, dict.fromkeys(roots.values())).results()
    owners = {node: name for name, node in reversed(roots.items())}
    return {name: found[node] if owners[node] == name else found[node].copy("K") for name, node in roots.items()}


def waves(roots):
    """What is computed together: tuples of nodes, arguments first, each distinct part of the trees in one of them.

    An operator across symbols is a wave of its own.
    """
    local = [root for root in roots if not any(_across(each) for each in walk(root))]
    batches = [local] + [[root] for root in roots if root not in set(local)]
    seen, planned = set(), []
    for batch in batches:
        nodes = [each for root in batch for each in walk(root, seen) if each.arguments]
        stages, new = {}, set(nodes)
        for node in nodes:
            below = [stages[each] + (_across(each) and not _across(node)) for each in node.arguments if each in new]
            stages[node] = max(below, default=0)
        for stage in range(max(stages.values(), default=-1) + 1):
            now = [node for node in nodes if stages[node] == stage]
            together = tuple(node for node in now if not _across(node))
            planned += [together] if together else []
            planned += [(node,) for node in now if _across(node)]
    return planned


def _across(node):
    return bool(node.arguments) and OPERATORS[node.operator].across


class _Run:
    """One evaluation: the arrays [bars, symbols] that are still to be read, and the formulas that are done."""

    def __init__(self, panel, roots):
        self.panel, self.roots, self.kept, self.done = panel, roots, {}, {}
        self.shape = (max(len(each) for each in panel.places), len(panel.symbols))
        self.waves = waves(roots)
        turns = enumerate(self.waves)
        self.last = {each: turn for turn, wave in turns for node in wave for each in node.arguments}

    def results(self):
        """``{root: array [stamps, symbols]}``."""
        for root in self.roots:
            if not root.arguments:
                self.done[root] = self.panel.at_stamps(self.filled(self.whole(root)).copy("K"))
        for turn, wave in enumerate(self.waves):
            if _across(wave[0]):
                self.across(wave[0], turn)
            else:
                self.together(wave, turn)
            for node in [each for each in self.kept if self.last[each] <= turn]:
                del self.kept[node]
        return self.done

    def whole(self, node):
        """A part for all symbols: a number, a variable, or what an earlier wave has kept."""
        if node.is_number:
            return node.value
        if node.operator == "variable":
            return (self.panel.groups if node.type == GROUP else self.panel.values)[node.value]
        return self.kept[node]

    def filled(self, values):
        """An array [bars, symbols], also of a number."""
        return values if np.ndim(values) else np.full(self.shape, values, order="F")

    def across(self, node, turn):
        """Compute an operator across symbols, at the stamps of the panel."""
        step = Step.of(node)
        given = [
            self.panel.at_stamps(self.filled(self.whole(each))) if kind == "x" else self.whole(each)
            for each, kind in zip(node.arguments, step.kinds, strict=True)
        ]
        result = np.asfortranarray(step.operator.compute(*given))
        if node in self.roots:
            self.done[node] = result
        if self.last.get(node, -1) > turn:
            self.kept[node] = self.panel.at_bars(result)

    def together(self, wave, turn):
        """Compute the parts of a wave piece by piece, and keep what is read afterwards."""
        steps = [Step.of(node) for node in wave]
        self.done |= {node: self.panel.empty() for node in wave if node in self.roots}
        self.kept |= {node: np.empty(self.shape, order="F") for node in wave if self.last.get(node, -1) > turn}
        uses = Counter(each for node in wave for each in node.arguments)
        shares = Counter(step.shared for step in steps)
        width = max(1, PIECE // max(self.shape[0], 1))
        for start in range(0, self.shape[1], width):
            piece = _Piece(self, slice(start, start + width), Counter(uses), Counter(shares))
            for step in steps:
                result = piece.computed(step)
                if step.node in self.done:
                    self.panel.put(self.done[step.node], piece.columns, result)
                if step.node in self.kept:
                    self.kept[step.node][: piece.rows, piece.columns] = result


class _Piece:
    """The parts of a wave for a few symbols; each is dropped after its last use."""

    def __init__(self, run, columns, uses, shares):
        self.run, self.columns, self.uses, self.shares = run, columns, uses, shares
        self.rows = max(len(each) for each in run.panel.places[columns])
        self.values, self.prepared = {}, {}

    def computed(self, step):
        """The values of a step, whose arguments are computed already."""
        node, operator = step.node, step.operator
        plain = operator.reach is None
        given = [
            self.series(each, plain) if kind in "xc" else int(each.value) if kind in "nd" else each.value
            for each, kind in zip(node.arguments, step.kinds, strict=True)
        ]
        if step.shared:
            count = len(step.shared) - 1
            given[:count] = [self.preparation(step, given[:count])]
        result = operator.compute(*given)
        if self.uses[node]:
            self.values[node] = result
        for each in node.arguments:
            self.uses[each] -= 1
            if not self.uses[each]:
                self.values.pop(each, None)
        return result

    def series(self, node, plain):
        """The values of a part; a number stays one where the operator is ``plain``: it takes each value by itself."""
        if node in self.values:
            return self.values[node]
        values = self.run.whole(node)
        return values if plain and not np.ndim(values) else self.run.filled(values)[: self.rows, self.columns]

    def preparation(self, step, given):
        """What the operator prepares of its first arguments, made once for all steps that share it."""
        if step.shared not in self.prepared:
            self.prepared[step.shared] = step.operator.prepare(*given)
        self.shares[step.shared] -= 1
        return self.prepared[step.shared] if self.shares[step.shared] else self.prepared.pop(step.shared)
