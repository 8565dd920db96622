"""The speaker encoder as an ONNX file, written without the `onnx` package: the few protobuf messages that it takes.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3. The graph is Resemblyzer's: three
LSTM layers over mel frames, a linear layer on the last hidden state, ReLU, L2 normalisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray

INPUT, OUTPUT = "mel", "voice"  # (windows, frames, mels) and (windows, dimensions)
_IR_VERSION, _OPSET = 8, 17
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


def encoder_model(weights: Mapping[str, FloatArray]) -> bytes:
    """The model of a state dict with `lstm.*` (PyTorch's names and gate order) and `linear.*`."""
    layers = sum(name.startswith("lstm.weight_ih_l") for name in weights)
    hidden, mels = weights["lstm.weight_hh_l0"].shape[1], weights["lstm.weight_ih_l0"].shape[1]
    nodes = [_node("Transpose", [INPUT], ["in0"], perm=[1, 0, 2])]
    tensors = [_tensor("first", np.array([0])), _tensor("second", np.array([1]))]
    for layer in range(layers):
        biases = [_gates(weights[f"lstm.bias_{part}_l{layer}"]) for part in ("ih", "hh")]
        tensors.append(_tensor(f"W{layer}", _gates(weights[f"lstm.weight_ih_l{layer}"])[None]))
        tensors.append(_tensor(f"R{layer}", _gates(weights[f"lstm.weight_hh_l{layer}"])[None]))
        tensors.append(_tensor(f"B{layer}", np.concatenate(biases)[None]))
        names = [f"in{layer}", f"W{layer}", f"R{layer}", f"B{layer}"]
        nodes.append(_node("LSTM", names, [f"all{layer}", f"last{layer}"], hidden_size=hidden))
        nodes.append(_node("Squeeze", [f"all{layer}", "second"], [f"in{layer + 1}"]))  # the axis of directions
    tensors.append(_tensor("linear", weights["linear.weight"].T))
    tensors.append(_tensor("bias", weights["linear.bias"]))
    nodes += [
        _node("Squeeze", [f"last{layers - 1}", "first"], ["last"]),
        _node("MatMul", ["last", "linear"], ["product"]),
        _node("Add", ["product", "bias"], ["raw"]),
        _node("Relu", ["raw"], ["positive"]),
        _node("LpNormalization", ["positive"], [OUTPUT], axis=1, p=2),
    ]
    graph = _strings(1, nodes) + _string(2, "speaker_encoder") + _strings(5, tensors)
    graph += _string(11, _value(INPUT, ["windows", "frames", mels]))
    graph += _string(12, _value(OUTPUT, ["windows", weights["linear.weight"].shape[0]]))
    return _number(1, _IR_VERSION) + _string(7, graph) + _string(8, _string(1, "") + _number(2, _OPSET))


def _gates(rows: FloatArray) -> FloatArray:
    """PyTorch's gates are input, forget, cell, output; ONNX's input, output, forget, cell."""
    update, forget, cell, output = np.split(rows, 4)
    return np.concatenate((update, output, forget, cell))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _string(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def _strings(field: int, contents: Iterable[bytes | str]) -> bytes:
    return b"".join(_string(field, content) for content in contents)


def _tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    kind, dtype = (_INT64, "<i8") if values.dtype.kind == "i" else (_FLOAT, "<f4")
    shape = b"".join(_number(1, size) for size in values.shape)
    return shape + _number(2, kind) + _string(8, name) + _string(9, np.ascontiguousarray(values, dtype).tobytes())


def _node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int | list[int]) -> bytes:
    body = _strings(1, inputs) + _strings(2, outputs) + _string(4, operator)
    for name, value in attributes.items():
        if isinstance(value, int):
            body += _string(5, _string(1, name) + _number(3, value) + _number(20, _INT))
        else:
            body += _string(5, _string(1, name) + b"".join(_number(8, item) for item in value) + _number(20, _INTS))
    return body


def _value(name: str, shape: Sequence[str | int]) -> bytes:
    sizes = [_string(2, size) if isinstance(size, str) else _number(1, size) for size in shape]
    return _string(1, name) + _string(2, _string(1, _number(1, _FLOAT) + _string(2, _strings(1, sizes))))
