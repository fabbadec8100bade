"""Files come from strangers: what one may cost, and how damage is said.

A reader takes a `Budget` of its file's size, gives it to the graphs that it makes, and pays from it
for everything that needs more memory than the file has bytes: constants that repeat one value,
buffers that many tensors share, members of archives, calls that become the body of what they call.
What libraries raise for damaged bytes becomes a FormatError in `reading`.

    budget = Budget.of(path.stat().st_size, count_of_nodes)
    with reading(f"{path.name} is not a Keras archive"), ZipFile(path) as archive:
        check_member(entry, budget, f"{entry.filename} in {path.name}")
    graph = Graph("main", budget=budget)

The limits and their reasons stand here and nowhere else.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqconv.errors import FormatError, TqconvError, UnsupportedError, UsageError, first_line, shaped
from tqconv.records import dataclass

if TYPE_CHECKING:
    from zipfile import ZipInfo

MIB = 1 << 20

GROWTH = 256 * MIB
"""Bytes that any file may take beyond its size. A pass may copy what it changes and the writer
copies once more, so that four times as much is the most that a small file can need: 1 GiB."""
RATIO = 32
"""Bytes in memory per byte of a file: language models share all weights among a dozen entry
graphs, and masks and sparse samples compress so well."""
WORK = 1 << 32
"""Elements, or multiplications, that folding constants may take beyond what the constants weigh:
some seconds. Merged adapters and products of weights stay far below."""
WORK_PER_ELEMENT = 64
"""Elements that may be looked at for each one that is stored, whatever that sums up to."""
EXPANDED_NODES = 50_000
"""Nodes that calls of functions may become in any file, and parts that its tensors may be taken
into: a few seconds. Large published models have a fifth of that in all."""
EXPANDED_PER_NODE = 30
"""Times that each node may be translated beyond that: loops are, until their shapes settle, and
loops inside of loops multiply that."""
IMAGE_PIXELS = 64 * MIB
"""Pixels of an image: Pillow takes 4 bytes for each, and twice that to convert it."""
ELEMENTS = 2**31 - 1
"""Elements of a tensor: kernels count them in 32 bits (`RuntimeShape::FlatSize`), and leave the
result as it was where there are more (MAXIMUM of 2,147,534,622 int8, LiteRT 2.3.0). The sizes of a
shape are multiplied without those of 0, as numpy does."""
SIZE = 2**31 - 1
"""The largest size of a dimension: .tflite stores sizes as 32 bit integers."""

RANK = 64
"""Dimensions of a shape: as many as an array of numpy has at most. LiteRT's Python interpreter ends
the process where it is to show a tensor of more (70 dimensions, LiteRT 2.3.0)."""
LARGEST = 2**63 - 1
"""What larger numbers in texts count as; no format has more bits for one."""


class Mapped:
    """A file as memory that is read when it is looked at; it must not be shortened meanwhile."""

    RELEASE = 1 << 24
    """Bytes that are looked at between two times at which the memory is given back."""

    def __init__(self, path: Path) -> None:
        self._map: mmap.mmap | None = None
        self._looked_at = 0
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # nothing in it, or no file of the kind: it is read instead
            self.content = memoryview(read_file(path))
            return
        self.content = memoryview(self._map)

    def look_at(self, count: int) -> None:
        """Say that so many bytes will be read; those before need no longer be in memory.

        Who still has a view of them reads them again from the system's cache.
        """
        self._looked_at += count
        if self._looked_at >= self.RELEASE and self._map is not None:
            self._looked_at = 0
            if hasattr(mmap, "MADV_DONTNEED"):
                self._map.madvise(mmap.MADV_DONTNEED)


@dataclass
class Budget:
    """What reading one model may still cost beyond what is stored, all its graphs together.

    bytes: of memory; work: elements of folding; nodes: what calls and splits may become.
    """

    bytes: int = GROWTH
    work: int = WORK
    nodes: int = EXPANDED_NODES
    file: Mapped | None = None
    """Where constants are views of it: the file, which is told what is folded."""

    @staticmethod
    def of(stored: int, nodes: int = 0) -> Budget:
        """Return the budget of files of so many bytes, in which so many nodes are written out."""
        called = EXPANDED_NODES + EXPANDED_PER_NODE * nodes
        return Budget(GROWTH + RATIO * stored, nodes=called)

    def take(self, count: int, what: str) -> None:
        """Pay for `count` bytes; FormatError that names `what` needs them where they are not left.

        A count below 0 costs nothing.
        """
        if count > self.bytes:
            raise FormatError(
                f"{what} takes {_size(count)} in memory, far more than is stored for it",
                hint=f"at most {_size(GROWTH)} and {RATIO} times the size of the file are read",
            )
        self.bytes -= max(count, 0)

    def expand(self, count: int, what: str) -> None:
        """Pay for `count` nodes or tensors that the file does not write out one by one.

        Raises UnsupportedError that names `what` stands for them where they are not left.
        """
        self.nodes -= count
        if self.nodes < 0:
            raise UnsupportedError(
                f"{what} makes the model too large: calls and splits may become {EXPANDED_NODES} "
                f"nodes and {EXPANDED_PER_NODE} for each node of the file",
                hint="cut the model with --output_arrays, and convert its parts",
            )

    def affords(self, grown: int, work: int, read: int = 0) -> bool:
        """Whether so many bytes and so much work are left; if so, they are paid for.

        read: bytes of constants that will be looked at then.
        """
        if grown > self.bytes or work > self.work:
            return False
        if self.file is not None:
            self.file.look_at(read)
        self.bytes -= max(grown, 0)
        self.work -= max(work, 0)
        return True


def check_member(entry: ZipInfo, budget: Budget, what: str) -> None:
    """Pay for unpacking a member of a zip archive; FormatError where it is far larger than stored.

    It is to be read through the archive, which stops at the size that is paid for here.
    """
    budget.take(entry.file_size - entry.compress_size, what)


LOCAL_HEADER = 30
"""Bytes before the name of a member (APPNOTE 4.3.7); the lengths of name and extra end it."""


def place_of(entry: ZipInfo, content: memoryview) -> int:
    """Return where the bytes of a member begin in the content of its archive, if stored as such."""
    header = content[entry.header_offset : entry.header_offset + LOCAL_HEADER]
    lengths = [int.from_bytes(header[at : at + 2], "little") for at in (26, 28)]
    return entry.header_offset + LOCAL_HEADER + sum(lengths)


def _size(count: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def read_file(path: Path) -> bytes:
    """Return a file's content; UsageError where it cannot be read or does not fit into memory."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        size = _size(path.stat().st_size)
        raise UsageError(f"{path} does not fit into memory: it has {size}") from error


