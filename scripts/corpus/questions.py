"""Questions whose answers are computed: what a domain asks, and how an answer is reached step by step.

A domain is a module of ``scripts.corpus.domains`` with ``QUESTIONS``, a tuple of :class:`Question`. Phrasings are no
code: ``resources/templates/domains/<domain>.yaml`` has, for every question by its name,

``prompts``
    At least six ways to ask, with ``{name}`` for the inputs (as :meth:`Question.show` writes them).
``reserved``
    At least four more, which only the benchmark uses, worded so that no run of 13 words is shared with ``prompts``.
``answers``
    At least three ways to write the answer, with ``{steps}`` (the solution's steps, each on a line of its own) and
    ``{answer}``.
``steps``
    For every step's name at least two ways to say it, with the step's values.
``expected``, ``prohibited``
    Words that a right answer has to contain, and that it must not contain (the benchmark's rubric).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

DIFFICULTIES = ("easy", "medium", "hard", "extreme")


@dataclass(frozen=True)
class Step:
    """One step of reasoning: its name (a key of the templates' ``steps``) and the values that its text shows."""

    name: str
    values: dict


@dataclass(frozen=True)
class Solution:
    """A computed answer.

    ``value``: a number, or a word for questions of choice; ``unit``: "USD", "%", "years", "times", "" or "choice";
    ``steps``: the reasoning, in order; ``text``: the answer as a person writes it ("$12,345", "7.25 %", "yes").
    """

    value: float | str
    unit: str
    steps: tuple[Step, ...]
    text: str


@dataclass(frozen=True)
class Question:
    """What can be asked with drawn inputs.

    ``draw(rng)`` gives the inputs, plain JSON values, from a ``random.Random``; ``solve(inputs)`` the
    :class:`Solution`, a pure function of the inputs and of the parameters in ``resources/parameters``; ``show(inputs)``
    the inputs as texts for the phrasings ("$120,000", "married filing jointly"). ``steps`` is the number of reasoning
    steps that a solution has and decides the difficulty. ``parameters``: names of the files in resources/parameters
    that it reads. ``names``: inputs that are names (people, firms, tickers), which skeletons mask.
    """

    name: str
    steps: int
    draw: Callable
    solve: Callable
    show: Callable
    parameters: tuple[str, ...] = ()
    names: tuple[str, ...] = field(default=())

    @property
    def difficulty(self):
        """easy: one step, medium: two, hard: three or four, extreme: five or more."""
        return DIFFICULTIES[0 if self.steps == 1 else 1 if self.steps == 2 else 2 if self.steps <= 4 else 3]
