"""A small way to write an ONNX graph down by hand, one node after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 18
FLOAT, INT32, INT64 = int(TensorProto.FLOAT), int(TensorProto.INT32), int(TensorProto.INT64)


class Graph:
    """Nodes and constants in the order in which they are added; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known: dict[tuple[Any, ...], str] = {}

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
        return self._once(("i", values), np.array(values, dtype=np.int64))

    def integer(self, value: int) -> str:
        """A single int64."""
        return self._once(("n", value), np.array(value, dtype=np.int64))

    def number(self, value: float) -> str:
        """A single float32."""
        return self._once(("f", value), np.array(value, dtype=np.float32))

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

    def _once(self, key: tuple[Any, ...], array: np.ndarray[Any, Any]) -> str:
        if key not in self._known:
            self._known[key] = self.constant(array)
        return self._known[key]
