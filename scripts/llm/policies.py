"""A base model with or without an adapter, ready to be trained or asked."""

import os
import shutil
from pathlib import Path

from scripts.common import devices
from scripts.common.atomic import replacing
from scripts.common.errors import StudyError
from scripts.llm import adapters, device_maps, weights
from scripts.llm import attention as segments

ADAPTER = ("adapter_model.safetensors", "adapter_config.json")


def load(
    folder,
    index,
    *,
    adapter=None,
    device="cpu",
    dtype="float32",
    attention="sdpa",
    trainable=False,
    four_bit=False,
    cards=1,
):
    """The model in ``folder``, checked against its ``index``, with the adapter in the folder ``adapter`` if any.

    ``dtype`` is that of the base's weights; ``four_bit`` loads them as NF4 (bitsandbytes), the rest as float32.
    ``cards``: over how many GPUs the layers are spread. Raises StudyError where a file is not as the index says, and
    where the cards do not hold the model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if attention == segments.NAME:
        segments.register()
    weights.check(folder, index)
    settings = {"dtype": getattr(torch, dtype), "attn_implementation": attention, "local_files_only": True}
    if four_bit:
        settings["quantization_config"] = quantisation(dtype)
    if device == "cuda":
        # the whole model on one card, where the trainer of this process computes: torchrun says which of several
        settings["device_map"] = {"": int(os.environ.get("LOCAL_RANK", 0))}
    if device == "cuda" and cards > 1:
        room = dict(list(device_maps.free().items())[:cards])
        settings["device_map"] = device_maps.spread(folder, room, "float32" if four_bit else dtype, four_bit)
    model = AutoModelForCausalLM.from_pretrained(str(folder), trust_remote_code=False, **settings)
    if four_bit:
        # before any adapter: every phase, DPO and its reference have to compute alike
        model = _prepared(model)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter), is_trainable=trainable)
    return model if trainable else model.eval()


def _prepared(model):
    """A 4-bit base, frozen, with norms, embeddings and head in float32."""
    from peft import prepare_model_for_kbit_training

    for module in model.modules():
        # on some CPUs bitsandbytes packs the weights anew at the first validation, into a format of bfloat16 that has
        # no gradient: the training would end at the step after it
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def quantisation(dtype):
    """Settings of a 4-bit base: NF4, double quantisation, arithmetic in ``dtype``."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )


def attach(model, lora, seed):
    """``model`` with a new adapter: ``lora`` is the dict of :class:`scripts.llm.settings.Adapter`.

    Equal seeds give equal adapters. The adapter changes nothing until it is trained.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=list(lora["targets"]),
        use_dora=lora["method"] == "dora",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def without_dropout(model):
    """``model`` with every dropout off: DPO compares log-probabilities, which dropout would blur."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def save_adapter(model, base, folder, weights_path, config_path):
    """Write a policy's adapter and its config, in which the base is called ``base``: no path of this machine.

    ``folder`` is for the files on their way.
    """
    model.save_pretrained(str(folder))
    adapters.clean(folder, base)
    for name, path in zip(ADAPTER, (weights_path, config_path), strict=True):
        with replacing(path) as temporary:
            shutil.copyfile(Path(folder) / name, temporary)


def use_one_thread():
    """Let torch compute on one thread: on several its sums round in another order, and the files would differ."""
    import torch

    torch.set_num_threads(1)


def device_for(resources):
    """``cuda`` or ``cpu`` for a job with these resources: cuda where it asked for a GPU. A job never trains on the CPU
    what was planned for a GPU.

    ``resources``: ``get`` knows gpu or gres, how many it asked for, and gpu_memory_gb, the least memory of each in GB
    (10^9 bytes). Raises StudyError where there are fewer GPUs, or one of them has less memory.
    """
    asked, least = devices.asked(resources), resources.get("gpu_memory_gb")
    if not asked:
        return "cpu"
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < asked:
        raise StudyError(
            f"this job asked for {asked} GPU and finds {found or 'none'} (torch {torch.__version__}); give it what it "
            "asked for, or set `device: cpu` to train on the CPU"
        )
    for number in range(asked):
        card = torch.cuda.get_device_properties(number)
        if least and card.total_memory < least * 10**9:
            raise StudyError(
                f"this job asked for a GPU with {least} GB or more, and GPU {number} ({card.name}) has "
                f"{card.total_memory / 10**9:.1f} GB; lower gpu.memory_gb, or name a larger card as gpu.model"
            )
    return "cuda"
