"""Questions on the tone of a note: does it point up or down?

The notes are those that pairs of kind preferences can end with. A frame with a tone is a group: no question on a note
of the test part was trained on. The note itself was, as the last line of training pairs, and so was its tone in other
frames: what is tested is whether the tones were learned, not whether new words are understood.
"""

import itertools

from scripts.common.errors import StudyError
from scripts.corpus import samples, templates

FORMAT = "messages"
TEMPLATES = ("notes", "preferences")
DIRECTIONS = ("up", "down")


def build(part):
    """The samples; up and down take turns."""
    phrases, notes = templates.load("notes"), templates.load("preferences")["notes"]
    wanted = part.settings["samples"]
    drawn = [_draw(part, direction, phrases["questions"], notes, wanted) for direction in DIRECTIONS]
    turns = [each for pair in itertools.zip_longest(*drawn) for each in pair][:wanted]
    for direction, (question, frame, tone) in turns:
        words = notes["tones"][direction][tone]
        key = f"{direction}/{frame}/{tone}/{question}"
        form = samples.generator(part.seed, part.name, key).choice(phrases["answers"])
        meta = samples.meta(
            part.name,
            "notes",
            key,
            domain="market_trading",
            difficulty="easy",
            template=str(question),
            entity=direction,
            group=f"{direction}/{frame}/{tone}",
        )
        prompt = f"{phrases['questions'][question]} {notes['frames'][frame].format(note=words)}"
        answer = form.format(direction=direction.capitalize(), tone=words)
        about = {"answer": {"value": direction}, "note": {"direction": direction, "frame": frame, "tone": tone}}
        yield samples.conversation(prompt, answer, meta | about)


def _draw(part, direction, questions, notes, wanted):
    """``(direction, (question, frame, tone))`` of half of the samples, each once."""
    places = list(itertools.product(*map(range, map(len, (questions, notes["frames"], notes["tones"][direction])))))
    if len(places) * len(DIRECTIONS) < wanted:
        raise StudyError(
            f"part {part.name}: {len(places) * len(DIRECTIONS)} questions on notes can be made of these phrases, "
            f"{wanted} are asked for; lower samples"
        )
    rng = samples.generator(part.seed, part.name, direction)
    return [(direction, place) for place in rng.sample(places, -(-wanted // len(DIRECTIONS)))]
