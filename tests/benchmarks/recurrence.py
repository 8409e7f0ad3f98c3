"""One bidirectional layer, forwards and backwards: ours beside PyTorch's `nn.GRU`, on a CPU or a GPU.

python -m tests.benchmarks.recurrence                     320 units each way; on a GPU where there is one
python -m tests.benchmarks.recurrence --device cpu --sizes 8x100

The peer is padded `nn.GRU(bidirectional=True)`. On a CPU both are in the arithmetic that `loop.precision: auto` takes
there; on a GPU ours is in bfloat16 and the peer by cuDNN in float32 (TF32), as it runs wherever our kernels do not. It
is not exact for the shorter utterances of a batch; ours is.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from asr.nn.precision import chosen, products
from asr.nn.rnn import Packing, Recurrent

SIZES = {"cpu": ["14x350"], "cuda": ["150x400", "300x400", "600x100"]}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=320, help="of each direction")
    parser.add_argument("--sizes", nargs="+", help="utterances x steps; default: those of training batches")
    parser.add_argument("--rounds", type=int, default=5, help="timed passes of each; the median counts")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    arithmetic = chosen("auto", torch.device(options.device))
    print(f"{options.units} units each way, {options.device} ({name}), {arithmetic}")
    print("utterances x steps   nn.GRU ms   ours ms   ratio")
    for size in options.sizes or SIZES[options.device]:
        batch, steps = map(int, size.split("x"))
        peer, ours = (
            median_ms(layer(options.units, batch, steps, options.device), options.rounds, options.device)
            for layer in (bare_layer, our_layer)
        )
        print(f"{size:18}{peer:12.1f}{ours:10.1f}{peer / ours:8.2f}")


def our_layer(units: int, batch: int, steps: int, device: str) -> Callable[[], None]:
    """A pass through `Recurrent` and back."""
    layer = Recurrent(2 * units, units).to(device)
    x = torch.randn(batch * steps, 2 * units, device=device, requires_grad=True)
    packing = Packing(torch.full((batch,), steps, device=device), steps)

    def step() -> None:
        with products("auto", torch.device(device)):
            result = layer(x, packing)
        result.float().sum().backward()

    return step


def bare_layer(units: int, batch: int, steps: int, device: str) -> Callable[[], None]:
    """A pass through `nn.GRU` and back."""
    layer = nn.GRU(2 * units, units, batch_first=True, bidirectional=True).to(device)
    x = torch.randn(batch, steps, 2 * units, device=device, requires_grad=True)

    def step() -> None:
        with products("float32" if device == "cuda" else "auto", torch.device(device)):
            result = layer(x)[0]
        result.float().sum().backward()

    return step


def median_ms(step: Callable[[], None], rounds: int, device: str) -> float:
    """Milliseconds of a step, after one that pays for compilation and allocation."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
