"""The guard stops what is lost, lets healthy noise pass, and says what to do."""

import math

import numpy as np
import pytest

from scripts.common.training import metrics
from scripts.common.training.health import Guard, Thresholds, step_noise, trend

STEPS = 200
T = np.arange(STEPS)
# expected losses of a fine-tuning, a pretraining, a preference training, one that learns nothing, and of policy
# gradients, whose loss is noise around 0
COURSES = {
    "fine-tuning": 0.8 + 2.5 * np.exp(-T / 40),
    "pretraining": 1.2 + 5.4 * np.exp(-T / 60),
    "preferences": 0.693 - 0.45 * (1 - np.exp(-T / 80)),
    "nothing learned": np.full(STEPS, 1.5),
    "by heart": 0.02 + 2 * np.exp(-T / 30),
    "policy gradients": None,
}


def noisy(course, noise, seed):
    """Losses around a course with noise as a share of it (log-normal)."""
    z = np.random.default_rng(seed).normal(size=STEPS)
    return noise * z if course is None else course * np.exp(noise * z - noise**2 / 2)


def run(losses, norms=None, rates=None, guard=None):
    guard = guard or Guard()
    for place, loss in enumerate(losses):
        norm = 1.0 if norms is None else norms[place]
        guard.observe(metrics.of_step(place + 1, loss, norm, 2e-4 if rates is None else rates[place]))
        if guard.stopped:
            break
    return guard


def kinds(guard):
    return [each.kind for each in guard.findings]


@pytest.mark.parametrize("name", COURSES)
def test_healthy_noise_never_stops(name):
    """Twenty trainings of each kind, with noise up to half of the loss: no alarm in any."""
    for noise in (0.1, 0.3, 0.5):
        for seed in range(7):
            guard = run(noisy(COURSES[name], noise, seed))
            assert guard.stopped is None, (noise, seed, guard.stopped)
            assert guard.proven >= STEPS - 10


def plant(fault, at, noise, seed):
    course = COURSES["fine-tuning"].copy()
    course[at:] = fault(np.arange(STEPS - at))
    return noisy(course, noise, seed)


FAULTS = {
    "jumps": (100, lambda k: 7.0 + 0 * k, 30),
    "climbs": (80, lambda k: np.minimum(7.0, 1 + 6 * k / 40), 60),
    "doubles": (80, lambda k: np.minimum(1e4, 0.9 * 2 ** (k / 10)), 50),
    "explodes at once": (1, lambda k: 3 * 10.0 ** np.minimum(k + 1, 6), 8),
}


@pytest.mark.parametrize("name", FAULTS)
def test_divergence_is_found_soon_and_not_before_it_begins(name):
    at, fault, soon = FAULTS[name]
    for noise in (0.1, 0.3):
        for seed in range(10):
            guard = run(plant(fault, at, noise, seed))
            assert guard.stopped is not None and guard.stopped.kind == "diverged", (noise, seed)
            assert at < guard.stopped.step <= at + soon, (noise, seed, guard.stopped.step)


def test_a_training_lost_from_the_start_is_found():
    """At twice the noise of a usual batch most are found, at usual noise all."""
    found = [run(plant(lambda k: 8.0 + 0 * k, 3, 0.1, seed)).stopped for seed in range(20)]
    assert all(each and each.kind == "diverged" and each.step <= 40 for each in found)
    proven = [run(plant(lambda k: 8.0 + 0 * k, 3, 0.1, seed)).proven for seed in range(20)]
    assert all(each is None or each < 8 for each in proven)  # none from long after the fault are called good
    assert sum(run(plant(lambda k: 8.0 + 0 * k, 3, 0.3, seed)).stopped is not None for seed in range(20)) >= 12


def test_divergence_tells_its_figures_and_what_to_set():
    guard = run(np.r_[np.full(50, 2.0), np.full(50, 9.0)], guard=Guard(learning_rate=2e-4))
    evidence = guard.stopped.evidence
    assert evidence["limit"] == 4.0 and evidence["best_smoothed_loss"] == 2.0 and evidence["last_good_weights"] == 49
    assert guard.stopped.remedy == "lower learning_rate from 0.0002 to 0.0001, or lengthen the warm-up"
    assert guard.observe(metrics.of_step(101, 9.0)) == []


