from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from asr.nn.precision import bfloat16_is_fast, chosen, int8_is_fast, products

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_what_was_asked_for_is_what_products_are_in(precision, dtype):
    assert chosen(precision, CPU) == dtype
    with products(precision, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_auto_is_bfloat16_where_it_is_fast_only():
    assert chosen("auto", CPU) == (torch.bfloat16 if bfloat16_is_fast(CPU) else torch.float32)


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="/proc/cpuinfo lists flags of x86 on Linux"
)
def test_a_processor_that_does_not_list_the_instruction_is_not_asked_for_it():
    listed = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    assert bfloat16_is_fast(CPU) == ("avx512_bf16" in listed)
    assert int8_is_fast(CPU) == ("avx512_vnni" in listed)
