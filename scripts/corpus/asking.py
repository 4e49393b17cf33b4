"""Questions in turn, each with inputs and a wording of its own, none twice."""

import itertools
import json
from dataclasses import dataclass

from scripts.corpus import phrasing, samples

# after so many draws in a row that only repeat what was asked, the questions have no more to give
PATIENCE = 200


@dataclass(frozen=True)
class Asked:
    """One question that was asked: the question, its number, its inputs and solution, and their wording."""

    question: object
    number: int
    inputs: dict
    solution: object
    prompt: str
    answer: str
    template: str

    def meta(self, part, kind, domain):
        """The metadata of the sample that it becomes."""
        common = samples.meta(
            part,
            kind,
            f"{domain}/{self.question.name}/{self.number}",
            domain=domain,
            difficulty=self.question.difficulty,
            template=self.template,
            entity=self.question.name,
            group=self.template,
            names=[self.inputs[name] for name in self.question.names],
        )
        return common | {"question": self.question.name, "inputs": self.inputs}


def ask(questions, phrases, seed, part, taken, reserved=False):
    """Yield :class:`Asked` without end, the questions taking turns; stop when they only repeat themselves.

    ``taken``: a set of identities (:func:`identify`) and prompts that must not come again; what is asked is added.
    ``reserved``: in the wordings that only benchmarks use.
    """
    misses = 0
    for number in itertools.count():
        question = questions[number % len(questions)]
        rng = samples.generator(seed, part, f"{question.name}|{number}")
        inputs = question.draw(rng)
        identity = identify(question.name, inputs)
        solution = question.solve(inputs)
        prompt, answer, template = phrasing.write(question, inputs, solution, phrases, rng, reserved=reserved)
        if identity in taken or prompt in taken:
            misses += 1
            if misses > PATIENCE:
                return
            continue
        misses = 0
        taken |= {identity, prompt}
        yield Asked(question, number, inputs, solution, prompt, answer, template)


def identify(question, inputs):
    """A text that is the same for the same question with the same inputs."""
    return f"{question}|{json.dumps(inputs, sort_keys=True)}"
