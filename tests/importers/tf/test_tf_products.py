"""Matrix products and Einstein summation, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from graphs import assert_op, const, graph, model_of, node, placeholder, results
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # sums of at most 50 products of numbers about 1


def turned(x: Array, wanted: bool) -> Array:
    return np.swapaxes(x, -1, -2).copy() if wanted else x


CONSTANTS = [(), (1,), (0,)]


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_matmul(dtype: Any, transpose_a: bool, transpose_b: bool, constants: Any) -> None:
    x, w = (numbers(3, 4) * 99).astype(dtype), (numbers(4, 5, seed=1) * 99).astype(dtype)
    operands = turned(x, transpose_a), turned(w, transpose_b)
    attrs = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    error = {"rtol": 1e-5, "atol": 0.1} if dtype == np.float32 else {}
    assert_op("MatMul", operands, x @ w, constants=constants, **attrs, **error)


def test_matmul_of_a_constant_matrix_is_a_dense_layer() -> None:
    w = const("w", numbers(4, 5))
    message = graph(placeholder("x", np.float32, (None, 4)), w, node("y", "MatMul", "x", "w"))
    assert [op.type for op in model_of(message, ["y"]).main.ops] == ["FULLY_CONNECTED"]


def test_matrices_that_do_not_meet_are_refused() -> None:
    message = graph(
        placeholder("x", np.float32, (1, 8)),
        const("w", numbers(4, 8)),
        node("y", "MatMul", "x", "w", T=np.float32),
    )
    with pytest.raises(UnsupportedError, match="8 columns do not meet 4 rows"):
        model_of(message, ["y"], ["x"])


def test_matmul_of_empty_matrices_is_zero() -> None:
    assert_op("MatMul", (numbers(3, 0), numbers(0, 5)), np.zeros((3, 5), np.float32))


def test_matmul_of_integers_wraps_around() -> None:
    x = np.random.default_rng(0).integers(-(2**31), 2**31, (3, 4), np.int32)
    w = np.random.default_rng(1).integers(-(2**31), 2**31, (4, 5), np.int32)
    assert_op("MatMul", (x, w), x @ w)


BATCHES = [
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((2, 1, 3, 4), (1, 3, 4, 5)),
    ((2, 1, 2, 3, 4), (2, 1, 4, 5)),
    ((2, 1, 2, 2, 3, 4), (1, 2, 1, 2, 4, 5)),
]


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize(("adj_x", "adj_y"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_batch_matmul(left: Any, right: Any, adj_x: bool, adj_y: bool, constants: Any) -> None:
    x, w = numbers(*left), numbers(*right, seed=1)
    operands = turned(x, adj_x), turned(w, adj_y)
    attrs = {"adj_x": adj_x, "adj_y": adj_y}
    assert_op("BatchMatMulV2", operands, x @ w, constants=constants, **attrs, **CLOSE)


def test_the_first_batch_matmul() -> None:
    x, w = numbers(2, 3, 4), numbers(2, 5, 4, seed=1)
    assert_op("BatchMatMul", (x, w), x @ np.swapaxes(w, 1, 2), adj_y=True, **CLOSE)


@pytest.mark.parametrize("constants", [(), (1,)])
def test_batch_matmul_of_unknown_sizes(constants: Any) -> None:
    x, w = numbers(2, 3, 4), numbers(2, 4, 5)
    assert_op("BatchMatMulV2", (x, w), x @ w, constants=constants, dynamic=True, **CLOSE)


def test_batch_matmul_of_two_types() -> None:
    x = np.random.default_rng(0).integers(0, 255, (2, 3, 4), np.uint8)
    w = np.random.default_rng(1).integers(-128, 127, (2, 4, 5), np.int8)
    types = {"Ta": np.uint8, "Tb": np.int8, "Tout": np.int32}
    assert_op("BatchMatMulV3", (x, w), x.astype(np.int32) @ w.astype(np.int32), **types)


def test_products_of_complex_matrices_take_the_conjugate_of_an_adjoint() -> None:
    x = (numbers(2, 4, 3) + 1j * numbers(2, 4, 3, seed=1)).astype(np.complex64)
    w = (numbers(2, 4, 5, seed=2) + 1j * numbers(2, 4, 5, seed=3)).astype(np.complex64)
    expected = np.conj(np.swapaxes(x, 1, 2)) @ w
    assert_op("BatchMatMulV2", (x, w), expected, adj_x=True, **CLOSE)
    assert_op("MatMul", (x[0], w[0]), x[0].T @ w[0], transpose_a=True, **CLOSE)


SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3, "f": 2, "g": 3, "h": 4, "i": 3, "j": 4, "k": 5}
ONE = ["ij->ji", "ij->i", "ij->", "ii->i", "ii->", "iij->ij", "iji->j", "abc->ac", "a->a"]
TWO = [
    *("ij,jk->ik", "bij,bjk->bik", "bij,bkj->bik", "bij,bki->bjk", "ij,jk->ki"),
    *("abc,cd->abd", "abc,cde->abde", "abcd,cde->abe", "abc,dc->abd", "ab,ac->abc"),
    *("i,i->", "i,j->ij", "ab,ab->ab", "ab,ab->a", "ab,ab->", "ab,bc->a", "ab,cd->dcba"),
    *("abcd,abed->abce", "abcd,abce->abed", "abc,abc->ab", "abc,bad->cd", "abcd,dcba->"),
    *("abcde,edf->abcf", "abcdef,fg->abcdeg", "abcdef,abcdfg->abcdeg", "aab,b->a", "a,ab->b"),
    *("ecd,abcd->abe", "abc,ade->bcde", ",ab->ab", "iij,jk->ik"),
]


def einsum_operands(equation: str) -> list[Array]:
    terms = equation.split("->")[0].split(",")
    return [numbers(*(SIZES[c] for c in term), seed=i) for i, term in enumerate(terms)]


@pytest.mark.parametrize("equation", ONE)
def test_einsum_of_one(equation: str) -> None:
    operands = einsum_operands(equation)
    expected = np.einsum(equation, *operands)
    assert_op("Einsum", operands, expected, equation=equation, **CLOSE)


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("equation", TWO)
def test_einsum_of_two(equation: str, constants: Any) -> None:
    operands = einsum_operands(equation)
    expected = np.einsum(equation, *operands)
    assert_op("Einsum", operands, expected, constants=constants, equation=equation, **CLOSE)


@pytest.mark.parametrize("equation", ["ij,jk->ik", "bij,bkj->bik", "ab,cd->dcba", "iij->ij"])
def test_einsum_of_integers(equation: str) -> None:
    operands = [(x * 2**16).astype(np.int32) for x in einsum_operands(equation)]
    assert_op("Einsum", operands, np.einsum(equation, *operands), equation=equation)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("...ij,...jk->...ik", [(2, 3, 3, 4), (2, 3, 4, 5)]),
        ("...ij,jk->...ik", [(2, 3, 3, 4), (4, 5)]),
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (3, 4, 5)]),
        ("...a,...a->...", [(2, 3, 4), (3, 4)]),
        ("a...,b...->ab...", [(2, 3, 4), (5, 3, 4)]),
        ("b...->...b", [(2, 3, 4)]),
        ("...ii->...i", [(2, 3, 3)]),
        ("...ij,...jk->ik...", [(2, 3, 3, 4), (3, 4, 5)]),
    ],
)
def test_einsum_with_an_ellipsis(equation: str, shapes: Any) -> None:
    operands = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    expected = np.einsum(equation, *operands)
    assert_op("Einsum", operands, expected, equation=equation, **CLOSE)


@pytest.mark.parametrize("equation", ["ij,jk,kh->ih", "bij,bjk,bk->bi", "a,b,c->abc", "ij,jk,ik->"])
def test_einsum_of_three(equation: str) -> None:
    operands = einsum_operands(equation)
    expected = np.einsum(equation, *operands)
    assert_op("Einsum", operands, np.asarray(expected), equation=equation, **CLOSE)


@pytest.mark.parametrize("equation", ["i->ii", "i->iii", "ij->iij", "ij,jk->iik"])
def test_einsum_puts_repeated_labels_of_the_result_on_the_diagonal(equation: str) -> None:
    operands = einsum_operands(equation)
    left, right = equation.split("->")
    flat = np.einsum(f"{left}->{''.join(dict.fromkeys(right))}", *operands)
    count = right.count("i")
    expected = np.zeros((3,) * count + flat.shape[1:], np.float32)
    for i in range(3):
        expected[(i,) * count] = flat[i]
    assert_op("Einsum", operands, expected, equation=equation, **CLOSE)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bij,bjk->bik", [(None, 3, 4), (None, 4, 5)]),
        ("bqhd,bkhd->bhqk", [(None, None, 4, 2), (None, None, 4, 2)]),
        ("bhqk,bkhd->bqhd", [(None, 3, None, None), (None, None, 3, 4)]),
        ("abc,cde->abde", [(None, None, None), (None, None, None)]),
    ],
)
def test_einsum_of_unknown_sizes(equation: str, shapes: Any) -> None:
    size = {**SIZES, "q": 3, "h": 3, "d": 4, "k": 5}
    size.update({"h": 4, "d": 2} if equation.startswith("bqhd") else {})
    terms = equation.split("->")[0].split(",")
    arrays = [numbers(*(size[c] for c in term), seed=i) for i, term in enumerate(terms)]
    nodes = [placeholder(f"x{i}", np.float32, s) for i, s in enumerate(shapes)]
    nodes.append(node("y", "Einsum", "x0", "x1", equation=equation))
    feeds = {f"x{i}": x for i, x in enumerate(arrays)}
    for (have,) in results(graph(*nodes), feeds, ["y"]):
        np.testing.assert_allclose(have, np.einsum(equation, *arrays), **CLOSE)


def test_einsum_refuses_an_equation_for_other_operands() -> None:
    message = graph(
        placeholder("x", np.float32, (2, 3)), node("y", "Einsum", "x", equation="abc->a")
    )
    with pytest.raises(UnsupportedError, match="subscripts `abc` for an operand of rank 2"):
        model_of(message, ["y"])
