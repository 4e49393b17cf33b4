"""Attention over packed rows: each sample attends to itself only, at the cost of its own length squared.

A dense mask would cost the square of the row. On a GPU this is torch's variable-length flash attention, which has no
float32; there without autocast, and on a CPU, the samples of a row take turns in torch's causal kernel.
"""

NAME = "segmented"


def register():
    """Make ``attn_implementation="segmented"`` known to transformers. The model is called with
    ``cu_seq_lens_q`` and ``segment_lengths``."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, segmented)
    # no mask is made: the bounds of the samples say all of it
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def segmented(
    module,
    query,
    key,
    value,
    attention_mask,
    scaling=None,
    dropout=0.0,
    cu_seq_lens_q=None,
    segment_lengths=None,
    **_,
):
    """Causal attention within samples: query ``[1, heads, tokens, width]``, key and value ``[1, kv_heads, ...]``.

    ``cu_seq_lens_q``: int32 ``[samples + 1]``, where the samples of the row begin, and its end; ``segment_lengths``:
    their lengths as numbers, since reading them from a GPU would make it wait in every layer. None: one sample.
    Returns ``([1, tokens, heads, width], None)``.
    """
    import torch

    if cu_seq_lens_q is None:
        segment_lengths = [query.shape[2]]
        cu_seq_lens_q = torch.tensor([0, query.shape[2]], dtype=torch.int32, device=query.device)
    if segment_lengths is None:
        segment_lengths = cu_seq_lens_q.diff().tolist()
    dtype = _flash_dtype(query)
    if dtype is not None:
        row = (each.to(dtype) for each in (query, key, value))
        return _variable_length(*row, scaling, cu_seq_lens_q, max(segment_lengths)).to(query.dtype), None
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, dim=1) if groups > 1 else each for each in (key, value))
    attend = torch.nn.functional.scaled_dot_product_attention
    parts = [
        attend(
            *segment,
            dropout_p=dropout if module.training else 0.0,
            is_causal=True,
            scale=scaling,
        )
        for segment in zip(*(each.split(segment_lengths, dim=2) for each in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _flash_dtype(query):
    """The number format in which flash attention takes a row; None where it cannot: on a CPU, and in float32.

    Under autocast projections may still be float32 (those of 4-bit layers have the format of their input).
    """
    import torch

    if not query.is_cuda:
        return None
    if query.dtype in (torch.float16, torch.bfloat16):
        return query.dtype
    return torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None


def _variable_length(query, key, value, scaling, bounds, longest):
    """torch's flash attention over the samples of a row, in bfloat16 or float16; not run without a GPU."""
    from torch.nn.attention.varlen import varlen_attn

    flat = [each[0].transpose(0, 1).contiguous() for each in (query, key, value)]
    grouped = query.shape[1] != key.shape[1]
    out = varlen_attn(*flat, bounds, bounds, longest, longest, scale=scaling, window_size=(-1, 0), enable_gqa=grouped)
    return out[None]
