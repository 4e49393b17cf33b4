"""Whether a training is healthy: non-finite numbers, divergence, spikes, plateaus, and a gap to the validation loss.

A :class:`Guard` sees the records of metrics.jsonl one by one and says what it finds. It knows nothing of models or of
libraries, and the same records give the same findings, so that a resumed training is judged like an undisturbed one.
"""

import math
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

STOP, WARNING, NOTE = "stop", "warning", "note"
# the median absolute deviation times this is the standard deviation of a normal distribution
MAD_TO_SIGMA = 1.4826
FIRST_LOSSES = 5


@dataclass(frozen=True)
class Thresholds:
    """When something is found. Losses are in the unit of the training's loss; windows and patience in steps."""

    scale: float = 0.1  # smallest loss that matters; 1 for surrogate losses that pass through 0 (policy gradients)
    smoothing: int = 10  # the smoothed loss is the median of so many
    grace: int = 0  # steps at the start in which divergence is not judged
    blowup_factor: float = 10.0  # diverged: each loss above so many times the initial one ...
    blowup_patience: int = 3  # ... for so many steps
    rise_factor: float = 2.0  # diverged: the smoothed loss above so many times its best,
    rise_initial: float = 0.5  # and above the best by this share of the initial loss,
    rise_noise: float = 6.0  # and by so many standard deviations of the steps' noise ...
    rise_patience: int = 5  # ... for so many steps
    lost_factor: float = 2.0  # diverged: the median of 3 smoothing windows above the first losses by this factor,
    lost_noise: float = 3.0  # and by so many standard deviations of the logarithm of a loss ...
    lost_patience: int = 5  # ... for so many steps,
    lost_steps: int = 100  # among the first ones only
    noise_window: int = 100
    non_finite_window: int = 100
    non_finite_rate: float = 0.0  # tolerated share; 0: the first non-finite number stops (float16 scalers skip some)
    spike_window: int = 50
    spike_least: int = 20  # gradient norms that are needed to judge one
    spike_z: float = 6.0  # of the logarithm of the gradient norm
    spike_floor: float = 0.05  # least standard deviation of that logarithm
    spikes_told: int = 20  # more are only counted
    plateau_window: int = 100
    plateau_learning_rate: float = 0.1  # no plateau is noted when the learning rate is below this share of its height
    gap_rise: float = 0.02  # the validation loss above its best by this share ...
    gap_evaluations: int = 2  # ... so many times in a row


@dataclass(frozen=True)
class Finding:
    """What was found: class, step, severity (stop, warning, note), figures, and what to do."""

    kind: str
    step: int | None
    severity: str
    evidence: dict = field(default_factory=dict)
    remedy: str = ""

    def record(self):
        """The finding as JSON holds it."""
        return {
            "class": self.kind,
            "step": self.step,
            "severity": self.severity,
            "evidence": self.evidence,
            "remedy": self.remedy,
        }


