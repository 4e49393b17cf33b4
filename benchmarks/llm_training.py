"""LoRA fine-tuning with the project's settings, beside plain padded Hugging Face training of the same data.

    python benchmarks/llm_training.py [--threads 1 2] [--dtypes float32 bfloat16] [--repetitions 2]
    python benchmarks/llm_training.py --gpu [--shape 7b] [--repetitions 1]

The peer: transformers' Trainer on AutoModelForCausalLM, a step's samples padded on the right to the longest of them in
batches of ``--peer-batch``, attention mask, sdpa, the logits of every position, the model's own loss. Ours: what
`train_sft` calls with the defaults of a recipe: rows without padding, attention within samples, logits of targets only.
Both get the same base, the same adapter at the start (the digests are compared), the same samples in the same order in
the same optimizer steps, the same AdamW and schedule; both save once, after the clock has stopped.

The data are made: conversations of tokens that a table of successors draws, lengths lognormal (mean about 220 tokens,
1,024 at most; ``--spread`` is the standard deviation of the logarithm: 0.33 and 0.76 in the two corpora of the default
study), the loss on the second part of each. Every measurement is a process of its own, so that the peak of memory is
its own; repetitions alternate between the two. Prints a JSON line per measurement: CPU and wall seconds from before the
first step to after the last, non-padding tokens per second of wall time, peak resident memory of the process and how
much of it came with the training. Then, per dtype and thread count, the ratios of the sums over repetitions, and the
paired difference of the held-out loss with its 95 % interval: both adapters are judged by the same code.

With ``--gpu``: a Qwen2 of the 7B shape with random weights in bfloat16, LoRA of rank 64 on every linear layer, rows of
8,192 tokens; the first steps are warm-up. FLOPs per non-padding token: 4 x frozen + 6 x adapter parameters + attention
(causal, within samples: 6 x length x width per layer). ``mfu`` counts the output layer for target tokens only and the
input embedding not at all; ``mfu_all_parameters`` counts every frozen parameter for every token. Both are shares of the
card's dense bfloat16 peak (``--peak-flops``, default that of H100 and H200 SXM).
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.llm import attention, packing, policies, trainers  # noqa: E402
from scripts.llm.examples import IGNORED, Example  # noqa: E402
from scripts.llm.settings import Adapter, Sft  # noqa: E402

SEED = 7
MEAN, SHORTEST, LONGEST = 220, 24, 1024  # of a conversation's tokens
SUCCESSORS = (0.55, 0.25, 0.15, 0.05)  # how likely each of a token's four successors is
LEARNING_RATE = 5e-3  # high: a base that knows nothing has to learn something in so few steps
SAME = 1e-3  # nats: a difference of the held-out loss whose whole interval is below that comes from rounding
SHAPES = {
    "small": {"hidden": 256, "intermediate": 512, "layers": 4, "heads": 4, "kv_heads": 2, "vocabulary": 2048},
    "tiny": {"hidden": 64, "intermediate": 128, "layers": 2, "heads": 4, "kv_heads": 2, "vocabulary": 512},
    "7b": {"hidden": 3584, "intermediate": 18944, "layers": 28, "heads": 28, "kv_heads": 4, "vocabulary": 152064},
}
OURS, PEER = "ours", "peer"


def main():
    """Measure every combination and compare."""
    options = arguments()
    if options.worker:
        print(json.dumps(measure(json.loads(options.worker))))
        return
    print_line(**machine(options))
    for dtype in options.dtypes:
        for threads in options.threads:
            compare(options, dtype, threads)


def compare(options, dtype, threads):
    """Both variants in turn, the measurements and their comparison."""
    done = {OURS: [], PEER: []}
    for repetition in range(options.repetitions):
        # which one goes first changes, so that a slow spell of the machine hits both alike
        for variant in [PEER, OURS] if repetition % 2 == 0 else [OURS, PEER]:
            found = in_process(work(options, variant, dtype, threads))
            done[variant].append(found)
            figures = {name: value for name, value in found.items() if name != "held_out"}
            print_line(variant=variant, dtype=dtype, threads=threads, repetition=repetition, **figures)
    ours, peer = done[OURS], done[PEER]
    ratios = {f"{name}_ratio": round(total(peer, name) / total(ours, name), 3) for name in ("cpu_s", "wall_s")}
    memory = "peak_gpu_bytes" if options.gpu else "peak_bytes"
    ratios["memory_ratio"] = round(max(each[memory] for each in peer) / max(each[memory] for each in ours), 3)
    same_start = len({each["adapter_at_start"] for each in ours + peer}) == 1
    print_line(comparison="peer / ours", dtype=dtype, threads=threads, **ratios, same_start=same_start)
    print_line(comparison="held-out loss", dtype=dtype, threads=threads, **agreement(ours[0], peer[0]))


def total(done, name):
    """A figure summed over repetitions."""
    return sum(each[name] for each in done)


def agreement(ours, peer):
    """The paired difference of the mean held-out loss per sample, with its 95 % interval (normal, n samples)."""
    a, b = (np.array(each["held_out"]) for each in (ours, peer))
    half = 1.96 * (a - b).std(ddof=1) / np.sqrt(len(a))
    low, high = (a - b).mean() - half, (a - b).mean() + half
    return {
        "n": len(a),
        "before": round(ours["held_out_before"], 4),
        OURS: round(a.mean(), 4),
        PEER: round(b.mean(), 4),
        "difference": [float(f"{each:.3g}") for each in ((a - b).mean(), low, high)],
        "equal": bool(low <= 0 <= high or max(abs(low), abs(high)) < SAME),
    }


def work(options, variant, dtype, threads):
    """What a process measures, as JSON can say it."""
    names = (
        "gpu",
        "samples",
        "held_out",
        "batch",
        "peer_batch",
        "row_tokens",
        "rank",
        "warm_up",
        "spread",
        "peak_flops",
    )
    chosen = {name: getattr(options, name) for name in names}
    return chosen | {"variant": variant, "dtype": dtype, "threads": threads, "shape": SHAPES[options.shape]}


def in_process(asked):
    """:func:`measure` in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": str(asked["threads"]), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, __file__, "--worker", json.dumps(asked)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(asked):
    """One training: its seconds, its memory, and the held-out loss of every sample after it."""
    import torch

    warnings.simplefilter("ignore")
    policies.use_threads(asked["threads"])
    device = "cuda" if asked["gpu"] and torch.cuda.is_available() else "cpu"
    train, held = conversations(asked)
    settings = settings_of(asked)
    model = adapted(asked, device)
    digest, before = adapter_digest(model), float(np.mean(losses(model, held, asked["dtype"])))
    with tempfile.TemporaryDirectory() as folder:
        build = ours if asked["variant"] == OURS else peer
        trainer, padded = build(model, train, settings, Path(folder), asked, device)
        clock = Clock(asked["warm_up"], device)
        trainer.add_callback(clock.callback())
        reset_peak()
        resident = memory("VmRSS")
        trainer.train()
        figures = clock.figures()
        peak = memory("VmHWM")
    steps = batches(len(train), settings)[clock.first :]
    lengths = np.array([train[each].length for step in steps for each in step])
    targets = int(sum(train[each].length - train[each].segments[0][1] for step in steps for each in step))
    figures |= {"steps": len(steps), "samples": len(lengths), "tokens": int(lengths.sum()), "targets": targets}
    figures["tokens_per_s"] = round(lengths.sum() / figures["wall_s"], 1)
    figures["share_of_padding"] = round(padded, 3)
    figures |= {"peak_bytes": peak, "peak_bytes_of_training": peak - resident, "adapter_at_start": digest[:12]}
    if asked["gpu"]:
        figures |= utilisation(model, lengths, targets, figures["wall_s"], asked)
    figures["held_out_before"] = before
    return figures | {"held_out": losses(model, held, asked["dtype"])}


