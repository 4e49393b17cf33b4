"""The ``bases`` and ``recipes`` sections of a study's config."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from scripts.common.settings import Name, Settings
from scripts.llm.architectures import LAYERS

Share = Annotated[float, Field(ge=0, le=1)]
Dtype = Literal["float32", "bfloat16"]
Quant = Literal["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]


class Scratch(Settings):
    """A small Qwen2 model and its tokenizer, made by the workflow from the text of corpora."""

    kind: Literal["scratch"]
    corpora: list[Name] = Field(min_length=1, description="whose training texts it is pretrained on")
    vocabulary: PositiveInt = Field(2048, ge=320, description="tokens of the byte-level BPE")
    hidden: PositiveInt = Field(256, multiple_of=256, description="width; K-quants need multiples of 256")
    intermediate: PositiveInt = Field(512, multiple_of=256, description="width of the feed-forward layers")
    layers: PositiveInt = Field(2, description="transformer blocks")
    heads: PositiveInt = Field(4, description="attention heads")
    kv_heads: PositiveInt = Field(2, description="heads of keys and values")
    context: PositiveInt = Field(2048, description="tokens at most")
    steps: PositiveInt = Field(700, description="optimizer steps of pretraining")
    batch: PositiveInt = Field(4, description="texts of a step")
    learning_rate: PositiveFloat = Field(2e-3, description="at its height")

    @model_validator(mode="after")
    def _heads_fit(self):
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise ValueError("heads: must divide hidden, and kv_heads must divide heads")
        return self


class Hub(Settings):
    """A published model, fixed by the commit of its repository; safetensors only, none of its code is run."""

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="such as Qwen/Qwen2.5-0.5B-Instruct")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="the full hash of a commit")


class Local(Settings):
    """A model folder of yours: config.json, safetensors, tokenizer.json, tokenizer_config.json."""

    kind: Literal["local"]
    path: str = Field(description="the folder; environment variables are expanded")


class Merged(Settings):
    """Several bases of one architecture and vocabulary merged into one."""

    kind: Literal["merge"]
    method: Literal["slerp", "linear", "ties", "dare"]
    models: dict[Name, PositiveFloat] = Field(
        min_length=1, description="names of other bases with their weights; slerp takes two and ignores weights"
    )
    onto: Name | None = Field(None, description="ties and dare: the base whose differences are merged")
    t: float | list[float] = Field(0.5, description="slerp: 0 is the first model; a list runs over the layers")
    density: float = Field(0.5, gt=0, le=1, description="ties and dare: share of a difference that is kept")
    dtype: Dtype | None = Field(None, description="of the result; null: that of the first model")
    shard: str = Field("5GB", pattern=r"^\d+(MB|GB)$", description="size of a file of weights at most")

    @model_validator(mode="after")
    def _consistent(self):
        if self.method == "slerp" and len(self.models) != 2:
            raise ValueError(f"models: slerp merges two models, not {len(self.models)}")
        if self.method in ("ties", "dare") and self.onto is None:
            raise ValueError(f"onto: {self.method} merges differences from a base; name it")
        return self


Base = Annotated[Scratch | Hub | Local | Merged, Field(discriminator="kind")]


class Adapter(Settings):
    """Low-rank matrices beside the frozen weights of the base."""

    method: Literal["lora", "qlora", "dora"] = Field("lora", description="qlora keeps the base in 4 bits (NF4)")
    r: PositiveInt = Field(16, description="rank")
    alpha: PositiveInt = Field(32, description="scale is alpha / r")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapter's input")
    targets: list[str] = Field(list(LAYERS), min_length=1, description="names of the linear layers that get one")


class Training(Settings):
    """What SFT, DPO and GRPO share."""

    samples: PositiveInt | None = Field(None, description="so many, at equal distances in the file; null: all")
    batch: PositiveInt = Field(16, description="samples of an optimizer step")
    max_length: PositiveInt = Field(1024, description="tokens; longer samples are left out and counted")
    learning_rate: PositiveFloat = Field(1e-3, description="at its height")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="after the warm-up")
    warmup: Share = Field(0.05, description="share of the steps")
    weight_decay: NonNegativeFloat = Field(0.0, description="of AdamW")
    max_grad_norm: PositiveFloat = Field(1.0, description="gradients are clipped to it")
    dtype: Dtype = Field("float32", description="of the frozen weights and of the arithmetic; adapters are float32")
    gradient_checkpointing: bool = Field(False, description="less memory, more time")
    checkpoints: PositiveInt = Field(
        10, description="how many states of a training are saved on the way; a change of it trains nothing again"
    )


class RowTraining(Training):
    """What SFT and DPO share: samples that are known beforehand, computed in rows."""

    epochs: PositiveFloat = Field(1.0, description="passes over the samples")
    row_tokens: PositiveInt = Field(1024, description="tokens that are computed at once, at most")
    attention: Literal["segmented", "sdpa", "flash_attention_2"] = Field(
        "segmented", description="segmented: torch's kernels over the samples of a row; the others are transformers'"
    )
    evaluations: PositiveInt = Field(4, description="how often the validation loss is measured")


class Sft(RowTraining):
    """Supervised fine-tuning on conversations; the loss is on the answers. A phase may override any of it."""

    parts: list[Name] | Literal["all"] = Field("all", description="parts of the corpus")
    validation_samples: PositiveInt = Field(
        100, description="of the validation split's parts, at equal distances, for the validation loss"
    )
    packing: bool = Field(True, description="pack the samples of a step into rows without padding; same loss")


class Dpo(RowTraining):
    """Direct preference optimisation; the reference is the policy that SFT made."""

    parts: list[Name] | Literal["all"] = Field("all", description="parts of the corpus")
    beta: PositiveFloat = Field(0.1, description="weight of the distance from the reference")


class Grpo(Training):
    """Group-relative policy optimisation with the corpus's rule-based reward."""

    batch: PositiveInt = Field(16, description="completions of an optimizer step")
    max_length: PositiveInt = Field(1024, description="tokens of a prompt; longer ones are left out and counted")
    parts: list[Name] | Literal["all"] = Field("all", description="parts of the corpus")
    generations: PositiveInt = Field(8, ge=2, description="completions of a prompt that are compared")
    steps: PositiveInt = Field(50, description="optimizer steps")
    beta: NonNegativeFloat = Field(0.0, description="weight of the distance from the policy at the start")
    temperature: PositiveFloat = Field(1.0, description="of the completions")
    max_new_tokens: PositiveInt = Field(256, description="of a completion")