class Guard:
    """Judges one training. Only non-finite numbers and divergence stop it.

    ``learning_rate``: the configured one, for the remedies; without it the highest seen is taken.
    ``stopped``: the finding that stops, or None; ``findings``: all; ``proven``: the last step whose weights a later
    loss has shown to be good (None at first).
    """

    def __init__(self, thresholds=None, learning_rate=None):
        self.thresholds, self.configured_rate = thresholds or Thresholds(), learning_rate
        self.reset()

    def reset(self):
        """Forget everything seen."""
        limits = self.thresholds
        self.findings, self.stopped, self.proven, self.counts = [], None, None, Counter()
        self.steps = self.validations = 0
        self._last_step = 0
        self._rates = []
        self._losses = []  # all finite training losses as (step, loss)
        self._recent = deque(maxlen=limits.smoothing)
        self._calm = deque(maxlen=limits.noise_window + limits.smoothing)  # those within the limits: for the noise
        self._best = (math.inf, 0)
        self._above = {"blowup": [], "rise": [], "lost": []}  # steps in a row above each limit
        self._broken = deque(maxlen=limits.non_finite_window)
        self._norms = deque(maxlen=limits.spike_window)
        self._flat = False
        self._validation_best, self._after_best, self._gap_told = (math.inf, 0), 0, False

    def observe(self, record):
        """Take one record of metrics.jsonl; what it made known, as a list of :class:`Finding`.

        Records have ``step`` and ``loss`` (with ``gradient_norm`` and ``learning_rate`` where known) or
        ``validation_loss``; None stands for a non-finite number. Raises ValueError when steps go backwards.
        """
        if self.stopped:
            return []
        values = {name: math.nan if value is None else value for name, value in record.items()}
        told = []
        for each in list(self._validation(values) if "validation_loss" in values else self._step(values)):
            self.counts[each.kind] += 1
            if each.kind == "spike" and self.counts["spike"] > self.thresholds.spikes_told:
                continue
            told.append(each)
            if each.severity == STOP:
                self.stopped = each
                break
        self.findings += told
        return told

    def summary(self):
        """How many records were judged, and all findings: for the training's own JSON file."""
        return {
            "steps": self.steps,
            "validations": self.validations,
            "counts": dict(sorted(self.counts.items())),
            "findings": [each.record() for each in self.findings],
        }

    def _step(self, values):
        step, loss, norm = values["step"], values["loss"], values.get("gradient_norm")
        if step <= self._last_step:
            raise ValueError(f"step {step} follows step {self._last_step}: records have to come in their order")
        self._last_step, self.steps = step, self.steps + 1
        self._rates.append(values.get("learning_rate"))
        yield from self._non_finite(step, loss, norm)
        if math.isfinite(loss):
            self._losses.append((step, loss))
            yield from self._divergence(step, loss)
            yield from self._plateau(step)
        if norm is not None and math.isfinite(norm):
            yield from self._spike(step, norm)

    def _non_finite(self, step, loss, norm):
        wrong = [name for name, value in (("loss", loss), ("gradient norm", norm)) if _broken(value)]
        self._broken.append(bool(wrong))
        if not wrong:
            return
        count, limits = sum(self._broken), self.thresholds
        stops = count > limits.non_finite_rate * limits.non_finite_window
        evidence = {
            "non_finite": " and ".join(wrong),
            "non_finite_steps": count,
            "steps": len(self._broken),
            "limit_rate": limits.non_finite_rate,
            "last_finite_loss": self._losses[-1][1] if self._losses else None,
            "last_gradient_norm": self._norms[-1] if self._norms else None,
        }
        yield _found("non_finite", step, STOP if stops else WARNING, evidence, self._non_finite_remedy(step))

    def _non_finite_remedy(self, step):
        data = f"look for broken or empty samples in step {step}"
        if not self._losses:
            return f"{data}; if they are sound, the base's weights or its number format are not: train in float32"
        calm = not self._above["rise"] and not self._above["blowup"]
        if calm:
            return f"the loss was calm before: {data}, then {self._lower(2)}, or train in float32"
        return f"the loss rose before: {self._lower(10)}"

    def _divergence(self, step, loss):
        limits = self.thresholds
        self._recent.append(loss)
        smoothed = float(np.median(self._recent))
        limit = {
            "blowup": limits.blowup_factor * self.initial,
            "rise": self._rise_limit(),
            "lost": self._lost_limit(),
        }
        levels = {"blowup": loss, "rise": smoothed, "lost": self._level(3 * limits.smoothing)}
        if loss <= min(limit.values()):
            # what may be divergence already must not widen its own limit
            self._calm.append(loss)
            if self._is_proof(loss, smoothed, limit["rise"]) and levels["lost"] <= limit["lost"]:
                # the loss of a step is that of the weights after the step before
                self.proven = step - 1
        for name, level in levels.items():
            above = level > limit[name] and step > limits.grace
            self._above[name] = [*self._above[name], step] if above else []
            if len(self._above[name]) >= getattr(limits, f"{name}_patience"):
                if name == "lost":
                    self.proven = None
                yield self._diverged(name, step, loss, level, limit[name])
                return
        if smoothed < self._best[0]:
            self._best = (smoothed, step)

    def _is_proof(self, loss, smoothed, limit):
        """Whether losses show that the weights are good; ``limit``: that of the smoothed loss."""
        best, limits = self._best[0], self.thresholds
        if len(self._losses) == 1:
            return True
        if len(self._losses) <= 3 * limits.smoothing and max(loss, smoothed) > limits.lost_factor * max(
            best, limits.scale
        ):
            return False
        # half the way to the limit is no alarm, but no proof either
        return limit == math.inf or smoothed <= (best + limit) / 2

    def _level(self, size):
        return float(np.median([loss for _, loss in self._losses[-size:]]))

    def _diverged(self, name, step, loss, level, limit):
        evidence = {
            "loss": loss,
            "level": level,
            "limit": limit,
            "limit_from": "best smoothed loss" if name == "rise" else "initial loss",
            "initial_loss": self.initial,
            "best_smoothed_loss": self._best[0],
            "best_step": self._best[1],
            "above_since": self._above[name][0],
            "steps_above": len(self._above[name]),
            "last_good_weights": self.proven,
        }
        remedy = self._lower(10 if name == "blowup" else 2) + ", or lengthen the warm-up"
        return _found("diverged", step, STOP, evidence, remedy)

    @property
    def initial(self):
        """The initial loss: the median of the first five, not far above the very first, at least ``scale``."""
        first = [abs(loss) for _, loss in self._losses[:FIRST_LOSSES]]
        # losses that explode in the second step are no measure of themselves
        return max(min(float(np.median(first)), self.thresholds.blowup_factor * first[0]), self.thresholds.scale)

    def _rise_limit(self):
        """The limit of the smoothed loss; infinite as long as the noise is not known."""
        limits, best = self.thresholds, self._best[0]
        if len(self._calm) < 2 * limits.smoothing:
            return math.inf
        rise = (
            (limits.rise_factor - 1) * abs(best),
            limits.rise_initial * self.initial,
            limits.rise_noise * step_noise(np.array(self._calm), limits.smoothing),
        )
        return best + max(rise)

    def _lost_limit(self):
        """The limit of the level of many steps against the first losses: a training that was lost from the start."""
        limits, calm = self.thresholds, np.array(self._calm)
        first = [loss for _, loss in self._losses[:3]]
        known = 3 * limits.smoothing <= len(self._losses) <= limits.lost_steps and len(calm) >= 2 * limits.smoothing
        if not known or min(*first, calm.min()) <= 0:
            return math.inf
        noise = step_noise(np.log(calm), limits.smoothing)
        rise = max(math.log(limits.lost_factor), limits.lost_noise * noise)
        return max(float(np.median(first)), limits.scale) * math.exp(rise)

    def _spike(self, step, norm):
        limits, before = self.thresholds, np.log(np.maximum(self._norms, 1e-30)) if self._norms else np.array([])
        self._norms.append(norm)
        if len(before) < limits.spike_least:
            return
        middle = float(np.median(before))
        deviation = max(MAD_TO_SIGMA * float(np.median(np.abs(before - middle))), limits.spike_floor)
        z = (math.log(max(norm, 1e-30)) - middle) / deviation
        if z > limits.spike_z:
            evidence = {"gradient_norm": norm, "median": math.exp(middle), "z": z, "n": len(before)}
            remedy = f"look at the samples of step {step}; where spikes are frequent, lower max_grad_norm"
            yield _found("spike", step, WARNING, evidence, remedy)

    def _plateau(self, step):
        limits, count = self.thresholds, len(self._losses)
        window = limits.plateau_window
        if count < window or count % max(1, window // 2):
            return
        rates = [rate for rate in self._rates if rate is not None]
        if rates and rates[-1] < limits.plateau_learning_rate * max(rates):
            return
        change, low, high = trend(np.array([loss for _, loss in self._losses[-window:]]))
        flat, before, self._flat = high >= 0, self._flat, high >= 0
        if flat and not before:
            evidence = {"change": change, "low": low, "high": high, "n": window, "level": self._losses[-1][1]}
            said = f"nothing was learned visibly in the last {window} steps: end earlier, or raise the learning rate"
            yield _found("plateau", step, NOTE, evidence, f"{said}, or vary the data")

    def _validation(self, values):
        step, loss = values["step"], values["validation_loss"]
        self.validations += 1
        if not math.isfinite(loss):
            evidence = {"non_finite": "validation loss", "last_gradient_norm": self._norms[-1] if self._norms else None}
            remedy = f"look for broken or empty validation samples, then {self._lower(2)}, or train in float32"
            yield _found("non_finite", step, STOP, evidence, remedy)
            return
        best, since = self._validation_best
        if loss < best:
            self._validation_best, self._after_best, self._gap_told = (loss, step), 0, False
            return
        risen = loss > best + self.thresholds.gap_rise * abs(best)
        self._after_best = self._after_best + 1 if risen else 0
        if self._after_best >= self.thresholds.gap_evaluations and not self._gap_told:
            yield from self._gap(step, loss, best, since)

    def _gap(self, step, loss, best, since):
        size = 2 * self.thresholds.smoothing
        before = np.array([each for at, each in self._losses if at <= since][-size:])
        now = np.array([each for at, each in self._losses if at > since][-size:])
        if min(len(before), len(now)) < 3:
            return
        fall = float(before.mean() - now.mean())
        error = math.sqrt(before.var(ddof=1) / len(before) + now.var(ddof=1) / len(now))
        if fall > 1.96 * error:
            self._gap_told = True
            evidence = {
                "validation_loss": loss,
                "best_validation_loss": best,
                "best_step": since,
                "training_loss_then": float(before.mean()),
                "training_loss_now": float(now.mean()),
                "training_fall_low": fall - 1.96 * error,
                "training_fall_high": fall + 1.96 * error,
                "n": len(now),
            }
            remedy = f"the training is learning by heart since step {since}: train fewer epochs, or take more data"
            yield _found("overfitting", step, NOTE, evidence, remedy)

    def _lower(self, divisor):
        seen = [rate for rate in self._rates if rate is not None and math.isfinite(rate)]
        rate = self.configured_rate or max(seen, default=None)
        if not rate:
            return "lower learning_rate"
        return f"lower learning_rate from {rate:.3g} to {rate / divisor:.3g}"


def step_noise(losses, lag):
    """The standard deviation of a loss around its course, from differences over ``lag`` steps; float64 ``[n]`` in.

    Differences over some steps see correlated noise too, their median takes out a trend, and the median absolute
    deviation is blind to single outliers.
    """
    changes = losses[lag:] - losses[:-lag]
    return MAD_TO_SIGMA * float(np.median(np.abs(changes - np.median(changes)))) / math.sqrt(2)


def trend(losses):
    """``(change, low, high)`` of a straight line through losses from the first step to the last, with 95 % interval.

    Ordinary least squares; the standard error is widened for residuals correlated at lag one by
    sqrt((1 + r) / (1 - r)), as for the mean of an AR(1) series.
    """
    n = len(losses)
    x = np.arange(n) - (n - 1) / 2
    slope = float(x @ losses / (x @ x))
    rest = losses - losses.mean() - slope * x
    variance = float(rest @ rest) / (n - 2)
    memory = float(rest[1:] @ rest[:-1] / (rest @ rest)) if variance > 0 else 0.0
    memory = min(max(memory, 0.0), 0.95)
    error = math.sqrt(variance / float(x @ x) * (1 + memory) / (1 - memory))
    change, half = slope * (n - 1), 1.96 * error * (n - 1)
    return change, change - half, change + half


def _found(kind, step, severity, evidence, remedy):
    return Finding(kind, step, severity, {name: _figure(value) for name, value in evidence.items()}, remedy)


def _broken(value):
    return value is not None and not math.isfinite(value)


def _figure(value):
    """A figure of six digits as JSON can hold it; numbers that are not finite become None."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