@contextmanager
def reading(what: str, hint: str | None = None) -> Iterator[None]:
    """Turn whatever a library raises for damaged bytes into a FormatError: "`what`: reason".

    Parsers of images, archives and headers raise many kinds, and not those that they document.
    """
    try:
        yield
    except TqconvError:
        raise
    except Exception as error:
        raise FormatError(f"{what}: {first_line(error)}", hint=hint) from error


def parse_json(text: str | bytes, what: str) -> Any:
    """Return what JSON text says, with or without a mark that it is UTF-8.

    Raises FormatError where it is none or nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    except RecursionError as error:
        raise FormatError(f"{what} is not JSON: it is nested too deeply") from error
    except ValueError as error:
        raise FormatError(f"{what} is not JSON: {error}") from error


def whole(text: str) -> int | None:
    """Return the number that decimal digits say, None where they are none.

    Anything beyond `LARGEST` is that: Python reads no number of thousands of digits.
    """
    if not text.isdecimal():
        return None
    digits = text.lstrip("0") or "0"
    return min(int(digits), LARGEST) if len(digits) <= len(str(LARGEST)) else LARGEST


def check_sizes(shape: Sequence[int | None], what: str) -> None:
    """Raise UnsupportedError where nothing has room for a shape."""
    fits, elements = True, 1
    for size in shape:
        if size:
            fits = fits and 0 < size <= SIZE
            elements *= size
    if len(shape) > RANK:
        raise UnsupportedError(
            f"{what} has {len(shape)} dimensions, a shape has {RANK} at most",
            hint="is the model damaged?",
        )
    if fits and elements <= ELEMENTS:
        return
    problem = (
        "which are more elements than LiteRT counts"
        if fits
        else "whose sizes do not fit into 31 bits"
    )
    raise UnsupportedError(
        f"{what} has the shape {shaped(shape)}, {problem}", hint="is the model damaged?"
    )