def test_the_learning_rate_in_the_remedy_is_the_configured_one_even_during_the_warm_up():
    rates = np.linspace(0, 2e-4, 60)
    guard = run(np.r_[np.full(30, 2.0), np.full(30, 9.0)], rates=rates, guard=Guard(learning_rate=2e-3))
    assert "from 0.002 to 0.001" in guard.stopped.remedy


def test_a_mild_rise_and_single_outliers_are_no_divergence():
    assert run(plant(lambda k: 1.2 + 0 * k, 100, 0.1, 1)).stopped is None
    losses = noisy(COURSES["fine-tuning"], 0.1, 3)
    losses[[60, 61, 90, 130]] *= 15
    assert run(losses).stopped is None


def test_the_grace_holds_back_judgement():
    losses = np.r_[1.0, np.full(8, 500.0), np.full(40, 1.0)]
    assert run(losses).stopped.step == 4
    assert run(losses, guard=Guard(Thresholds(grace=10))).stopped is None


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_the_first_number_that_is_not_finite_stops(broken, where):
    losses, norms = np.full(60, 1.0), np.full(60, 1.0)
    (losses if where == "loss" else norms)[41] = broken
    guard = run(losses, norms)
    assert (guard.stopped.kind, guard.stopped.step) == ("non_finite", 42)
    assert where in guard.stopped.evidence["non_finite"]
    assert "samples in step 42" in guard.stopped.remedy
    # a loss tells of the weights before its step, a gradient spoils those after it
    assert guard.proven == (40 if where == "loss" else 41)


def test_a_tolerated_rate_warns_until_it_is_passed():
    norms = np.full(100, 1.0)
    norms[[10, 30, 50, 70]] = math.nan
    guard = run(np.full(100, 1.0), norms, guard=Guard(Thresholds(non_finite_rate=0.03)))
    assert [(each.step, each.severity) for each in guard.findings if each.kind == "non_finite"] == [
        (11, "warning"),
        (31, "warning"),
        (51, "warning"),
        (71, "stop"),
    ]
    assert guard.stopped.evidence["non_finite_steps"] == 4


def test_a_validation_that_is_not_finite_stops():
    guard = run(np.full(10, 1.0))
    guard.observe(metrics.of_validation(10, math.nan))
    assert guard.stopped.kind == "non_finite" and guard.stopped.step == 10


def test_spikes_of_the_gradient_are_warnings_and_healthy_norms_have_hardly_any():
    false = found = steps = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        norms = np.exp(0.3 * rng.normal(size=STEPS)) * (1 + 2 * np.exp(-T / 20))
        guard = run(noisy(COURSES["fine-tuning"], 0.1, seed), norms)
        false, steps = false + guard.counts["spike"], steps + STEPS
        norms[[100, 150]] *= 20
        guard = run(noisy(COURSES["fine-tuning"], 0.1, seed), norms)
        assert guard.stopped is None
        found += len({101, 151} & {each.step for each in guard.findings if each.kind == "spike"})
    assert false <= 0.001 * steps
    assert found >= 38


def test_no_more_spikes_are_told_than_asked_for_and_all_are_counted():
    rng = np.random.default_rng(1)
    norms = np.exp(0.1 * rng.normal(size=STEPS))
    norms[40::10] = 50
    guard = run(np.full(STEPS, 1.0), norms, guard=Guard(Thresholds(spikes_told=5)))
    assert kinds(guard).count("spike") == 5 and guard.counts["spike"] == 16
    assert guard.summary()["counts"]["spike"] == 16


