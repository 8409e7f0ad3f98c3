"""On a graphics card everything is as on a CPU, but for the last digits; skipped where there is none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import asr
from asr.features.extractor import length_mask
from asr.features.filterbank import Filterbank
from asr.nn.rnn import Packing, Recurrent, on_gpu
from asr.trainer.checkpoint import TrainState
from asr.trainer.distributed import World
from asr.trainer.trainer import Trainer
from asr.training.acoustic import AcousticTask
from asr.training.run import run_task
from tests.features.signals import speechlike
from tests.training.experiments import experiment
from tests.training.test_punctuation import experiment_in
from tests.training.test_punctuation import write_text as write_packed_text

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Products of float32 numbers in float32, not with the ten bits of TF32."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def waveforms(*lengths: int) -> tuple[Tensor, Tensor]:
    batch = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        batch[row, :length] = speechlike(length, seed=row)[0]
    return batch, torch.tensor(lengths)


def gradients(folder: Path, device: torch.device, *overrides: str) -> tuple[dict[str, Tensor], TrainState]:
    """Of the first update of the experiment on tones, clipped to a norm of 1; and where the run is then."""
    config = experiment(folder, "loop.precision=float32", "acoustic.encoder.dropout=0.0", *overrides)
    task = AcousticTask(config, device, quiet=True)
    trainer = Trainer(task, config.loop, folder, World(), device)
    trainer.module.train()
    seen: dict[str, Tensor] = {}

    def look(*_: object) -> None:
        seen.update({n: p.grad.cpu().clone() for n, p in trainer.module.named_parameters() if p.grad is not None})

    trainer.optimizer.register_step_pre_hook(look)
    trainer.update(task.load(0, 0, 1), task.batches(0))
    assert all(tensor.device.type == device.type for tensor in trainer.average.state().values())
    return seen, trainer.state


@pytest.mark.parametrize("override", ["cr_ctc_weight=0.0", "cr_ctc_weight=0.2", "loop.accumulate=2"])
def test_an_update(tmp_path: Path, override: str) -> None:
    (ours, here), (theirs, there) = (gradients(tmp_path, device, override) for device in (CUDA, CPU))
    assert here.skipped == 0
    assert here.gradient == pytest.approx(there.gradient, rel=1e-2)
    assert here.running["loss"] == pytest.approx(there.running["loss"], rel=1e-3)
    assert {name: here.running[name] for name in ("tokens", "steps")} == {
        name: there.running[name] for name in ("tokens", "steps")
    }
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-2, atol=1e-3, msg=name)


def test_a_resumed_run_goes_on(tmp_path: Path) -> None:
    run_task(experiment(tmp_path, "loop.epochs=1"), quiet=True)
    state = run_task(experiment(tmp_path, "loop.epochs=2"), resume=True, quiet=True)
    assert (state.epoch, state.update, state.skipped) == (2, 8, 0)


def test_the_filterbank() -> None:
    batch, lengths = waveforms(48000, 30000, 400)
    ours, frames = Filterbank().to(CUDA)(batch.to(CUDA), lengths.to(CUDA))
    theirs, _ = Filterbank()(batch, lengths)
    for row, count in enumerate(frames.tolist()):
        torch.testing.assert_close(ours[row, :count].cpu(), theirs[row, :count], rtol=0, atol=1e-2)


def test_a_transcription(tiny_model: Path) -> None:
    batch, lengths = waveforms(64000, 50000, 3000)
    here, there = (asr.load_model(tiny_model, device=device.type, precision="float32") for device in (CUDA, CPU))
    with torch.inference_mode():
        ours, steps = here.model.network(batch.to(CUDA), lengths.to(CUDA))
        theirs, _ = there.model.network(batch, lengths)
    for row, count in enumerate(steps.tolist()):
        torch.testing.assert_close(ours[row, :count].cpu(), theirs[row, :count], rtol=0, atol=0.05)
    assert here.transcribe(batch[0].numpy()).text == there.transcribe(batch[0].numpy()).text


def test_the_kernels_in_bfloat16_are_as_near_as_those_of_a_cpu() -> None:
    torch.manual_seed(1)
    lengths = torch.randint(1, 51, (37,))
    lengths[0] = 50
    x, weight = torch.randn(37, 50, 64), torch.randn(37, 50, 64) * length_mask(lengths, 50).unsqueeze(2)
    layer = Recurrent(64, 32)

    def both_ways(device: str, bfloat16: bool) -> list[Tensor]:
        here = copy.deepcopy(layer).to(device)
        heard = x.to(device, copy=True).requires_grad_()
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            packing = Packing(lengths.to(device), 50)
            states = packing.unpack(here(packing.pack(heard), packing))
            result = (states.float() * weight.to(device)).sum()
        result.backward()
        gradients = [heard.grad, *(parameter.grad for parameter in here.parameters())]
        return [result.detach().cpu(), *(gradient.cpu() for gradient in gradients if gradient is not None)]

    exact = both_ways("cpu", False)
    for one, other, best in zip(both_ways("cuda", True), both_ways("cpu", True), exact, strict=True):
        assert (one - best).norm() <= 1.5 * (other - best).norm() + 1e-3 * best.norm()


def test_small_gradients_outlive_the_recurrent_layers_under_autocast() -> None:
    layer = nn.GRU(8, 8, batch_first=True).to(CUDA)
    with torch.autocast("cuda", torch.bfloat16):
        result = on_gpu(layer, torch.randn(2, 5, 8, device=CUDA))
    (1e-12 * result.sum()).backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in layer.parameters())


def test_the_tagger_of_punctuation_learns_and_is_validated(tmp_path: Path) -> None:
    write_packed_text(tmp_path / "text")
    run_task(experiment_in(tmp_path, "loop.epochs=1"), quiet=True)
    assert (tmp_path / "exp" / "best" / "config.json").exists()
