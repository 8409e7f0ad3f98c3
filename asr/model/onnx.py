"""Export to ONNX: the whole network, from samples to log-probabilities, in one file that needs none of this program.

The graph is written by hand rather than traced. A tracer freezes the length of the recurrence and has been known to
write GRUs with the wrong gate arrangement; ONNX's own bidirectional `GRU` with `sequence_lens` says exactly what is
meant, and a runtime knows how to make it fast.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from asr.errors import AsrError, UsageError
from asr.features.extractor import TINY, FeatureExtractor
from asr.features.filterbank import FLOOR, PREEMPHASIS, Filterbank
from asr.io import write_whole
from asr.model.acoustic import Encoder, RecurrentBlock, Subsampling
from asr.model.bundle import SavedModel
from asr.nn.rnn import Memoryless, Recurrent

OPSET = 18
FLOAT, INT32, INT64 = int(TensorProto.FLOAT), int(TensorProto.INT32), int(TensorProto.INT64)
_SCALE = 32768.0


def export_onnx(model: SavedModel, path: Path | str) -> Path:
    """Write `model` as an ONNX file: `waveforms` (B, N) float32 in [-1, 1] and `lengths` (B,) int64 in samples →
    `log_probs` (B, T, V), natural log, and `steps` (B,) int64, the valid steps of each.

    The vocabulary, sample rate and seconds per step are in the file's metadata. Steps beyond an utterance's are
    unspecified. Raises `UsageError` for features other than the filterbank.
    """
    graph = Graph()
    features, frames = _features(graph, model.network.features)
    encodings, steps = _encoder(graph, features, frames, model.network.encoder)
    logits = _linear(graph, encodings, model.network.output)
    graph.rename(graph("LogSoftmax", logits, axis=2), "log_probs")
    graph.rename(steps, "steps")
    vocabulary = model.tokenizer.vocabulary
    exported = graph.model(
        inputs=[("waveforms", FLOAT, ["batch", "samples"]), ("lengths", INT64, ["batch"])],
        outputs=[("log_probs", FLOAT, ["batch", "time", len(vocabulary)]), ("steps", INT64, ["batch"])],
    )
    about = {
        "vocabulary": json.dumps(vocabulary, ensure_ascii=False),
        "sample_rate": str(model.sample_rate),
        "frame_seconds": str(model.frame_seconds),
        "normalizer": model.normalizer,
    }
    helper.set_model_props(exported, about)
    path = Path(path)
    if path.suffix != ".onnx":
        path = path / "model.onnx"
    with write_whole(path, "wb") as file:
        file.write(exported.SerializeToString())
    return path


class OnnxNetwork:
    """An exported file, called like the network that it came from."""

    def __init__(self, path: Path | str) -> None:
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors have no public base class
            raise AsrError(f"{path} cannot be run: {error}") from error

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, N) and lengths (B,) → log-probabilities (B, T, V) and steps (B,)."""
        inputs = {"waveforms": waveforms.numpy(), "lengths": lengths.numpy()}
        log_probs, steps = self._session.run(["log_probs", "steps"], inputs)
        return torch.from_numpy(log_probs), torch.from_numpy(steps)


def largest_difference(model: SavedModel, path: Path | str) -> float:
    """The largest difference in probability between a model and its exported file, on sounds of many lengths."""
    random = torch.Generator().manual_seed(0)
    network, exported = model.network.cpu().eval(), OnnxNetwork(path)
    largest = 0.0
    for seconds in ([3.1], [7.0, 0.4, 2.53], [1.0] * 5):
        lengths = torch.tensor([round(each * model.sample_rate) for each in seconds])
        waveforms = 0.1 * torch.randn(len(seconds), int(lengths.max()), generator=random)
        with torch.inference_mode():
            wanted, steps = network(waveforms, lengths)
        got, exported_steps = exported(waveforms, lengths)
        if not torch.equal(steps, exported_steps):
            return float("inf")
        for row, step in enumerate(steps.tolist()):
            largest = max(largest, float((wanted[row, :step].exp() - got[row, :step].exp()).abs().max()))
    return largest


