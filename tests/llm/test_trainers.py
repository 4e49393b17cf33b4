"""Rows change how a loss is computed, never the loss: against single samples, plain transformers, and formulas."""

import math
import weakref

import pytest
import torch

from scripts.common.errors import StudyError
from scripts.common.training import failures
from scripts.llm import attention, examples, policies, trainers
from scripts.llm.examples import Example
from scripts.llm.settings import Adapter, Sft
from tests.llm import models

# PEFT 0.21 asks transformers 5.23 by an older name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
SHAPE = {"hidden": 64, "intermediate": 128, "layers": 2, "heads": 4, "kv_heads": 2, "context": 512}
LORA = Adapter(r=4, alpha=8).model_dump(mode="json")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    # larger weights: attention that looks somewhere, so that a leak would show
    return models.make_base(tmp_path_factory.mktemp("base") / "tiny", shape=SHAPE, scale=4.0)


def policy(base, kernel=attention.NAME, moved=True):
    """The base with an adapter; ``moved`` gives it matrices that do something."""
    model = policies.load(*base, attention=kernel, trainable=True)
    model = policies.attach(model, LORA, seed=3)
    if moved:
        torch.manual_seed(5)
        for name, each in model.named_parameters():
            if "lora_B" in name:
                each.data.normal_(std=0.05)
    return model


