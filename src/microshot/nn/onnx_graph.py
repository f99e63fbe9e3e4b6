"""A network written down as ONNX operators, layer by layer, without PyTorch.

Tensors keep the names and shapes they have in a model file, so that a graph also says what a file
must hold before any memory is taken for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto, NodeProto

#: Version of ONNX's operators; that of 2022, which all programs in use can read.
OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "image", "output"


class Graph:
    """Operators in the order in which they were added; every method returns a value's name.

    Values are float32 (N, C, Y, X) unless a method says otherwise.
    """

    def __init__(self, in_channels: int) -> None:
        self.in_channels = in_channels
        self.output = INPUT
        """The value that the network returns."""
        self.expected: dict[str, tuple[int, ...]] = {}
        """Names and shapes of the tensors that a model file must hold."""
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._idle: set[str] = set()

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add any operator of ONNX with one output."""
        from onnx import helper

        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def tensor(self, name: str, *shape: int) -> str:
        """Ask for a tensor of the model file."""
        self.expected[name] = shape
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add numbers that belong to the architecture and not to the model file."""
        array = np.asarray(values, dtype)
        name = f"{dtype.__name__}:{array.tolist()}"
        self._constants[name] = array
        return name

    # ---- layers

    def conv(
        self,
        x: str,
        name: str,
        n_in: int,
        n_out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        pads: Sequence[int] | None = None,
        bias: bool = True,
    ) -> str:
        """Convolve; `pads` (top, left, bottom, right) keep the sides unless given."""
        inputs = [x, self.tensor(f"{name}.weight", n_out, n_in, kernel, kernel)]
        if bias:
            inputs.append(self.tensor(f"{name}.bias", n_out))
        return self.op(
            "Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=list(pads) if pads is not None else [kernel // 2] * 4,
        )  # fmt: skip

    def norm(self, x: str, name: str, n: int, eps: float = 1e-5) -> str:
        """Apply batch normalisation with the statistics of the model file."""
        names = ("weight", "bias", "running_mean", "running_var")
        tensors = [self.tensor(f"{name}.{one}", n) for one in names]
        self._idle.add(self.tensor(f"{name}.num_batches_tracked"))
        return self.op("BatchNormalization", x, *tensors, epsilon=eps)

    def relu(self, x: str) -> str:
        """Set negative values to 0."""
        return self.op("Relu", x)

    def add(self, a: str, b: str) -> str:
        """Add values of the same shape."""
        return self.op("Add", a, b)

    def join(self, *values: str) -> str:
        """Put channels one after another."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=1)

    def pool(self, x: str, kernel: int = 2, stride: int = 2, pad: int = 0) -> str:
        """Take the maximum of every window."""
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.op("MaxPool", x, **shape)

    def double(self, x: str) -> str:
        """Repeat every pixel along both axes."""
        return self.op(
            "Resize", x, "", self.constant([1, 1, 2, 2]), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip

    # ---- the whole

    def misfits(self, found: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Return the names of tensors that are missing, too many or of another shape, sorted."""
        names = self.expected.keys() | found.keys()
        return sorted(n for n in names if self.expected.get(n) != found.get(n))

    def model(self, weights: Mapping[str, np.ndarray]) -> ModelProto:
        """Return the graph with its weights.

        Input ``image`` (N, C, height, width) and output ``output`` (N, …) are float32.

        Raises
        ------
        ValueError
            If `weights` are not those that the graph asks for.
        """
        from onnx import TensorProto, helper, numpy_helper

        wrong = self.misfits({k: tuple(v.shape) for k, v in weights.items()})
        if wrong:
            raise ValueError(f"{len(wrong)} tensors do not fit the graph (first: {wrong[0]}).")
        values = {n: np.asarray(weights[n], np.float32) for n in self.expected.keys() - self._idle}
        values |= self._constants
        stored = [numpy_helper.from_array(v, n) for n, v in sorted(values.items())]
        sides: list[Any] = ["n", self.in_channels, "height", "width"]
        given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, sides)
        made = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)
        last = helper.make_node("Identity", [self.output], [OUTPUT], OUTPUT)
        graph = helper.make_graph([*self._nodes, last], "network", [given], [made], stored)
        operators = helper.make_opsetid("", OPSET)
        return helper.make_model(
            graph, opset_imports=[operators], ir_version=IR_VERSION, producer_name="microshot"
        )
