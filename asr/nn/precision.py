"""The arithmetic of matrix products: float32, or less where the processor was built for it.

There bfloat16 is two to four times as fast. A processor that was not computes it all the same, ten times as slowly as
float32: AVX2 alone, which is most laptops, 8 to 10 billion operations a second and core in place of 80.
"""

from __future__ import annotations

import os
import platform
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]
Arithmetic = Literal["auto", "float32", "bfloat16", "int8"]
"""Of recognizing, where recurrent layers may multiply whole numbers of eight bits (`gru_int8`)."""


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether `device` has instructions for products in bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported())
    # oneDNN says yes to any AVX-512, hence only here: ARM, where it stands for the instruction.
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def int8_is_fast(device: torch.device) -> bool:
    """Whether `device` is a processor that sums products of bytes in 32 bits at once: VNNI, with AVX-512.

    PyTorch computes them in a plain loop where it is not, a hundred times as slowly as float32; and what oneDNN does
    without VNNI gained nothing on a processor with AVX2 alone. What `ONEDNN_MAX_CPU_ISA` forbids is not there.
    """
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    less = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE")
    return device.type == "cpu" and bool(torch.cpu._is_vnni_supported()) and allowed not in less


def chosen(precision: Precision, device: torch.device) -> torch.dtype:
    """float32 or bfloat16: as told, or what is the faster on `device`."""
    if precision == "auto":
        return torch.bfloat16 if bfloat16_is_fast(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def products(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which matrix products on `device` are in that arithmetic."""
    half = chosen(precision, device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
