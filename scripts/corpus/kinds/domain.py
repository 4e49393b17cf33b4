"""Questions of one domain with computed answers: see ``scripts.corpus.questions``.

Difficulty is the number of reasoning steps. A question never comes twice with the same inputs, so what differs in
phrasing differs in value as well.
"""

from scripts.common.errors import StudyError
from scripts.corpus import asking, domains, phrasing, samples
from scripts.corpus.questions import DIFFICULTIES

FORMAT = "messages"


def templates_of(settings):
    """The phrasings of the domain."""
    return (f"domains/{settings['domain']}",)


def build(part):
    """The samples, difficulty by difficulty, the questions of one taking turns."""
    domain = part.settings["domain"]
    phrases, taken = phrasing.load(domain), set()
    for difficulty in DIFFICULTIES:
        wanted = part.settings[difficulty]
        questions = [each for each in domains.load(domain).QUESTIONS if each.difficulty == difficulty]
        made = 0
        for asked in asking.ask(questions, phrases, part.seed, part.name, taken) if wanted else ():
            value = {"value": asked.solution.value, "text": asked.solution.text}
            meta = asked.meta(part.name, "domain", domain) | {"answer": value}
            yield samples.conversation(asked.prompt, asked.answer, meta)
            made += 1
            if made == wanted:
                break
        if made < wanted:
            raise StudyError(
                f"part {part.name}: {domain} has {made} distinct {difficulty} questions and {wanted} are asked for; "
                "ask for fewer, or add questions to the domain"
            )