class Parallel(Settings):
    """How SFT and DPO use several devices. The number of processes changes the last digits of what is trained."""

    kind: Literal["none", "data", "model"] = Field(
        "none",
        description="data: a process for each device, each with the whole model and its share of every batch "
        "(torchrun, DDP; GRPO keeps to one); model: one process, the layers spread over the GPUs (device_map auto), "
        "for a base that does not fit one",
    )
    devices: PositiveInt = Field(1, description="GPUs of a training; with kind data and no GPU processes on the CPU")

    @model_validator(mode="after")
    def _consistent(self):
        if self.kind == "none" and self.devices > 1:
            raise ValueError(
                f"devices: {self.devices} devices need a kind: data where the base fits one of them, else model"
            )
        if self.kind != "none" and self.devices < 2:
            raise ValueError(f"devices: kind {self.kind} needs at least 2; for one device leave parallel out")
        return self


class TrainingPhase(Settings):
    """One phase of SFT: which samples, and what it overrides. It continues the adapter of the one before."""

    curriculum: Name | None = Field(None, description="phase of the corpus's curriculum; null: the training split")
    sft: dict[str, object] = Field({}, description="keys of sft that this phase overrides")


class Modelfile(Settings):
    """What Ollama is told beside the template and the stop tokens, which come from the tokenizer."""

    system: str | None = Field(None, description="system prompt")
    temperature: NonNegativeFloat = Field(0.0, description="of sampling")
    num_ctx: PositiveInt | None = Field(None, description="context; null: the model's own")


class Export(Settings):
    """What is made of the last adapter."""

    quants: list[Quant] = Field(["F32", "Q8_0"], description="number formats of GGUF files")
    lora: bool = Field(False, description="the adapter as a GGUF file of its own, for hot-swap")
    modelfile: Modelfile = Field(Modelfile(), description="for Ollama")
    max_kl: dict[Quant, PositiveFloat] = Field({}, description="overrides of the gates on mean KL, by quant")
    min_agreement: dict[Quant, Share] = Field({}, description="overrides of the gates on equal decisions, by quant")
    verified_texts: PositiveInt = Field(60, description="held-out prompts whose decisions are compared")

    @field_validator("quants")
    @classmethod
    def _no_quant_twice(cls, quants):
        if len(set(quants)) != len(quants):
            raise ValueError("a quant is named twice")
        return quants


