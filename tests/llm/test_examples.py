"""What is learned of a conversation: the answer and the end of its turn, as the chat template writes them."""

import pytest

from scripts.common.errors import StudyError
from scripts.corpus import samples
from scripts.llm import chats, examples, tokenizers
from scripts.llm.examples import IGNORED
from tests.llm.models import texts

QUESTION, ANSWER = "is the close above its mean ?", "yes , so I choose buy ."
# the shape of DeepSeek-R1's template: the model's turn opens with a thought, and past answers have none
THINKING = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|im_start|>' + message['content'] }}"
    "{% else %}{{ '<|im_start|>assistant ' + message['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant <think>\\n' }}{% endif %}"
)
ENDLESS = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
WORDY = "{% for message in messages %}{{ message['content'] + ' so ends the turn\\n' }}{% endfor %}"
SILENT = "{% for message in messages if message['role'] == 'user' %}{{ message['content'] }}<|im_end|>{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.train(texts(), 512)


@pytest.fixture
def templated(tokenizer):
    """The tokenizer with another template for one test."""
    own = tokenizer.chat_template

    def change(template):
        tokenizer.chat_template = template
        return tokenizer

    yield change
    tokenizer.chat_template = own


def about(name, part="talk"):
    return samples.meta(part, "domain", name, domain="d", difficulty="easy", template="t", entity="e", group="g")


def talk(name="1", question=QUESTION, answer=ANSWER, part="talk"):
    return samples.conversation(question, answer, about(name, part))


def learned(tokenizer, example):
    """The text that is a target in a row of one example."""
    columns = examples.row([example])
    return tokenizer.decode([each for each in columns["labels"] if each != IGNORED])


def test_the_answer_and_the_end_of_its_turn_are_learned_and_nothing_else(tokenizer):
    (example,), _ = examples.conversations(tokenizer, [talk()], 100)
    columns = examples.row([example])
    assert learned(tokenizer, example) == f"{ANSWER}<|im_end|>"
    assert columns["labels"][-1] == tokenizer.eos_token_id == chats.stop_token(tokenizer)
    ignored = sum(each == IGNORED for each in columns["labels"])
    assert columns["labels"][:ignored] == [IGNORED] * ignored
    assert tokenizer.decode(columns["input_ids"][:ignored]).endswith(f"{QUESTION}<|im_end|>\n<|im_start|>assistant\n")


def test_the_tokens_are_those_of_the_whole_template(tokenizer):
    turns = talk()["messages"]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    (example,), _ = examples.conversations(tokenizer, [{"messages": turns, "meta": about("1")}], 100)
    assert tokenizer.decode(example.segments[0][0]) == whole.rstrip("\n")


def test_of_several_turns_the_last_answer_is_learned(tokenizer):
    turns = talk()["messages"] + talk(question="and the mean ?", answer="no .")["messages"]
    (example,), _ = examples.conversations(tokenizer, [{"messages": turns, "meta": about("1")}], 200)
    assert learned(tokenizer, example) == "no .<|im_end|>"
    assert ANSWER in tokenizer.decode(example.segments[0][0])


def test_decomposed_letters_are_composed(tokenizer):
    # llama.cpp does not normalise, so the text itself has to be in normal form
    sample = talk()
    sample["messages"][0]["content"], sample["messages"][1]["content"] = "caf\u0065\u0301", "\u0065\u0301"
    assert "caf\u00e9" in chats.prompt_text(tokenizer, sample["messages"][:1])
    assert chats.answer_text(tokenizer, "", "\u0065\u0301") == "\u00e9<|im_end|>"


def test_samples_that_are_too_long_are_left_out_and_told(tokenizer):
    short, long = talk("short"), talk("long", answer=ANSWER * 3)
    (only,), _ = examples.conversations(tokenizer, [short], 1000)
    kept, too_long = examples.conversations(tokenizer, [long, short], only.length)
    assert (kept, too_long) == ([only], ["talk/long"])
    assert examples.conversations(tokenizer, [long, short], only.length - 1)[1] == ["talk/long", "talk/short"]


def test_a_thought_that_the_prompt_opens_is_closed_by_the_answer(templated):
    tokenizer = templated(THINKING)
    (example,), _ = examples.conversations(tokenizer, [talk()], 200)
    text = tokenizer.decode(example.segments[0][0])
    assert text == f"<|im_start|>{QUESTION}<|im_start|>assistant <think>\n\n</think>\n\n{ANSWER}<|im_end|>"
    assert learned(tokenizer, example) == f"\n</think>\n\n{ANSWER}<|im_end|>"


@pytest.mark.parametrize(
    "said", ["<think>\nIt rose.\n</think>\n\nbuy", "<think>It rose.\n</think>\n\nbuy", "It rose.\n</think>\n\nbuy"]
)
def test_an_answer_with_a_thought_of_its_own_goes_on_with_the_one_that_the_prompt_opens(templated, said):
    tokenizer = templated(THINKING)
    (example,), _ = examples.conversations(tokenizer, [talk(answer=said)], 200)
    text = tokenizer.decode(example.segments[0][0])
    assert text == f"<|im_start|>{QUESTION}<|im_start|>assistant <think>\nIt rose.\n</think>\n\nbuy<|im_end|>"
    assert learned(tokenizer, example) == "It rose.\n</think>\n\nbuy<|im_end|>"