def _features(graph: Graph, extractor: FeatureExtractor) -> tuple[str, str]:
    """Normalized log-mel energies (B, T, F), zero beyond each utterance, and the frames (B,) of each."""
    transform = extractor.transform
    if not isinstance(transform, Filterbank):
        raise UsageError("only models with filterbank features can be exported to ONNX")
    shift = graph.integer(transform.shift)
    beyond = graph("Sub", "lengths", graph.integer(transform.frame - transform.shift))
    frames = graph("Div", graph("Max", beyond, graph.integer(0)), shift)
    # As many frames as the longest signal has, but at least one: a batch of nothing still has a shape.
    longest = graph("Max", graph("ReduceMax", frames, keepdims=0), graph.integer(1))
    padded = graph("Pad", "waveforms", graph.integers(0, 0, 0, transform.frame))
    starts = graph("Mul", graph("Range", graph.integer(0), longest, graph.integer(1)), shift)
    offsets = graph.constant(np.arange(transform.frame, dtype=np.int64)[None])
    places = graph("Add", graph("Unsqueeze", starts, graph.integers(1)), offsets)
    windows = graph("Gather", padded, places, axis=1)
    windows = graph("Mul", windows, graph.number(_SCALE))
    centred = graph("Sub", windows, graph("ReduceMean", windows, graph.integers(2), keepdims=1))
    before = graph("Concat", _slice(graph, centred, 2, 0, 1), _slice(graph, centred, 2, 0, -1), axis=2)
    emphasized = graph("Sub", centred, graph("Mul", before, graph.number(PREEMPHASIS)))
    windowed = graph("Mul", emphasized, graph.constant(transform.window, "window"))
    energies = graph("MatMul", _power(graph, windowed, transform), graph.constant(transform.mel, "mel"))
    energies = graph("Log", graph("Max", energies, graph.number(FLOOR)))
    return _normalized(graph, energies, frames, extractor), frames


