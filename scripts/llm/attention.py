"""Attention over packed rows: each sample attends to itself only, at the cost of its own length squared.

A dense mask would cost the square of the row. On a GPU this is torch's variable-length flash attention; on a CPU the
samples of a row take turns in torch's causal kernel.
"""

NAME = "segmented"


def register():
    """Make ``attn_implementation="segmented"`` known to transformers. The model is called with ``cu_seq_lens_q``."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, segmented)
    # no mask is made: the bounds of the samples say all of it
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def segmented(module, query, key, value, attention_mask, scaling=None, dropout=0.0, cu_seq_lens_q=None, **_):
    """Causal attention within samples: query ``[1, heads, tokens, width]``, key and value ``[1, kv_heads, ...]``.

    ``cu_seq_lens_q``: int32 ``[samples + 1]``, where the samples of the row begin, and its end; None: one sample.
    Returns ``([1, tokens, heads, width], None)``.
    """
    import torch

    if cu_seq_lens_q is None:
        cu_seq_lens_q = torch.tensor([0, query.shape[2]], dtype=torch.int32, device=query.device)
    if query.is_cuda:
        return _variable_length(query, key, value, scaling, cu_seq_lens_q), None
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, dim=1) if groups > 1 else each for each in (key, value))
    bounds = cu_seq_lens_q.tolist()
    attend = torch.nn.functional.scaled_dot_product_attention
    parts = [
        attend(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            dropout_p=dropout if module.training else 0.0,
            is_causal=True,
            scale=scaling,
        )
        for start, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _variable_length(query, key, value, scaling, bounds):
    """torch's flash attention over the samples of a row, in bfloat16 or float16; not run without a GPU."""
    from torch.nn.attention.varlen import varlen_attn

    longest = int((bounds[1:] - bounds[:-1]).max())
    flat = [each[0].transpose(0, 1).contiguous() for each in (query, key, value)]
    grouped = query.shape[1] != key.shape[1]
    out = varlen_attn(*flat, bounds, bounds, longest, longest, scale=scaling, window_size=(-1, 0), enable_gqa=grouped)
    return out[None]