def ours(model, train, settings, folder, asked, device):
    """``(trainer, share of padding)`` of a training as `train_sft` does it."""
    course = trainers.course(train, settings, SEED)
    # train() makes the trainer and trains; here the clock has to come between
    kind = trainers._trainer()
    trainer = kind(
        model=model,
        args=trainers.arguments(settings | {"evaluations": 0}, course, folder, seed=SEED, device=device),
        train_dataset=course.rows,
        objective=trainers.Imitation(),
    )
    return trainer, 0.0


def peer(model, train, settings, folder, asked, device):
    """``(trainer, share of padding)`` of plain training: padded batches, nothing else."""
    from transformers import Trainer, TrainingArguments

    steps = batches(len(train), settings)
    micro = min(asked["peer_batch"], settings["batch"])
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings["batch"] // micro,
        max_steps=len(steps),
        train_sampling_strategy="sequential",
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=round(settings["warmup"] * len(steps)),
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        optim="adamw_torch_fused" if device == "cuda" else "adamw_torch",
        bf16=settings["dtype"] == "bfloat16",
        use_cpu=device == "cpu",
        seed=SEED,
        save_steps=len(steps),
        disable_tqdm=True,
        report_to=[],
        dataloader_pin_memory=device == "cuda",
    )
    stream = [train[each].segments[0] for step in steps for each in step]
    samples = [{"input_ids": ids, "labels": [IGNORED] * start + ids[start:]} for ids, start in stream]
    lengths = [len(ids) for ids, _ in stream]
    groups = [lengths[at : at + micro] for at in range(0, len(lengths), micro)]
    padded = sum(max(group) * len(group) for group in groups)
    return Trainer(model, arguments, train_dataset=samples, data_collator=pad), 1 - sum(lengths) / padded