class QuestionSet(Settings):
    """Questions that are answered greedily and scored by rule: the corpus's benchmark, its held-out prompts, or those
    of its held-out conversations whose answers a rule can judge."""

    kind: Literal["benchmark", "prompts", "answers"]
    corpus: Name = Field(description="whose benchmark.jsonl, prompts/test.jsonl or messages/test.jsonl")
    parts: list[Name] | Literal["all"] = Field("all", description="kind answers: parts of the corpus")
    per_domain: PositiveInt | None = Field(None, description="so many of each domain, at equal distances; null: all")
    max_new_tokens: PositiveInt = Field(256, description="of an answer")


class HeldOut(Settings):
    """Loss, perplexity and calibration of the next token on held-out answers."""

    kind: Literal["held_out"]
    corpus: Name = Field(description="whose messages/test.jsonl")
    parts: list[Name] | Literal["all"] = Field("all", description="parts of the corpus")
    samples: PositiveInt | None = Field(None, description="so many, at equal distances in the file; null: all")


class Pairs(Settings):
    """Preference accuracy: is the chosen answer the likelier one? Part by part."""

    kind: Literal["pairs"]
    corpus: Name = Field(description="whose preferences/test.jsonl")
    parts: list[Name] | Literal["all"] = Field("all", description="parts of the corpus")
    samples: PositiveInt | None = Field(None, description="so many of each part, at equal distances; null: all")


class Decisions(Settings):
    """BUY or SELL on held-out rows, against the outcome, the majority class and the ensemble."""

    kind: Literal["decisions"]
    corpus: Name = Field(description="whose preferences/test.jsonl: their questions, without the answers")
    parts: list[Name] | Literal["all"] = Field("all", description="parts of the corpus")
    ensemble: Name | None = Field(None, description="whose out-of-fold and test rows are compared; null: none")
    samples: PositiveInt | None = Field(None, description="so many of each part, at equal distances; null: all")


class Harness(Settings):
    """Tasks of lm-evaluation-harness, which has to be installed."""

    kind: Literal["harness"]
    tasks: list[str] = Field(min_length=1, description="names of tasks")
    path: str | None = Field(None, description="folder with tasks of yours")
    limit: PositiveInt | None = Field(None, description="questions of a task; null: all")


EvaluationSet = Annotated[QuestionSet | HeldOut | Pairs | Decisions | Harness, Field(discriminator="kind")]


class Recipe(Settings):
    """One model: a base, a corpus, an adapter trained in phases, what is exported and how it is judged."""

    base: Name = Field(description="one of the bases")
    corpus: Name = Field(description="one of the corpora")
    adapter: Adapter = Field(Adapter(), description="what is trained")
    sft: Sft = Field(Sft(), description="supervised fine-tuning; each phase starts from these settings")
    phases: dict[Name, TrainingPhase] = Field(
        {"all": TrainingPhase()}, min_length=1, description="in the order of training"
    )
    dpo: Dpo | None = Field(None, description="after SFT; null: none")
    grpo: Grpo | None = Field(None, description="after DPO, or SFT; null: none")
    parallel: Parallel = Field(Parallel(), description="several devices for one training")
    export: Export = Field(Export(), description="GGUF files and what goes with them")
    evaluation: dict[Name, EvaluationSet] = Field({}, description="what every artifact is asked")

    @model_validator(mode="after")
    def _phases_are_valid(self):
        for name in self.phases:
            self.at(name)
        if self.export.lora and self.adapter.method == "dora":
            raise ValueError(
                "export.lora: llama.cpp has no DoRA adapters (their magnitudes scale the base's weights); "
                "leave it off and use the merged GGUF files"
            )
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self):
        if self.parallel.kind == "data":
            batches = {f"phases.{name}: sft.batch": self.at(name).batch for name in self.phases}
            batches |= {"dpo.batch": self.dpo.batch} if self.dpo else {}
            for where, batch in batches.items():
                if batch % self.parallel.devices:
                    raise ValueError(
                        f"{where} of {batch} samples is no multiple of parallel.devices ({self.parallel.devices}), "
                        "among which it is divided; change one of them"
                    )
        return self

    def at(self, phase):
        """The :class:`Sft` settings of a phase."""
        return Sft.model_validate(self.sft.model_dump() | self.phases[phase].sft)

    @property
    def stages(self):
        """The trained policies in their order: ``sft-<phase>`` for every phase, then dpo and grpo where there are."""
        tuned = [name for name in ("dpo", "grpo") if getattr(self, name)]
        return [f"sft-{name}" for name in self.phases] + tuned
