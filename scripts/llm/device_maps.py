"""The layers of one model spread over several GPUs: which card holds what (``device_map="auto"`` of transformers).

One process computes; at any time one card does. It is for bases that do not fit one card.
"""

from scripts.common.errors import StudyError

GB = 10**9


def free():
    """Free bytes of every GPU that this process sees, ``{card: bytes}``."""
    import torch

    return {card: torch.cuda.mem_get_info(card)[0] for card in range(torch.cuda.device_count())}


def spread(folder, room, dtype, four_bit=False):
    """``{module: card}`` of the model in ``folder`` over the cards of ``room`` (``{card: bytes free}``).

    Each card gets about as much of the weights as the others, whole blocks only; the model is built without its
    weights. ``four_bit``: the linear layers of the blocks count as 4 bits. Raises StudyError where the cards do not
    hold it: what transformers would leave on the host or on the disk cannot be trained.
    """
    import torch
    from accelerate import infer_auto_device_map, init_empty_weights
    from accelerate.utils import CustomDtype, get_balanced_memory
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.tie_weights()
    linear = [name for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)]
    head = model.get_output_embeddings()
    small = {
        f"{name}.weight": CustomDtype.INT4 for name in linear if four_bit and model.get_submodule(name) is not head
    }
    # accelerate would take the host and the disk for what is left
    room = {card: int(room[card]) for card in sorted(room)} | {"cpu": 0}
    options = {"no_split_module_classes": list(model._no_split_modules), "special_dtypes": small or None}
    balanced = get_balanced_memory(model, max_memory=dict(room), **options)
    found = infer_auto_device_map(model, max_memory=balanced, **options)
    if any(not isinstance(card, int) for card in found.values()):
        # the even share was too small for whole blocks: card after card is filled up
        found = infer_auto_device_map(model, max_memory=dict(room), **options)
    left = sorted(name for name, card in found.items() if not isinstance(card, int))
    if left:
        told = ", ".join(f"card {card} has {size / GB:.2f} GB" for card, size in room.items() if card != "cpu")
        raise StudyError(
            f"the layers of {folder} do not fit {len(room) - 1} GPUs ({told}): {', '.join(left[:3])}"
            f"{' ...' if len(left) > 3 else ''} would be left; give parallel.devices more GPUs or larger ones, or take "
            "adapter.method qlora or dtype bfloat16"
        )
    return found


def is_spread(model):
    """Whether a model's layers are on several cards."""
    cards = getattr(model, "hf_device_map", None)
    return cards is not None and len(set(cards.values())) > 1
