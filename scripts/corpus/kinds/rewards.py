"""Prompts for GRPO: computations of formulas, with the answer that ``scripts.corpus.rewards`` verifies."""

from scripts.common.errors import StudyError
from scripts.corpus import samples, templates
from scripts.corpus.kinds import formulas

FORMAT = "prompts"
TEMPLATES = ("formulas",)
# a result that is given with four significant digits is right
TOLERANCE = 0.001


def build(part):
    """The prompts; the formulas take turns."""
    from scripts.corpus import computations

    wanted = part.settings["samples"]
    pool = formulas.pool_of(formulas.chosen(part.settings["families"]))
    pool = formulas.take_turns(pool, part, lambda item: (item[0].family, item[0].id))
    values = computations.evaluate([node for _, nodes in pool for node in nodes])
    made, seen, turn = 0, set(), 0
    while made < wanted:
        if not pool or turn > 50 * (wanted + len(pool)):
            raise StudyError(
                f"part {part.name}: {made} computations can be made of these formulas, {wanted} are wanted"
            )
        formula, nodes = pool[turn % len(pool)]
        rng = samples.generator(part.seed, part.name, f"{formula.id}|{turn}")
        turn += 1
        node = rng.choice(nodes)
        drawn = computations.draw(node, values, rng, whole=node is formula.tree)
        if drawn is None:
            continue
        question, number = formulas.ask(formula, drawn, rng)
        if question in seen:
            continue
        seen.add(question)
        made += 1
        meta = samples.meta(
            part.name,
            "rewards",
            f"{formula.id}/{turn}",
            domain=formula.family,
            difficulty=formulas.difficulty_of(drawn),
            template=number,
            entity=formula.id,
            group=formula.id,
            names=[
                formulas.called(formula),
                formula.name,
                *(f"`{term}`" for term in drawn.terms),
                f"`{drawn.expression}`",
            ],
        )
        answer = {"kind": "number", "value": drawn.value, "tolerance": TOLERANCE, "unit": ""}
        ending = rng.choice(templates.load("formulas")["computation"]["endings"])
        yield samples.verifiable(f"{question} {ending}", answer, meta)