def _power(graph: Graph, windowed: str, transform: Filterbank) -> str:
    """Power spectrum (B, T, fft/2 + 1) of windowed frames (B, T, samples), by one product with cosines and sines.

    ONNX has an operator for this, `DFT`; in onnxruntime it takes ten times as long.
    """
    angle = 2 * np.pi * np.outer(np.arange(transform.frame), np.arange(transform.fft // 2 + 1)) / transform.fft
    parts = [graph("MatMul", windowed, graph.constant(f(angle).astype(np.float32))) for f in (np.cos, np.sin)]
    return graph("Add", *(graph("Mul", part, part) for part in parts))


def _normalized(graph: Graph, energies: str, frames: str, extractor: FeatureExtractor) -> str:
    mask = _mask(graph, frames, energies, axis=1)
    mask = graph("Unsqueeze", mask, graph.integers(2))
    kind = extractor.config.normalize
    if kind == "global":
        centred = graph("Sub", energies, graph.constant(extractor.mean))
        energies = graph("Div", centred, graph.constant(extractor.deviation))
    elif kind == "utterance":
        over_time = graph.integers(1)
        count = graph("Max", graph("ReduceSum", mask, over_time, keepdims=1), graph.number(1.0))
        mean = graph("Div", graph("ReduceSum", graph("Mul", energies, mask), over_time, keepdims=1), count)
        centred = graph("Sub", energies, mean)
        square = graph("ReduceSumSquare", graph("Mul", centred, mask), over_time, keepdims=1)
        deviation = graph("Sqrt", graph("Add", graph("Div", square, count), graph.number(TINY)))
        energies = graph("Div", centred, deviation)
    return graph("Mul", energies, mask)


def _encoder(graph: Graph, features: str, frames: str, encoder: Encoder) -> tuple[str, str]:
    x, steps = _subsampling(graph, features, frames, encoder.subsampling)
    # The runtime wants at least one step of every sequence; what comes of none is never read.
    lengths = graph("Cast", graph("Max", steps, graph.integer(1)), to=INT32)
    for block in encoder.blocks:
        assert isinstance(block, RecurrentBlock)
        x = graph("Add", x, _recurrent(graph, _layer_norm(graph, x, block.norm), lengths, block.recurrent))
    return _layer_norm(graph, x, encoder.norm), steps


def _subsampling(graph: Graph, features: str, lengths: str, subsampling: Subsampling) -> tuple[str, str]:
    x = graph("Unsqueeze", features, graph.integers(1))
    for convolution, stride in zip(subsampling.convolutions, subsampling.strides, strict=True):
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.bias is not None
        mask = graph("Unsqueeze", _mask(graph, lengths, x, axis=2), graph.integers(1, 3))
        weight, bias = graph.constant(convolution.weight), graph.constant(convolution.bias)
        x = graph(
            "Conv", graph("Mul", x, mask), weight, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, 2]
        )
        x = graph("Relu", x)
        lengths = graph("Div", graph("Add", lengths, graph.integer(stride - 1)), graph.integer(stride))
    x = graph("Reshape", graph("Transpose", x, perm=[0, 2, 1, 3]), graph.integers(0, 0, -1))
    return _linear(graph, x, subsampling.project), lengths


def _recurrent(graph: Graph, x: str, lengths: str, layer: Recurrent | Memoryless) -> str:
    if isinstance(layer, Memoryless):
        first, _, second = layer.layers
        hidden = _linear(graph, x, first)
        return _linear(graph, graph("Mul", hidden, graph("Sigmoid", hidden)), second)
    directions = layer.directions
    arguments = [
        graph.constant(torch.stack([_onnx_gates(getattr(gru, name)) for gru in directions]))
        for name in ("weight_ih_l0", "weight_hh_l0")
    ]
    biases = [torch.cat([_onnx_gates(gru.bias_ih_l0), _onnx_gates(gru.bias_hh_l0)]) for gru in directions]
    y = graph(
        "GRU",
        graph("Transpose", x, perm=[1, 0, 2]),
        *arguments,
        graph.constant(torch.stack(biases)),
        lengths,
        hidden_size=directions[0].hidden_size,
        direction="bidirectional" if len(directions) == 2 else "forward",
        linear_before_reset=1,  # PyTorch's arrangement: the reset gate acts on the product, not on the state
    )
    return graph("Reshape", graph("Transpose", y, perm=[2, 0, 1, 3]), graph.integers(0, 0, -1))


def _onnx_gates(tensor: Any) -> Tensor:
    """PyTorch keeps the gates in the order reset, update, new; ONNX wants update, reset, new."""
    reset, update, new = tensor.chunk(3)
    return torch.cat([update, reset, new])


def _linear(graph: Graph, x: str, layer: Any) -> str:
    product = graph("MatMul", x, graph.constant(layer.weight.t()))
    return graph("Add", product, graph.constant(layer.bias))


def _layer_norm(graph: Graph, x: str, norm: nn.LayerNorm) -> str:
    weight, bias = graph.constant(norm.weight), graph.constant(norm.bias)
    return graph("LayerNormalization", x, weight, bias, axis=-1, epsilon=norm.eps)


def _mask(graph: Graph, lengths: str, x: str, axis: int) -> str:
    """(B, steps) float, one where a step lies inside its utterance; steps are counted along an axis of x."""
    size = graph("Gather", graph("Shape", x), graph.integer(axis))
    positions = graph("Range", graph.integer(0), size, graph.integer(1))
    inside = graph("Less", positions, graph("Unsqueeze", lengths, graph.integers(1)))
    return graph("Cast", inside, to=FLOAT)


def _slice(graph: Graph, x: str, axis: int, start: int, end: int) -> str:
    return graph("Slice", x, graph.integers(start), graph.integers(end), graph.integers(axis))


class Graph:
    """Nodes and constants in the order in which they are added; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; the name of its (first) output."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Tensor | np.ndarray[Any, Any], name: str = "") -> str:
        """A tensor of the graph's own."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        name = name or f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """A vector of int64."""
        return self.constant(np.array(values, dtype=np.int64))

    def integer(self, value: int) -> str:
        """A single int64."""
        return self.constant(np.array(value, dtype=np.int64))

    def number(self, value: float) -> str:
        """A single float32."""
        return self.constant(np.array(value, dtype=np.float32))

    def rename(self, value: str, name: str) -> str:
        """The same value under a name for the outside."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        return name

    def model(
        self, inputs: Sequence[tuple[str, int, list[str]]], outputs: Sequence[tuple[str, int, list[str | int]]]
    ) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(
            self._nodes,
            "asr",
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="asr")
        model.ir_version = 9  # read by every onnxruntime of the last years
        onnx.checker.check_model(model, full_check=True)
        return model