def pad(samples):
    """A batch of samples, padded on the right to the longest."""
    import torch

    longest = max(len(each["input_ids"]) for each in samples)
    fill = {"input_ids": 0, "labels": IGNORED}
    batch = {
        name: torch.tensor([each[name] + [value] * (longest - len(each[name])) for each in samples])
        for name, value in fill.items()
    }
    lengths = torch.tensor([len(each["input_ids"]) for each in samples])
    return batch | {"attention_mask": (torch.arange(longest)[None] < lengths[:, None]).long()}


def batches(number, settings):
    """The samples of every optimizer step, of both variants."""
    return packing.draw_batches(number, settings["batch"], settings["epochs"], SEED)


def settings_of(asked):
    """A recipe's defaults with what is asked for."""
    chosen = {name: asked[name] for name in ("batch", "row_tokens", "dtype")}
    return Sft(**chosen, learning_rate=LEARNING_RATE, checkpoints=1).model_dump(mode="json")


def conversations(asked):
    """``(train, held out)``: made examples, equal for both variants."""
    rng = np.random.default_rng(SEED)
    vocabulary = asked["shape"]["vocabulary"]
    # some tokens are common, as in any language
    common = 1 / (10 + np.arange(vocabulary))
    table = rng.choice(vocabulary, (vocabulary, len(SUCCESSORS)), p=common / common.sum())
    made = [conversation(rng, table, asked["spread"]) for _ in range(asked["samples"] + asked["held_out"])]
    return made[: asked["samples"]], made[asked["samples"] :]


def conversation(rng, table, spread):
    """One example; the answer is 30 to 70 % of it."""
    length = int(np.clip(rng.lognormal(np.log(MEAN) - spread**2 / 2, spread), SHORTEST, LONGEST))
    choices = rng.choice(len(SUCCESSORS), size=length, p=SUCCESSORS)
    ids = [int(rng.integers(0, len(table)))]
    for choice in choices[1:]:
        ids.append(int(table[ids[-1], choice]))
    return Example(((ids, int(length * rng.uniform(0.3, 0.7))),))