def test_a_plateau_is_noted_once_and_not_while_the_loss_falls():
    falls = [run(noisy(4.0 - 0.015 * T, 0.1, seed)) for seed in range(10)]
    assert not any("plateau" in kinds(guard) for guard in falls)
    flat = [run(noisy(np.full(STEPS, 1.0), 0.1, seed)) for seed in range(10)]
    assert sum(kinds(guard).count("plateau") == 1 for guard in flat) >= 8
    (note,) = [each for each in flat[0].findings if each.kind == "plateau"]
    assert note.severity == "note" and note.evidence["low"] < note.evidence["change"] < note.evidence["high"]


def test_no_plateau_is_noted_at_the_end_of_a_schedule():
    rates = np.r_[np.full(90, 1e-3), np.full(STEPS - 90, 5e-5)]
    assert "plateau" not in kinds(run(noisy(np.full(STEPS, 1.0), 0.1, 1), rates=rates))


def observe_both(validations, course, noise=0.1, seed=1):
    guard, losses, every = Guard(), noisy(course, noise, seed), STEPS // len(validations)
    for step, loss in enumerate(losses, 1):
        guard.observe(metrics.of_step(step, loss, 1.0, 1e-4))
        if step % every == 0:
            guard.observe(metrics.of_validation(step, validations[step // every - 1]))
    return guard


def test_learning_by_heart_is_noted_where_validation_rises_while_training_falls():
    rising = [2.0, 1.5, 1.2, 1.25, 1.3, 1.4, 1.5, 1.6]
    guard = observe_both(rising, 2.5 * np.exp(-T / 100))
    (note,) = [each for each in guard.findings if each.kind == "overfitting"]
    assert note.severity == "note" and note.evidence["best_step"] == 75 and note.step == 125
    assert "overfitting" not in kinds(observe_both(rising, np.full(STEPS, 2.0)))
    assert "overfitting" not in kinds(observe_both([2, 1.5, 1.2, 1.21, 1.19, 1.2, 1.21, 1.2], 2.5 * np.exp(-T / 100)))


def test_the_records_of_a_file_give_the_same_findings_again(tmp_path):
    losses = plant(*[FAULTS["jumps"][each] for each in (1, 0)], 0.3, 4)
    guard, writer = Guard(), metrics.Metrics(tmp_path / "metrics.jsonl")
    for step, loss in enumerate(losses, 1):
        record = metrics.of_step(step, loss, 1.0 + step % 7, 1e-4)
        writer.write(record)
        guard.observe(record)
    writer.close()
    again = Guard()
    for record in metrics.read(writer.path):
        again.observe(record)
    assert again.findings == guard.findings and again.stopped == guard.stopped and again.proven == guard.proven
    again.reset()
    assert again.findings == [] and again.stopped is None and again.proven is None


def test_steps_that_go_back_are_refused():
    guard = run([1.0, 1.0])
    with pytest.raises(ValueError, match="step 2 follows step 2"):
        guard.observe(metrics.of_step(2, 1.0))


def test_noise_is_measured_around_a_trend_and_with_memory():
    rng = np.random.default_rng(3)
    assert step_noise(5 - 0.1 * np.arange(3000) + 0.2 * rng.normal(size=3000), 10) == pytest.approx(0.2, rel=0.08)
    wander = np.zeros(20000)
    for place in range(1, len(wander)):
        wander[place] = 0.8 * wander[place - 1] + 0.6 * rng.normal()
    assert step_noise(wander, 10) == pytest.approx(1.0, rel=0.12)


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_the_interval_of_a_trend_covers_no_change_as_often_as_it_says(memory):
    rng, inside, rounds = np.random.default_rng(4), 0, 400
    for _ in range(rounds):
        losses = rng.normal(size=300)
        for place in range(1, 300):
            losses[place] += memory * losses[place - 1]
        _, low, high = trend(losses)
        inside += low <= 0 <= high
    assert 0.92 <= inside / rounds <= 0.98


def test_findings_can_be_written_as_json():
    import json

    guard = run(np.r_[np.full(30, 1.0), math.nan])
    guard.observe(metrics.of_validation(40, math.inf))
    text = json.dumps(guard.summary(), allow_nan=False)
    assert '"class": "non_finite"' in text and guard.summary()["steps"] == 31