def test_a_thought_stays_as_it_is_where_the_prompt_opens_none(tokenizer):
    said = "<think>\nIt rose.\n</think>\n\nbuy"
    (example,), _ = examples.conversations(tokenizer, [talk(answer=said)], 200)
    assert learned(tokenizer, example) == f"{said}<|im_end|>"


def test_a_template_that_closes_an_answer_with_nothing_is_refused(templated):
    with pytest.raises(StudyError, match="never stops"):
        examples.conversations(templated(ENDLESS), [talk()], 100)


def test_a_template_that_does_not_write_the_answer_is_refused(templated):
    with pytest.raises(StudyError, match="does not write an assistant's answer"):
        chats.turn_end(templated(SILENT))


def test_an_end_of_several_tokens_stops_no_model(templated):
    with pytest.raises(StudyError, match="which is [0-9]+ tokens and not one"):
        chats.stop_token(templated(WORDY))


def test_a_tokenizer_without_a_template_is_refused(tokenizer, templated, tmp_path):
    tokenizers.save(tokenizer, tmp_path / "with")
    assert chats.load_tokenizer(tmp_path / "with").chat_template == tokenizers.TEMPLATE
    tokenizers.save(templated(None), tmp_path / "without")
    with pytest.raises(StudyError, match="has no chat template"):
        chats.load_tokenizer(tmp_path / "without")


def test_the_answers_of_a_pair_share_their_prompt(tokenizer):
    given = samples.preference(QUESTION, "buy .", "sell it .", about("p"))
    (pair,), _ = examples.pairs(tokenizer, [given], 100, {"talk/p": (-1.5, -2.5)})
    (chosen, start), (rejected, other) = pair.segments
    assert start == other and chosen[:start] == rejected[:start]
    assert tokenizer.decode(chosen[start:]) == "buy .<|im_end|>"
    assert tokenizer.decode(rejected[start:]) == "sell it .<|im_end|>"
    assert (pair.references, pair.name, pair.length) == ((-1.5, -2.5), "talk/p", len(chosen) + len(rejected))


def test_a_pair_is_left_out_when_one_of_its_answers_is_too_long(tokenizer):
    for chosen, rejected in (("buy .", ANSWER * 5), (ANSWER * 5, "buy .")):
        given = samples.preference(QUESTION, chosen, rejected, about("p"))
        limit = len(chats.encode(tokenizer, given["prompt"], "buy .")[0]) + 5
        assert examples.pairs(tokenizer, [given], limit) == ([], ["talk/p"])


def test_a_micro_batch_says_where_its_segments_begin(tokenizer):
    first, second = examples.Example((([5, 6, 7], 1),)), examples.Example((([8, 9], 1), ([8, 10, 11], 1)), (-1.0, -2.0))
    columns = examples.row([second, second])
    assert columns["position_ids"] == [0, 1, 0, 1, 2] * 2
    assert columns["labels"] == [IGNORED, 9, IGNORED, 10, 11] * 2
    batch = examples.collate([columns])
    assert batch["bounds"].tolist() == [0, 2, 5, 7, 10]
    # numbers, not a tensor: nobody waits for a GPU to read them
    assert batch["lengths"] == [2, 3, 2, 3]
    assert batch["references"].tolist() == [[-1.0, -2.0]] * 2
    assert batch["input_ids"].tolist() == [[8, 9, 8, 10, 11] * 2]
    plain = examples.collate([examples.row([first])])
    assert plain["bounds"].tolist() == [0, 3] and "references" not in plain


def test_documents_are_cut_and_learned_whole(tokenizer):
    (example,) = examples.documents(tokenizer, [texts(1)[0]], 12)
    columns = examples.row([example])
    assert example.length == 12 and columns["labels"] == [IGNORED] + columns["input_ids"][1:]


def test_the_settings_choose_parts_and_a_number():
    given = [talk(str(number), part="ab"[number % 2]) for number in range(6)]
    everything = {"parts": "all", "samples": None}
    assert examples.chosen(given, everything) == given
    assert [each["meta"]["id"] for each in examples.chosen(given, everything | {"parts": ["b"]})] == [
        "b/1",
        "b/3",
        "b/5",
    ]
    some = [each["meta"]["id"] for each in examples.chosen(given, {"parts": ["a"], "samples": 2})]
    assert len(some) == 2 and some == sorted(some) and set(some) < {"a/0", "a/2", "a/4"}


def test_rows_count_their_tokens():
    made = [examples.Example((([1] * length, 1),)) for length in (3, 4, 5)]
    rows = examples.Rows(made, [[[0, 2], [1]], [[2]]])
    assert (len(rows), rows.tokens()) == (3, 17)
    assert rows[0]["position_ids"] == [0, 1, 2, 0, 1, 2, 3, 4]
