"""The recurrence in whole numbers beside the one in float32, and beside itself in a batch."""

from __future__ import annotations

import timeit
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from asr.nn.gru import gru
from asr.nn.gru_cpu import bits
from asr.nn.gru_int8 import Int8Gru, quantize_rows, quantized
from asr.nn.precision import int8_is_fast
from asr.nn.rnn import Packing, Recurrent

pytestmark = pytest.mark.skipif(not int8_is_fast(torch.device("cpu")), reason="the processor has no VNNI")
LENGTHS = [30, 1, 17, 70, 9]
PACKING = Packing(torch.tensor(LENGTHS), max(LENGTHS))
FIRST = [sum(LENGTHS[:row]) for row in range(len(LENGTHS))]
SIZE, UNITS = 24, 20


def weights(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shapes = ((2, 3 * UNITS, SIZE), (2, 3 * UNITS, UNITS), (2, 3 * UNITS), (2, 3 * UNITS))
    w, u, b, c = (0.3 * torch.randn(shape, generator=generator) for shape in shapes)
    return w, u, b, c


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def speech(generator: torch.Generator) -> Tensor:
    return torch.randn(sum(LENGTHS), SIZE, generator=generator)


def test_rows_literally() -> None:
    matrix = torch.tensor([[1.0, -0.6, 0.004], [0.0, 0.0, 0.0], [-254.0, 0.8, 3.2]])
    low, scales = quantized(matrix)
    assert low.tolist() == [[127, -76, 1], [0, 0, 0], [-127, 0, 2]]
    assert scales.tolist() == pytest.approx([1 / 127, 0, 2], abs=1e-6)
    rows, found = torch.empty(3, 3, dtype=torch.int8), torch.empty(3)
    quantize_rows(bits(matrix), bits(rows), bits(found))
    assert torch.equal(rows, low)
    assert found.tolist() == pytest.approx(scales.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_close_to_float32(speech: Tensor, generator: torch.Generator, dtype: torch.dtype) -> None:
    of_network = weights(generator)
    wanted = gru(speech, PACKING.order, *of_network)
    found = Int8Gru(*of_network)(speech.to(dtype), PACKING.order, dtype)
    assert found.dtype == dtype
    for first, length in zip(FIRST, LENGTHS, strict=True):
        rows = slice(first, first + length)
        error = (found[rows].float() - wanted[rows]).pow(2).mean().sqrt()
        assert 0 < error < 0.03 * wanted[rows].pow(2).mean().sqrt()


def test_it_is_what_its_rounded_weights_and_inputs_make(speech: Tensor, generator: torch.Generator) -> None:
    """Step by step in float64, every factor rounded as it says."""
    w, u, b, c = weights(generator)
    (w8, w_scale), (u8, u_scale) = quantized(w), quantized(u)
    x8, x_scale = quantized(speech)
    rounded_w, rounded_u = w8.double() * w_scale[..., None], u8.double() * u_scale[..., None]
    x = x8.double() * x_scale[..., None]
    found = Int8Gru(w, u, b, c)(speech, PACKING.order, torch.float32)
    for k in range(2):
        for column in PACKING.order[k].t():
            h = torch.zeros(UNITS, dtype=torch.float64)
            for at in column[column >= 0].tolist():
                low = (h * 127 + 0.5).floor() / 127
                heard = rounded_w[k] @ x[at] + b[k]
                offered = rounded_u[k] @ low + c[k]
                r, z = (heard + offered)[: 2 * UNITS].sigmoid().split(UNITS)
                n = (heard[2 * UNITS :] + r * offered[2 * UNITS :]).tanh()
                h = (1 - z) * n + z * h
                # What lies on an edge in float32 may be rounded to the other side: a step of a byte, now and then.
                assert torch.allclose(found[at, k * UNITS : (k + 1) * UNITS].double(), h, atol=0.02)


def test_the_largest_sums_are_exact() -> None:
    ones, nothing = torch.ones(1, 3 * UNITS, 640), torch.zeros(1, 3 * UNITS)
    low, scales = quantized(torch.cat([ones, -ones]))
    rows = torch.tensor([127, -127], dtype=torch.int8).unsqueeze(1).expand(2, 640).contiguous()
    assert torch.equal(torch._int_mm(rows, low[0].t()).long(), rows.long() @ low[0].t().long())
    assert torch.equal(torch._int_mm(rows, low[1].t()).long(), rows.long() @ low[1].t().long())
    assert scales.unique().numel() == 1
    # With an update gate that lets nothing of the state before through, the new one is the candidate.
    shut = nothing.clone()
    shut[:, UNITS : 2 * UNITS] = -2000.0
    network = Int8Gru(ones / 640, torch.zeros(1, 3 * UNITS, UNITS), shut, nothing)
    found = network(torch.full((1, 640), -1.0), torch.zeros(1, 1, 1, dtype=torch.long), torch.float32)
    assert found[0].tolist() == pytest.approx([-0.76159] * UNITS, abs=1e-4)


def test_neighbors_change_nothing(speech: Tensor, generator: torch.Generator) -> None:
    network = Int8Gru(*weights(generator))
    together = network(speech, PACKING.order, torch.float32)
    for first, length in zip(FIRST, LENGTHS, strict=True):
        rows = slice(first, first + length)
        order = Packing(torch.tensor([length]), length).order
        assert torch.equal(network(speech[rows], order, torch.float32), together[rows])


@pytest.mark.parametrize("both", [True, False])
def test_a_layer_that_is_told_to(speech: Tensor, both: bool) -> None:
    torch.manual_seed(5)
    layer = Recurrent(SIZE, UNITS, both).eval()
    with torch.inference_mode():
        before = layer(speech, PACKING)
        layer.quantize()
        after = layer(speech, PACKING)
    assert 0 < float((before - after).abs().max()) < 0.05


def test_products_of_bytes_are_the_faster_ones() -> None:
    """A library that has none for this processor computes them in a loop, a hundred times as slowly."""
    low, matrix = torch.ones(960, 640, dtype=torch.int8).t(), torch.ones(960, 640)
    byte_rows, rows = torch.ones(64, 640, dtype=torch.int8), torch.ones(64, 640)
    assert _seconds(lambda: torch._int_mm(byte_rows, low)) < 1.5 * _seconds(lambda: rows @ matrix.t())


def _seconds(multiply: Callable[[], Tensor]) -> float:
    """The least of a few runs."""
    return min(timeit.repeat(multiply, number=1, repeat=20))
