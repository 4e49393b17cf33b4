"""Attention within the samples of a row: what it computes, and which kernel does it in which number format."""

import pytest
import torch

from scripts.llm import attention


@pytest.mark.parametrize("groups", [1, 2])
def test_segmented_attention_is_sdpa_under_a_block_mask(groups):
    torch.manual_seed(2)
    bounds = torch.tensor([0, 5, 6, 14], dtype=torch.int32)
    query, key, value = (torch.randn(1, heads, 14, 8, requires_grad=True) for heads in (4, 4 // groups, 4 // groups))
    kernel = torch.nn.Identity().eval()
    ours, weights = attention.segmented(kernel, query, key, value, None, scaling=0.3, cu_seq_lens_q=bounds)
    which = torch.bucketize(torch.arange(14), bounds[1:].long(), right=True)
    mask = (which[:, None] == which[None]) & torch.ones(14, 14, dtype=torch.bool).tril()
    wide = [each.repeat_interleave(groups, dim=1) for each in (key, value)]
    theirs = torch.nn.functional.scaled_dot_product_attention(query, *wide, attn_mask=mask, scale=0.3).transpose(1, 2)
    assert weights is None
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(ours)
    for one, two in zip(
        *(torch.autograd.grad(each, (query, key, value), upstream) for each in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_without_bounds_a_row_is_one_sample():
    torch.manual_seed(2)
    each = torch.randn(1, 2, 6, 8)
    kernel = torch.nn.Identity().eval()
    whole = torch.tensor([0, 6], dtype=torch.int32)
    one, two = (attention.segmented(kernel, each, each, each, None, cu_seq_lens_q=given)[0] for given in (None, whole))
    assert one.equal(two)


class OnCard(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


@pytest.fixture
def autocast():
    """Have autocast on for GPUs in one test."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")

    def turn_on(dtype):
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", dtype)

    yield turn_on
    torch.set_autocast_enabled("cuda", before[0])
    torch.set_autocast_dtype("cuda", before[1])


@pytest.mark.parametrize(
    ("own", "cast", "used"),
    [
        (torch.float32, None, None),
        (torch.float32, torch.bfloat16, torch.bfloat16),
        (torch.bfloat16, torch.bfloat16, torch.bfloat16),
        (torch.float16, None, torch.float16),
    ],
)
def test_flash_attention_gets_half_precision_or_nothing(own, cast, used, monkeypatch, autocast):
    """float32 is what a default recipe has, and with autocast what 4-bit layers give. The kernel is a stand-in."""
    from torch.nn.attention import varlen

    seen = []

    def kernel(query, key, value, begins, ends, longest, longest_too, *, scale, window_size, enable_gqa):
        seen.append((query.dtype, key.dtype, value.dtype, begins is ends, longest, longest_too))
        assert (window_size, enable_gqa) == ((-1, 0), True)
        each = (one.as_subclass(torch.Tensor).transpose(0, 1)[None] for one in (query, key, value))
        return attention.segmented(kernel, *each, None, scaling=scale, cu_seq_lens_q=begins)[0][0]

    kernel.training = False
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    if cast:
        autocast(cast)
    torch.manual_seed(2)
    bounds, row = torch.tensor([0, 5, 6, 14], dtype=torch.int32), [torch.randn(1, h, 14, 8) for h in (4, 2, 2)]
    expected, _ = attention.segmented(kernel, *row, None, scaling=0.3, cu_seq_lens_q=bounds)
    given = [each.to(own).as_subclass(OnCard) for each in row]
    found, _ = attention.segmented(kernel, *given, None, scaling=0.3, cu_seq_lens_q=bounds, segment_lengths=[5, 1, 8])
    assert seen == ([(used, used, used, True, 8, 8)] if used else [])
    assert found.dtype == own and found.shape == expected.shape
    torch.testing.assert_close(
        found.as_subclass(torch.Tensor).float(), expected, rtol=0, atol=1e-6 if not used else 0.02
    )