def made(lengths, seed=1, references=False):
    """Examples of random tokens; with ``references``, pairs whose segments share a third of them."""
    torch.manual_seed(seed)
    found = []
    for length in lengths:
        ids = torch.randint(5, 300, (length,)).tolist()
        start = max(1, length // 3)
        segments = ((ids, start),)
        if references:
            segments += ((ids[:start] + torch.randint(5, 300, (length // 2,)).tolist(), start),)
        found.append(Example(segments, (-3.0, -2.0) if references else None, str(length)))
    return found


def settings(**changes):
    return Sft(**{"batch": 4, "row_tokens": 64, "learning_rate": 0.02, **changes}).model_dump(mode="json")


def gradient(model, losses):
    """The adapter's gradient of a sum of losses, one vector."""
    model.zero_grad()
    for each in losses:
        each.backward()
    return torch.cat([each.grad.flatten() for each in model.parameters() if each.requires_grad])


def collated(found):
    return examples.collate([examples.row(found)])


# losses ---------------------------------------------------------------------------------------------------------------


def test_packed_loss_and_gradient_are_those_of_one_sample_at_a_time(base):
    model, found, objective = policy(base), made([9, 30, 4, 17]), trainers.Imitation()
    together = objective.total(model, collated(found))
    apart = [objective.total(model, collated([each])) for each in found]
    assert float(together.detach()) == pytest.approx(sum(float(each.detach()) for each in apart), rel=1e-6)
    torch.testing.assert_close(gradient(model, [together]), gradient(model, apart), rtol=1e-4, atol=3e-5)
    assert objective.size(collated(found)) == sum(each.length - each.segments[0][1] for each in found)


def test_packed_loss_and_gradient_are_those_of_padded_transformers(base):
    found = made([9, 30, 4, 17])
    packed, plain = policy(base), policy(base, kernel="sdpa")
    ours = trainers.Imitation().total(packed, collated(found)) / trainers.Imitation().size(collated(found))
    longest = max(each.length for each in found)
    columns = {"input_ids": [], "labels": [], "attention_mask": []}
    for ids, start in (each.segments[0] for each in found):
        blank = longest - len(ids)
        columns["input_ids"].append(ids + [0] * blank)
        columns["labels"].append([-100] * start + ids[start:] + [-100] * blank)
        columns["attention_mask"].append([1] * len(ids) + [0] * blank)
    theirs = plain(**{name: torch.tensor(each) for name, each in columns.items()}).loss
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-6)
    torch.testing.assert_close(gradient(packed, [ours]), gradient(plain, [theirs]), rtol=1e-4, atol=1e-6)


def test_samples_of_a_row_do_not_see_each_other(base):
    model = policy(base).eval()
    first, second, third = made([12, 20, 9])
    other = made([20], seed=9)[0]
    with torch.no_grad():
        as_it_was = trainers.segment_log_probabilities(model, collated([first, second, third]))
        changed = trainers.segment_log_probabilities(model, collated([first, other, third]))
        moved = trainers.segment_log_probabilities(model, collated([third, second, first]))
    assert as_it_was[[0, 2]].tolist() == changed[[0, 2]].tolist()
    assert as_it_was[1] != changed[1]
    torch.testing.assert_close(as_it_was, moved.flip(0))


def test_what_comes_before_in_a_sample_is_seen(base):
    """The counterpart: a kernel that sees nothing would pass the test above."""
    model = policy(base).eval()
    (example,) = made([12])
    ids, start = example.segments[0]
    altered = Example((([ids[0] + 1, *ids[1:]], start),))
    with torch.no_grad():
        one, two = (trainers.segment_log_probabilities(model, collated([each])) for each in (example, altered))
    assert abs(float(one - two)) > 1e-4


# preferences ----------------------------------------------------------------------------------------------------------


def answer_log_probability(model, ids, start):
    """Summed over the answer, from the logits of the whole text: no row, no shortcut."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(float(logits[place - 1, ids[place]]) for place in range(start, len(ids)))


def test_score_is_the_log_probability_of_each_answer(base):
    found = made([12, 30, 7], references=True)
    scores = trainers.score(policy(base).eval(), found, capacity=50)
    plain = policy(base, kernel="sdpa").eval()
    for (chosen, rejected), example in zip(scores, found, strict=True):
        expected = [answer_log_probability(plain, *segment) for segment in example.segments]
        assert [chosen, rejected] == pytest.approx(expected, rel=1e-5)
    assert trainers.score(policy(base).eval(), [], capacity=50) == []


def test_preference_loss_is_the_sigmoid_loss_of_dpo(base):
    """Rafailov et al. 2023, eq. 7, as TRL 1.16 computes it for ``loss_type=sigmoid``."""
    beta, plain = 0.3, policy(base, kernel="sdpa").eval()
    found = [each._replace(references=(-60.0 - n, -55.0)) for n, each in enumerate(made([12, 30, 7], references=True))]
    loss = 0.0
    for each in found:
        chosen, rejected = (answer_log_probability(plain, *segment) for segment in each.segments)
        logits = (chosen - rejected) - (each.references[0] - each.references[1])
        loss += math.log1p(math.exp(-beta * logits))
    objective = trainers.Preference(beta)
    assert float(objective.total(policy(base), collated(found)).detach()) == pytest.approx(loss, rel=1e-5)
    assert objective.size(collated(found)) == 3


def test_the_loss_of_a_policy_that_is_its_reference_is_ln_2(base):
    model, found = policy(base), made([12, 30, 7], references=True)
    scores = trainers.score(model.eval(), found, capacity=40)
    found = [each._replace(references=pair) for each, pair in zip(found, scores, strict=True)]
    objective = trainers.Preference(0.1)
    loss = float(objective.total(model, collated(found)).detach()) / objective.size(collated(found))
    assert loss == pytest.approx(math.log(2), abs=1e-6)


def test_dropout_is_off_where_it_would_blur_a_comparison(base):
    model = policies.load(*base, attention=attention.NAME, trainable=True)
    model = policies.attach(model, LORA | {"dropout": 0.5}, seed=3)
    for name, each in model.named_parameters():
        if "lora_B" in name:
            each.data.fill_(0.05)
    objective, batch = trainers.Imitation(), collated(made([20]))
    assert objective.total(model.train(), batch) != objective.total(model, batch)
    model = policies.without_dropout(model)
    assert objective.total(model, batch) == objective.total(model, batch)


# training -------------------------------------------------------------------------------------------------------------

LENGTHS = [9, 30, 12, 17, 22, 8, 14, 25, 11, 19]


def trained(model, found, chosen, folder, validation=None, **options):
    """The adapter after a course, and what was logged."""
    course = trainers.course(found, chosen, 1, packed=chosen["packing"])
    common = {"objective": trainers.Imitation(), "validation": validation, "seed": 1, "device": "cpu"}
    trainer = trainers.train(model, course, chosen, folder, **common, **options)
    return state(model), trainer.state.log_history


def state(model):
    return {name: each.detach().clone() for name, each in model.named_parameters() if each.requires_grad}


def assert_same(one, two, tolerance=1e-6):
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) <= tolerance


def test_a_training_is_the_same_with_and_without_packing(base, tmp_path):
    found = made(LENGTHS)
    packed, log = trained(policy(base), found, settings(epochs=2), tmp_path / "packed")
    single, other = trained(policy(base), found, settings(epochs=2, packing=False), tmp_path / "single")
    assert_same(packed, single, 2e-5)
    losses, others = ([each["loss"] for each in every if "loss" in each] for every in (log, other))
    assert len(losses) == 5 and losses == pytest.approx(others, abs=1e-5)
    assert max(float((packed[name] - before).abs().max()) for name, before in state(policy(base)).items()) > 1e-3


def test_a_step_weighs_every_target_alike(base, tmp_path):
    """The logged first loss: the mean over the step's targets, not the mean of rows' means."""
    found, chosen = made(LENGTHS), settings(row_tokens=32)
    course = trainers.course(found, chosen, 1)
    assert course.per_step > 2
    _, log = trained(policy(base), found, chosen, tmp_path)
    batches = [collated([found[each] for each in row]) for row in course.rows.rows[: course.per_step]]
    objective, model = trainers.Imitation(), policy(base)
    total = sum(float(objective.total(model, each).detach()) for each in batches)
    assert log[0]["loss"] == pytest.approx(total / sum(map(objective.size, batches)), rel=1e-5)


def test_samples_come_in_their_own_order_where_they_are_not_shuffled(base, tmp_path):
    """As a phase of a curriculum has them: what the model is given, step by step."""
    found, chosen, given = made(LENGTHS), settings(epochs=2, row_tokens=40), []
    by_first = {tuple(each.segments[0][0]): place for place, each in enumerate(found)}

    class Spy(trainers.Imitation):
        def total(self, model, batch):
            given.append([by_first[tuple(ids.tolist())] for ids in batch["input_ids"][0].split(batch["lengths"])])
            return super().total(model, batch)

    for shuffle in (False, True):
        given.clear()
        course = trainers.course(found, chosen, 1, shuffle=shuffle)
        options = {"objective": Spy(), "validation": None, "seed": 1, "device": "cpu"}
        trainers.train(policy(base), course, chosen, tmp_path / str(shuffle), **options)
        steps, rows = [], list(given)
        for size in (4, 4, 4, 4, 4):
            step = []
            while len(step) < size:
                step += rows.pop(0)
            steps.append(sorted(step))
        in_order = [sorted((4 * step + each) % 10 for each in range(4)) for step in range(5)]
        assert (steps == in_order) is not shuffle


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1.0), ("linear", 0.25)])
def test_every_schedule_warms_up(base, tmp_path, schedule, last):
    chosen = settings(schedule=schedule, warmup=0.25, batch=2, epochs=1.6, learning_rate=0.01)
    _, log = trained(policy(base), made(LENGTHS), chosen, tmp_path)
    rates = [each["learning_rate"] / 0.01 for each in log if "loss" in each]
    assert len(rates) == 8
    assert rates[:4] == pytest.approx([0.0, 0.5, 1.0, 1.0 if schedule == "constant" else 5 / 6])
    assert rates[-1] == pytest.approx(last if schedule == "constant" else 1 / 6)


@pytest.mark.parametrize(("steps", "checkpoints", "every"), [(19, 10, 2), (11, 4, 3), (10, 10, 1), (3, 10, 1)])
def test_no_more_checkpoints_are_saved_than_were_asked_for(tmp_path, steps, checkpoints, every):
    course = trainers.Course(None, 1, steps)
    made_of = trainers.arguments(settings(checkpoints=checkpoints), course, tmp_path, seed=1, device="cpu")
    assert made_of.save_steps == every and -(-steps // every) <= checkpoints


def test_of_several_cards_one_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    course = trainers.Course(None, 1, 5)
    found = trainers.arguments(settings(), course, tmp_path, seed=1, device="cuda")
    assert (found.n_gpu, found.train_batch_size) == (1, 1)


def test_a_model_is_put_on_one_card(base, monkeypatch):
    from transformers import AutoModelForCausalLM

    asked, load = [], AutoModelForCausalLM.from_pretrained

    def spy(folder, *, device_map=None, **options):
        asked.append(device_map)
        return load(folder, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", spy)
    policies.load(*base, device="cuda")
    policies.load(*base)
    assert asked == [{"": 0}, None]


def test_a_4_bit_policy_is_the_same_when_it_is_continued(base, tmp_path):
    """Its norms and embeddings are float32 in the first phase; so they have to be in the next, and in the reference."""
    loading = {"attention": attention.NAME, "dtype": "bfloat16", "four_bit": True}
    first = policies.attach(policies.load(*base, trainable=True, **loading), LORA | {"method": "qlora"}, seed=3)
    first.save_pretrained(str(tmp_path))
    continued = policies.load(*base, adapter=tmp_path, trainable=True, **loading)
    dtypes = [{name: each.dtype for name, each in model.named_parameters()} for model in (first, continued)]
    assert dtypes[0] == dtypes[1]
    assert {each for name, each in dtypes[0].items() if "norm" in name} == {torch.float32}
    trainable = [{n for n, each in model.named_parameters() if each.requires_grad} for model in (first, continued)]
    assert trainable[0] == trainable[1] and all("lora_" in name for name in trainable[0])


def test_the_validation_loss_is_the_mean_over_targets_whatever_the_rows(base, tmp_path):
    held = made([13, 28, 6], seed=4)
    found = []
    for capacity in (30, 200):
        rows = trainers.validation_rows(held, capacity)
        _, log = trained(policy(base), made(LENGTHS), settings(evaluations=1), tmp_path / str(capacity), rows)
        found.append([each["eval_loss"] for each in log if "eval_loss" in each])
    assert len(trainers.validation_rows(held, 30)) > len(trainers.validation_rows(held, 200)) == 1
    assert len(found[0]) == 1 and found[0] == pytest.approx(found[1], abs=1e-5)
    assert trainers.validation_rows([], 30) is None


# memory ---------------------------------------------------------------------------------------------------------------


class Full(trainers.Imitation):
    """A GPU that holds rows of ``most`` tokens; its memory runs out from row number ``after`` of the training on."""

    def __init__(self, most, after=0):
        self.most, self.after, self.seen, self.failed = most, after, 0, 0

    def total(self, model, batch):
        self.seen += 1
        if self.seen > self.after and batch["input_ids"].shape[1] > self.most:
            self.failed += 1
            assert self.failed < 20, "the same rows are tried again and again"
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return super().total(model, batch)


class FullWhenAsked(Full):
    """Memory that runs out in validations only."""

    def total(self, model, batch):
        return super().total(model, batch) if not model.training else trainers.Imitation.total(model, batch)


def fitted(base, objective, folder, found, *, capacity=64, validation=None):
    """The adapter after :func:`train_fitting`, and the halvings that were told."""
    model, chosen, told = policy(base), settings(row_tokens=capacity, epochs=2, learning_rate=0.005), []
    trainers.train_fitting(
        model,
        lambda capacity: trainers.course(found, chosen, 1, capacity),
        chosen,
        folder,
        capacity=capacity,
        on_shrink=lambda old, new: told.append((old, new)),
        resume=lambda course: None,
        objective=objective,
        validation=validation,
        seed=1,
        device="cpu",
    )
    return state(model), told


@pytest.mark.parametrize("after", [0, 3])
def test_rows_are_halved_until_they_fit_and_the_training_is_the_same(base, tmp_path, after):
    """``after`` 3: memory runs out in the second step, when the adapter has moved and no checkpoint was saved."""
    found = made(LENGTHS)
    undisturbed, _ = fitted(base, trainers.Imitation(), tmp_path / "undisturbed", found)
    disturbed, told = fitted(base, Full(32, after), tmp_path / "disturbed", found)
    assert len(told) >= 1 and all(new == old // 2 for old, new in told)
    assert_same(undisturbed, disturbed, 1e-6)


def test_a_sample_that_does_not_fit_alone_ends_the_training_with_advice(base, tmp_path):
    """Its row is as short as it gets, while others still have several samples."""
    with pytest.raises(StudyError, match=r"does not hold a row of one sample \(30 tokens\).*gradient_checkpointing"):
        fitted(base, Full(29), tmp_path, made(LENGTHS))


def test_a_long_sample_among_short_ones_that_still_share_a_row_ends_the_training_too(base, tmp_path):
    with pytest.raises(StudyError, match=r"does not hold a row of one sample \(60 tokens\)"):
        fitted(base, Full(50), tmp_path, made([60, 5, 5, 5]), capacity=60)


def test_rows_of_the_validation_are_halved_too(base, tmp_path):
    """Alone in the capacity that all share: eight samples of 14 tokens, one row of the validation."""
    found, held = made([14] * 4), made([14] * 8, seed=4)
    objective = FullWhenAsked(60)
    undisturbed, _ = fitted(base, trainers.Imitation(), tmp_path / "one", found, capacity=112, validation=held)
    disturbed, told = fitted(base, objective, tmp_path / "two", found, capacity=112, validation=held)
    assert told == [(112, 56)] and objective.failed == 1
    assert_same(undisturbed, disturbed, 1e-6)


def test_what_does_not_fit_is_told_with_advice_that_the_record_gets(base, tmp_path):
    with pytest.raises(failures.StoppedError) as caught:
        fitted(base, Full(29), tmp_path, made(LENGTHS))
    finding = failures.of_error(caught.value)
    assert finding.kind == "out_of_memory" and "lower max_length" in finding.remedy
    assert "(30 tokens): CUDA out of memory" in finding.evidence["message"]


def test_nothing_of_a_failed_attempt_stays_in_memory(base, tmp_path, monkeypatch):
    """Its activations hang on the error: they are gone when the GPU's memory is asked back."""
    held, alive = [], []

    class Heavy(Full):
        def total(self, model, batch):
            ballast = torch.ones(3)
            held.append(weakref.ref(ballast))
            return super().total(model, batch) + 0 * ballast.sum()

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append([each() is not None for each in held]))
    fitted(base, Heavy(32), tmp_path, made(LENGTHS))
    assert alive and not any(alive[0])


@pytest.mark.parametrize("most", [30, 60])
def test_scores_are_the_same_in_halved_rows(base, monkeypatch, most):
    found, model = made([12, 30, 7, 9], references=True), policy(base).eval()
    expected = trainers.score(model, found, capacity=200)
    log_probabilities, failed = trainers.segment_log_probabilities, []

    def full(model, batch):
        if batch["input_ids"].shape[1] > most:
            failed.append(batch["input_ids"].shape[1])
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return log_probabilities(model, batch)

    monkeypatch.setattr(trainers, "segment_log_probabilities", full)
    if most < 55:  # tokens of the longest pair: 30 and 25 (10 that both share)
        with pytest.raises(failures.StoppedError, match="does not hold a row of one sample"):
            trainers.score(model, found, capacity=200)
        return
    for one, two in zip(trainers.score(model, found, capacity=200), expected, strict=True):
        assert one == pytest.approx(two, abs=1e-5)
    assert failed
