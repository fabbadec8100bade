"""A `Model` becomes the bytes of a .tflite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv import __version__
from tqconv.errors import InternalError, UnsupportedError
from tqconv.exporters.checks import check_constants, check_parameters
from tqconv.ir.arrays import Shared, memory_of
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import STRING, Quant, numpy_name, type_name
from tqconv.ops.options import SUBGRAPHS, encode
from tqconv.ops.table import known, spec
from tqconv.ops.versions import runtime_version
from tqconv.schema.flatbuf import enum_number, pieces, tflite
from tqconv.schema.pieces import Pieces
from tqconv.untrusted import check_sizes

SCHEMA_VERSION = 3
PLACEHOLDER_CODE = 127
"""Stands in the old byte field for operators whose number does not fit (schema.fbs)."""
ROOM = 2**31
"""Bytes: offsets in a flatbuffer are 32 bits, and its readers take them as signed numbers."""
MIN_RUNTIME = "min_runtime_version"
MIN_RUNTIME_BYTES = 16
"""The runtime reads that many bytes, padded with zeros."""


def serialize(model: Model) -> bytes:
    """Return the file. The same model gives the same bytes."""
    return in_pieces(model).joined()


def in_pieces(model: Model) -> Pieces:
    """Return the file without a copy of its constants, which must not change meanwhile."""
    return _File(model).finish()


def save_order(model: Model) -> list[Graph]:
    """Return the graphs in the order of their subgraph numbers."""
    return model.all_graphs()


class _File:
    """One file under construction: shared buffers and operator codes, then the subgraphs."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.schema = tflite()
        self.graphs = save_order(model)
        self._numbers = {id(graph): number for number, graph in enumerate(self.graphs)}
        self.buffers: list[dict[str, Any]] = [{}]
        self.codes: dict[tuple[str, str, int], int] = {}
        self._shared = Shared()
        self._by_memory: dict[tuple[object, ...], int] = {}
        self._quants: dict[int, dict[str, Any]] = {}
        self._types: dict[np.dtype, int] = {}

    def finish(self) -> Pieces:
        """Write everything."""
        check_constants(self.model.graphs)
        positions = [{id(t): i for i, t in enumerate(g.tensors())} for g in self.graphs]
        subgraphs = [self._subgraph(g, p) for g, p in zip(self.graphs, positions, strict=True)]
        metadata = self._metadata()
        self._check_room()
        content = {
            "version": SCHEMA_VERSION,
            "operator_codes": [self._code(*key) for key in self.codes],
            "subgraphs": subgraphs,
            "description": self.model.description or f"tqconv {__version__}",
            "buffers": self.buffers,
            "metadata": metadata,
            "signature_defs": self._signatures(positions) or None,
        }
        return pieces(content, self.schema)

    def _check_room(self) -> None:
        """Raise UnsupportedError where the constants alone are more than a file can hold."""
        data = [buffer["data"] for buffer in self.buffers if buffer]
        size = sum(d.nbytes if isinstance(d, np.ndarray) else len(d) for d in data)
        if size >= ROOM:
            raise UnsupportedError(
                f"the constants take {size / 1e9:.2f} GB, and a .tflite file holds "
                f"{ROOM / 1e9:.2f} GB",
                hint="store them in fewer bits: --quantize float16, dynamic or int8",
            )

    def _subgraph(self, graph: Graph, position: Mapping[int, int]) -> dict[str, Any]:
        def indices(tensors: Sequence[Tensor | None]) -> list[int]:
            return [-1 if t is None else position[id(t)] for t in tensors]

        operators = []
        for op in graph.ops:
            check_parameters(op)
            entry: dict[str, Any] = {
                "opcode_index": self._code_index(op),
                "inputs": indices(op.inputs),
                "outputs": indices(op.outputs),
                **self._options(op),
            }
            if op.intermediates:
                entry["intermediates"] = indices(op.intermediates)
            operators.append(entry)
        return {
            "tensors": self._tensors(graph),
            "inputs": indices(graph.inputs),
            "outputs": indices(graph.outputs),
            "operators": operators,
            "name": graph.name,
        }

    def _options(self, op: Op) -> dict[str, Any]:
        if op.type == "CUSTOM":
            return {"custom_options": op.options.get("custom_options", b"")}
        encoded = encode(op)
        if encoded is None:
            return {}
        table, values = encoded
        for name, graph in zip(SUBGRAPHS.get(op.type, ()), op.graphs, strict=True):
            values[name] = self._numbers[id(graph)]
        first = table in self.schema.unions["BuiltinOptions"]
        return {"builtin_options" if first else "builtin_options_2": (table, values)}

    def _code_index(self, op: Op) -> int:
        version = op.version if op.version is not None else operator_version(op)
        key = (
            op.type,
            str(op.options.get("custom_code", "")) if op.type == "CUSTOM" else "",
            version,
        )
        return self.codes.setdefault(key, len(self.codes))

    def _code(self, type: str, custom: str, version: int) -> dict[str, Any]:
        number = enum_number(self.schema, "BuiltinOperator", type)
        code: dict[str, Any] = {
            "deprecated_builtin_code": min(number, PLACEHOLDER_CODE),
            "builtin_code": number,
            "version": version,
        }
        if custom:
            code["custom_code"] = custom
        return code

    def _tensors(self, graph: Graph) -> list[dict[str, Any]]:
        """Return the entries of tensors, then those of the scales of blocks."""
        tensors = list(graph.tensors())
        entries = [self._tensor(t) for t in tensors]
        for tensor, entry in zip(tensors, entries[:], strict=True):
            if tensor.quant is not None and tensor.quant.block:
                parts = {
                    "scales": len(entries),
                    "zero_points": -1,
                    "block_size": tensor.quant.block,
                }
                entry["quantization"] = {"details": ("BlockwiseQuantization", parts)}
                entries.append(self._tensor(_scales(tensor, tensor.quant)))
        return entries

    def _tensor(self, tensor: Tensor) -> dict[str, Any]:
        check_sizes(tensor.shape, f"'{tensor.name}'")
        entry: dict[str, Any] = {
            "shape": [1 if d is None else d for d in tensor.shape],
            "type": self._type(tensor.dtype),
            "buffer": self._buffer(tensor),
            "name": tensor.name,
            "has_rank": True,
        }
        if not tensor.is_static:
            entry["shape_signature"] = [-1 if d is None else d for d in tensor.shape]
        if tensor.quant is not None and not tensor.quant.block:
            entry["quantization"] = self._quantization(tensor.quant)
        if tensor.variable:
            entry["is_variable"] = True
        if tensor.sparsity is not None:
            entry["sparsity"] = tensor.sparsity
        return entry

    def _type(self, dtype: np.dtype) -> int:
        number = self._types.get(dtype)
        if number is None:
            number = enum_number(self.schema, "TensorType", type_name(dtype))
            self._types[dtype] = number
        return number

    def _quantization(self, quant: Quant) -> dict[str, Any]:
        """Return the entry of parameters; what tensors share is written once."""
        found = self._quants.get(id(quant))
        if found is None:
            found = self._quants[id(quant)] = _quantization(quant)
        return found

    def _buffer(self, tensor: Tensor) -> int:
        if tensor.data is None:
            return 0
        memory = memory_of(tensor.data)
        found = self._by_memory.get(memory)
        if found is None:
            found = self._by_memory[memory] = self._add_buffer(encode_array(tensor.data))
        return found

    def _add_buffer(self, data: bytes | NDArray[Any]) -> int:
        array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
        if array.size == 0:
            return self._new_buffer(b"")
        index = self._shared.find(array)
        if index is None:
            index = self._new_buffer(array)
            self._shared.add(array, index)
        return index

    def _new_buffer(self, data: bytes | NDArray[Any]) -> int:
        empty = not data if isinstance(data, bytes) else not data.size
        self.buffers.append({} if empty else {"data": data})
        return len(self.buffers) - 1

    def _metadata(self) -> list[dict[str, Any]]:
        versions = [runtime_version(type, version) for type, _, version in self.codes]
        newest = max(versions, key=lambda text: [int(p) for p in text.split(".")], default="1.5.0")
        entries = {
            MIN_RUNTIME: newest.encode().ljust(MIN_RUNTIME_BYTES, b"\0"),
            **self.model.metadata,
        }
        return [{"name": name, "buffer": self._new_buffer(data)} for name, data in entries.items()]

    def _signatures(self, positions: Sequence[Mapping[int, int]]) -> list[dict[str, Any]]:
        result = []
        for signature in self.model.signatures:
            graph, position = self.graphs[signature.graph], positions[signature.graph]
            inputs = [(name, graph.inputs[place]) for name, place in signature.inputs]
            outputs = [(name, graph.outputs[place]) for name, place in signature.outputs]
            result.append(
                {
                    "inputs": [{"name": n, "tensor_index": position[id(t)]} for n, t in inputs],
                    "outputs": [{"name": n, "tensor_index": position[id(t)]} for n, t in outputs],
                    "signature_key": signature.key,
                    "subgraph_index": signature.graph,
                }
            )
        return result


