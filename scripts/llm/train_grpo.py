"""Group-relative policy optimisation: completions of a prompt compete, a rule judges them."""

from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.corpus import samples
from scripts.llm import adapters, chats, examples, policies, reinforcement, sessions

# the loss of a policy gradient passes through 0: only changes of this size matter to the guard
LOSS_SCALE = 1.0
FIGURES = {"reward": "reward", "reward_std": "reward_deviation", "completions/mean_length": "completion_tokens"}


def main(job):
    """Train the policy on prompts with verifiable answers, write the adapter."""
    params, inputs, settings = job.params, job.input, sessions.settings_of(job)
    tokenizer = chats.load_tokenizer(inputs.model)
    read = examples.chosen(samples.read(inputs.prompts), settings)
    found, too_long = reinforcement.prompts(tokenizer, read, settings["max_length"])
    if not found:
        raise StudyError(f"{inputs.prompts}: none of {len(read)} prompts is left to train on")
    with sessions.opened(job, "train_grpo", job.wildcards.recipe, "grpo") as session:
        model = policies.load(
            inputs.model,
            inputs["index"],
            adapter=Path(inputs.adapter).parent,
            device=session.device,
            cards=session.cards,
            dtype=settings["dtype"],
            trainable=True,
            four_bit=params.four_bit,
        )
        at_once, shrink = session.fitting("completions", settings["batch"], "gradients of {} completions at once")
        reinforcement.train_fitting(
            model,
            tokenizer,
            found,
            settings,
            session.state.folder,
            at_once=at_once,
            on_shrink=shrink,
            resume=lambda: session.state.resume(before=settings["steps"]),
            seed=params.seed,
            device=session.device,
            watchers=session.watch(settings, scale=LOSS_SCALE, also=FIGURES),
        )
        session.require_health()
        rewards = [each["reward"] for each in session.records() if "reward" in each]
        tenth = max(1, len(rewards) // 10)
        first, last = (sum(each) / len(each) for each in (rewards[:tenth], rewards[-tenth:]))
        progress.info("mean reward %.3f in the first tenth of %d steps, %.3f in the last", first, len(rewards), last)
        body = {
            "continues": adapters.sha256(inputs.adapter),
            "prompts": len(found),
            "too_long": too_long,
            "completions_halved": session.shrunk,
            "mean_reward_first_tenth": first,
            "mean_reward_last_tenth": last,
        }
        session.save(job, model, params.base, body)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