def adapted(asked, device):
    """The base with random weights, and a new adapter: equal for both variants but for the attention."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    attention.register()
    shape = asked["shape"]
    config = Qwen2Config(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        intermediate_size=shape["intermediate"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        max_position_embeddings=asked["row_tokens"],
        tie_word_embeddings=not asked["gpu"],
    )
    kernel = attention.NAME if asked["variant"] == OURS else "sdpa"
    torch.manual_seed(SEED)
    with torch.device(device):
        dtype = getattr(torch, asked["dtype"])
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=kernel)
    return policies.attach(model, Adapter(r=asked["rank"], alpha=2 * asked["rank"]).model_dump(mode="json"), SEED)


def adapter_digest(model):
    """The SHA-256 of the trainable parameters."""
    found = hashlib.sha256()
    for name, each in sorted(model.named_parameters()):
        if each.requires_grad:
            found.update(name.encode() + each.detach().float().cpu().numpy().tobytes())
    return found.hexdigest()


def losses(model, examples, dtype):
    """The mean loss of each example's targets, one example at a time, with transformers' sdpa."""
    import torch

    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    model.eval()
    found = []
    kind = model.device.type
    with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=dtype == "bfloat16"):
        for ids, start in (each.segments[0] for each in examples):
            logits = model(torch.tensor([ids], device=model.device), use_cache=False).logits[0, start - 1 : -1]
            targets = torch.tensor(ids[start:], device=model.device)
            found.append(float(torch.nn.functional.cross_entropy(logits.float(), targets)))
    model.set_attn_implementation(before)
    model.train()
    return found


class Clock:
    """CPU and wall seconds of a training after its first ``warm_up`` steps, to the end of the last."""

    def __init__(self, warm_up, device):
        self.first, self.cuda, self.marks = warm_up, device == "cuda", []

    def callback(self):
        """The TrainerCallback that takes the times."""
        from transformers import TrainerCallback

        clock = self

        class Times(TrainerCallback):
            def on_train_begin(self, args, state, control, **kwargs):
                clock.mark(0)

            def on_step_end(self, args, state, control, **kwargs):
                clock.mark(state.global_step)

        return Times()

    def mark(self, step):
        """Take the time after a step: the first that counts, and each later one as the last so far."""
        import torch

        if step < self.first:
            return
        if self.cuda:
            torch.cuda.synchronize()
            if step == self.first:
                torch.cuda.reset_peak_memory_stats()
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.marks[1:] = [(time.perf_counter(), used.ru_utime + used.ru_stime)]

    def figures(self):
        """``wall_s``, ``cpu_s`` and, on a GPU, the peak of its memory."""
        import torch

        (start, used), (end, spent) = self.marks
        peak = torch.cuda.max_memory_allocated() if self.cuda else None
        return {"wall_s": round(end - start, 3), "cpu_s": round(spent - used, 3), "peak_gpu_bytes": peak}


def utilisation(model, lengths, targets, seconds, asked):
    """The model's FLOPs for tokens that are no padding, as shares of the card's peak."""
    shape = asked["shape"]
    adapter = sum(each.numel() for each in model.parameters() if each.requires_grad)
    frozen = sum(each.numel() for each in model.parameters() if not each.requires_grad)
    head = shape["hidden"] * shape["vocabulary"]
    attend = 6 * float((lengths.astype(float) ** 2).sum()) * shape["hidden"] * shape["layers"]
    tokens = float(lengths.sum())
    needed = tokens * (4 * (frozen - 2 * head) + 6 * adapter) + 4 * head * targets + attend
    every = tokens * (4 * frozen + 6 * adapter) + attend
    shares = {"mfu": needed, "mfu_all_parameters": every}
    found = {name: round(value / seconds / asked["peak_flops"], 4) for name, value in shares.items()}
    return found | {"frozen_parameters": frozen, "adapter_parameters": adapter}


def reset_peak():
    """Have the kernel forget the peak of this process's memory so far (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(name):
    """A figure of /proc/self/status in bytes: VmRSS (now) or VmHWM (peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def machine(options):
    """What the figures depend on."""
    import torch
    import transformers

    found = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "torch": torch.__version__}
    found |= {"transformers": transformers.__version__, "shape": options.shape, "rank": options.rank}
    if options.gpu:
        found["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return found


def print_line(**values):
    """One measurement as a JSON line."""
    print(json.dumps({"benchmark": "llm_training", **values}), flush=True)


def arguments():
    """The command line; what is not given depends on ``--gpu``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="the 7B shape on a GPU; on a CPU where there is none")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--samples", type=int, help="to train on, once")
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--batch", type=int, help="samples of an optimizer step")
    parser.add_argument("--peer-batch", type=int, help="samples that the peer pads together; divides batch")
    parser.add_argument("--row-tokens", type=int)
    parser.add_argument("--rank", type=int)
    parser.add_argument("--warm-up", type=int, help="steps before the clock starts")
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "bfloat16"))
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--spread", type=float, default=0.6, help="of the logarithm of the lengths")
    parser.add_argument("--peak-flops", type=float, default=989e12, help="dense bfloat16 peak of the card")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    small = {"shape": "small", "samples": 384, "batch": 16, "peer_batch": 8, "row_tokens": 1024, "rank": 16}
    small |= {"warm_up": 0, "dtypes": ["float32", "bfloat16"], "threads": [1, 2]}
    large = {"shape": "7b", "samples": 1280, "batch": 128, "peer_batch": 16, "row_tokens": 8192, "rank": 64}
    large |= {"warm_up": 2, "dtypes": ["bfloat16"], "threads": [8]}
    for name, value in (large if options.gpu else small).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    main()