def operator_version(op: Op) -> int:
    """Return the lowest version of the operator that can run it."""
    return spec(op.type).version(op) if known(op.type) else 1


def encode_array(array: NDArray[Any]) -> bytes | NDArray[Any]:
    """Return what a buffer holds: raw values, packed sub-byte integers, or the string format."""
    if array.dtype == STRING:
        return encode_strings(array)
    if numpy_name(array.dtype) in ("int4", "uint4"):
        return pack_nibbles(array)
    return array if array.dtype.byteorder != ">" else array.astype(array.dtype.newbyteorder("<"))


def encode_strings(array: NDArray[Any]) -> bytes:
    """Return the string format: count, offsets of strings and end, then the characters."""
    strings = [s.encode() if isinstance(s, str) else bytes(s) for s in array.reshape(-1)]
    start = 4 * (len(strings) + 2)
    ends = np.cumsum([start, *(len(s) for s in strings)], dtype=np.int64)
    if ends[-1] >= 2**31:
        raise InternalError("a string tensor is larger than 2 GB")
    header = np.array([len(strings), *ends], "<i4")
    return header.tobytes() + b"".join(strings)


def pack_nibbles(array: NDArray[Any]) -> bytes:
    """Return 4-bit values two to a byte, the first in the low half."""
    values: NDArray[Any] = array.reshape(-1).astype(np.int8).view(np.uint8) & 0x0F
    if values.size % 2:
        values = np.concatenate([values, np.zeros(1, np.uint8)])
    return (values[0::2] | (values[1::2] << 4)).tobytes()


def _quantization(quant: Quant) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "scale": quant.scale.astype(np.float32),
        "zero_point": quant.zero_point.astype(np.int64),
    }
    if not quant.is_per_tensor:
        entry["quantized_dimension"] = quant.axis
    return entry


def _scales(tensor: Tensor, quant: Quant) -> Tensor:
    """Return the tensor in which a file keeps the scales of blocks, for each row of weights."""
    scales = quant.scale.astype(np.float16).reshape(tensor.shape[0] or 0, -1)
    return Tensor(f"{tensor.name}/scales", scales.shape, scales.dtype, data=scales)
