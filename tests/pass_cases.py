"""Claims about the default passes: a graph, and the operators that are left of it."""

from __future__ import annotations


def windows(size: int, stride: int) -> str:
    """Return the options of a pool without padding of its own."""
    sizes = f"filter_height={size}, filter_width={size}, stride_h={stride}, stride_w={stride}"
    return f"{{padding=VALID, {sizes}}}"


SAME_ONE = "{padding=SAME, stride_h=1, stride_w=1}"
"""Options of a convolution that keeps the size."""

CASES = {
    "a dimension of 1 comes and goes beside a permutation of open sizes": (
        """x: f32[?,4,?] -> y
        a = TRANSPOSE(x, [0,2,1])
        b = EXPAND_DIMS(a, 1)
        c = EXP(b)
        d = SQUEEZE(c) {squeeze_dims=[1]}
        e = TRANSPOSE(d, [0,2,1])
        y = EXP(e)""",
        ["EXPAND_DIMS", "EXP", "SQUEEZE", "EXP"],
    ),
    "a number beside an image has no layout": (
        f"""x: f32[1,4,5,5] -> y
        a = TRANSPOSE(x, [0,2,3,1])
        b = CONV_2D(a, f32[4,1,1,4], f32[4]) {SAME_ONE}
        c = TRANSPOSE(b, [0,3,1,2])
        m = REDUCE_MAX(c, [0,1,2,3])
        n = ABS(m)
        d = DIV(c, n)
        e = TRANSPOSE(d, [0,2,3,1])
        f = CONV_2D(e, f32[4,1,1,4], f32[4]) {SAME_ONE}
        y = TRANSPOSE(f, [0,3,1,2])""",
        ["TRANSPOSE", "CONV_2D", "REDUCE_MAX", "ABS", "DIV", "CONV_2D", "TRANSPOSE"],
    ),
    "what is split as it was joined is not joined": (
        """x: f32[4,1,?,8], y: f32[4,1,?,8] -> a, b
        j = CONCATENATION(x, y) {axis=1}
        s, t = SPLIT(1, j) {num_splits=2}
        a = TANH(s)
        b = TANH(t)""",
        ["TANH", "TANH"],
    ),
    "rows that were joined are unpacked by reshapes": (
        """x: f32[1,?,8], y: f32[1,?,8] -> a, b
        j = CONCATENATION(x, y) {axis=0}
        s, t = UNPACK(j) {num=2, axis=0}
        a = TANH(s)
        b = TANH(t)""",
        ["RESHAPE", "TANH", "RESHAPE", "TANH"],
    ),
    "a slice of what was joined is the part that it takes": (
        """x: f32[2,3], y: f32[2,4] -> a, b
        n = NEG(x)
        j = CONCATENATION(n, y) {axis=1}
        s = STRIDED_SLICE(j, [0,0], [2,3], [1,1])
        a = EXP(s)
        b = TANH(j)""",
        ["NEG", "CONCATENATION", "EXP", "TANH"],
    ),
    "other parts than those that were joined stay": (
        """x: f32[2,3], y: f32[2,5] -> a, b
        j = CONCATENATION(x, y) {axis=1}
        s, t = SPLIT(1, j) {num_splits=2}
        a = TANH(s)
        b = TANH(t)""",
        ["CONCATENATION", "SPLIT", "TANH", "TANH"],
    ),
    "ones times nothing are filled as nothing": (
        """x: f32[?,4] -> y
        n = SHAPE(x) {out_type=INT32}
        f = FILL(n, 1.0)
        m = MUL(f, 0.0)
        y = CONCATENATION(x, m) {axis=0}""",
        ["SHAPE", "FILL", "CONCATENATION"],
    ),
    "a first convolution that is an output, too, is turned once": (
        f"""x: f32[1,4,5,5] -> w, c
        a = TRANSPOSE(x, [0,2,3,1])
        b = CONV_2D(a, f32[4,1,1,4], f32[4]) {SAME_ONE}
        c = TRANSPOSE(b, [0,3,1,2])
        y = ADD(x, c)
        d = TRANSPOSE(y, [0,2,3,1])
        e = CONV_2D(d, f32[4,1,1,4], f32[4]) {SAME_ONE}
        f = TRANSPOSE(e, [0,3,1,2])
        w = ADD(y, f)""",
        ["TRANSPOSE", "CONV_2D", "TRANSPOSE", "ADD", "CONV_2D", "ADD", "TRANSPOSE"],
    ),
    "a copy of what a clamp leaves is no unit vector": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = MAXIMUM(s, 1e-12)
        r = RSQRT(m)
        z = MUL(x, r) {fused_activation_function=RELU}""",
        ["SQUARE", "SUM", "MAXIMUM", "RSQRT", "MUL"],
    ),
    "slopes of what is clamped are none of a PRELU": (
        """x: f32[1,3,3,4] -> z
        p = RELU(x)
        n = NEG(x)
        q = RELU(n)
        m = MUL(f32[4], q) {fused_activation_function=RELU_N1_TO_1}
        z = SUB(p, m)""",
        ["RELU", "NEG", "RELU", "MUL", "SUB"],
    ),
    "a variance that is clamped stays so": (
        """x: f32[2,5,8] -> z
        r = RESHAPE(x, [1,10,8,1])
        m = MEAN(r, [0,2,3]) {keep_dims=true}
        d = SUB(r, m)
        s = SQUARE(d)
        v = MEAN(s, [0,2,3]) {keep_dims=true}
        e = ADD(v, 0.01) {fused_activation_function=RELU_N1_TO_1}
        f = RSQRT(e)
        p = MUL(d, f)
        z = RESHAPE(p, [2,5,8])""",
        ["RESHAPE", "MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "RESHAPE"],
    ),
    "an epsilon of four dimensions is a number for three": (
        """x: f32[2,5,8] -> z
        r = RESHAPE(x, [1,10,8,1])
        m = MEAN(r, [0,2,3]) {keep_dims=true}
        d = SUB(r, m)
        s = SQUARE(d)
        v = MEAN(s, [0,2,3]) {keep_dims=true}
        e = ADD(v, [[[[0.01]]]])
        f = RSQRT(e)
        p = MUL(d, f)
        z = RESHAPE(p, [2,5,8])""",
        ["MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL"],
    ),
    "what is split along another axis is not repeated": (
        """x: f32[2,2,4] -> z
        a, b = SPLIT(0, x) {num_splits=2}
        z = CONCATENATION(a, a, b, b) {axis=1}""",
        ["SPLIT", "CONCATENATION"],
    ),
    "masked scores that are an output, too, keep their sums": (
        """x: f32[2,5], f: f32[2,5] -> z, y
        m = GREATER(f, 0.0)
        c = CAST(m) {in_data_type=BOOL, out_data_type=FLOAT32}
        a = MUL(c, 1e9)
        y = SUB(x, a)
        z = SOFTMAX(y) {beta=1.0}""",
        ["GREATER", "CAST", "MUL", "SUB", "SOFTMAX"],
    ),
    "an element that lies before the first is the first": (
        """x: f32[?,3] -> z
        n = SHAPE(x) {out_type=INT32}
        a = STRIDED_SLICE(n, [0], [1], [1]) {shrink_axis_mask=1}
        v = PACK(a, 7) {values_count=2}
        s = STRIDED_SLICE(v, [-5], [1], [1])
        z = CAST(s) {in_data_type=INT32, out_data_type=FLOAT32}""",
        ["SHAPE", "STRIDED_SLICE", "RESHAPE", "CAST"],
    ),
    "what is chosen may be widened by rows of another number": (
        """x: f32[?,3], y: f32[?,3] -> z
        p = NEG(x)
        q = EXP(y)
        s = SELECT_V2(True, p, q)
        z = NEG(s)""",
        ["NEG", "EXP", "SELECT_V2", "NEG"],
    ),
    "steps whose rows may be fewer than those of others are no batch": (
        """x: f32[2,?,8], b: f32[2,?,8] -> z
        p, q = UNPACK(x) {num=2, axis=0}
        r, s = UNPACK(b) {num=2, axis=0}
        t = ADD(p, r)
        u = ADD(q, s)
        z = PACK(t, u) {axis=0, values_count=2}""",
        ["UNPACK", "UNPACK", "ADD", "ADD", "PACK"],
    ),
    "steps whose rows a dense layer joins are no batch": (
        """x: f32[2,2,8] -> z
        p, q = UNPACK(x) {num=2, axis=1}
        t = FULLY_CONNECTED(p, f32[5,16], zeros[5])
        u = FULLY_CONNECTED(q, f32[5,16], zeros[5])
        z = PACK(t, u) {axis=0, values_count=2}""",
        ["UNPACK", "FULLY_CONNECTED", "FULLY_CONNECTED", "PACK"],
    ),
    "slopes that widen what they are multiplied with are none of a PRELU": (
        """x: f32[1,3,3,?] -> z
        p = RELU(x)
        n = NEG(x)
        q = RELU(n)
        m = MUL(f32[4], q)
        z = SUB(p, m)""",
        ["RELU", "NEG", "RELU", "MUL", "SUB"],
    ),
    "an element of what was packed is read before": (
        """x: f32[?,8] -> z, w
        n = SHAPE(x) {out_type=INT32}
        a = STRIDED_SLICE(n, [0], [1], [1]) {shrink_axis_mask=1}
        v = PACK(a, 8) {values_count=2}
        e = STRIDED_SLICE(v, [0], [1], [1]) {shrink_axis_mask=1}
        z = NEG(e)
        w = NEG(v)""",
        ["SHAPE", "STRIDED_SLICE", "PACK", "NEG", "NEG"],
    ),
    "a dense layer makes its bias of zeros": (
        """x: f32[2,4] -> z
        y = FULLY_CONNECTED(zeros[2,3], f32[4,3], f32[4])
        z = ADD(x, y)""",
        ["ADD"],
    ),
    "a scaled number that a dense layer reads as a row keeps its scale": (
        """x: f32[] -> z
        m = MUL(x, 3.0)
        r = RESHAPE(m, [1,1])
        z = FULLY_CONNECTED(r, f32[2,1], f32[2])""",
        ["MUL", "RESHAPE", "FULLY_CONNECTED"],
    ),
    "a permutation that counts from the end is passed and undone": (
        """x: f32[2,3,4] -> z
        t = TRANSPOSE(x, [2,0,-2])
        a = NEG(t)
        z = TRANSPOSE(a, [1,-1,0])""",
        ["NEG"],
    ),
    "a layer norm scales what is left without the mean": (
        """x: f32[2,8] -> z
        m = MEAN(x, [1]) {keep_dims=true}
        v = SQUARED_DIFFERENCE(x, m)
        w = MEAN(v, [1]) {keep_dims=true}
        e = ADD(w, 0.01)
        r = RSQRT(e)
        f = MUL(r, f32[8])
        a = MUL(x, f)
        p = MUL(m, f)
        s = SUB(f32[8], p)
        y = ADD(a, s)
        z = NEG(y)""",
        ["MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "ADD", "NEG"],
    ),
    "slices of one size that are all of a tensor are a split": (
        """x: f32[2,6] -> a, b, c
        n = TANH(x)
        p = STRIDED_SLICE(n, [0,0], [0,2], [1,1]) {begin_mask=1, end_mask=1}
        q = STRIDED_SLICE(n, [0,2], [0,4], [1,1]) {begin_mask=1, end_mask=1}
        r = STRIDED_SLICE(n, [0,4], [0,0], [1,1]) {begin_mask=1, end_mask=3}
        a = NEG(p)
        b = NEG(q)
        c = NEG(r)""",
        ["TANH", "SPLIT", "NEG", "NEG", "NEG"],
    ),
    "slices that leave something out, or differ in size, stay": (
        """x: f32[2,6] -> a, b, c, d
        n = TANH(x)
        m = SIN(x)
        p = STRIDED_SLICE(n, [0,0], [0,2], [1,1]) {begin_mask=1, end_mask=1}
        q = STRIDED_SLICE(n, [0,2], [0,4], [1,1]) {begin_mask=1, end_mask=1}
        r = STRIDED_SLICE(m, [0,0], [0,2], [1,1]) {begin_mask=1, end_mask=1}
        s = STRIDED_SLICE(m, [0,2], [0,6], [1,1]) {begin_mask=1, end_mask=1}
        a = NEG(p)
        b = NEG(q)
        c = NEG(r)
        d = NEG(s)""",
        ["TANH", "SIN", *["STRIDED_SLICE"] * 4, *["NEG"] * 4],
    ),
    "a bias behind a sum goes into the dense layer before it": (
        """x: f32[2,6], y: f32[2,3] -> z
        p = FULLY_CONNECTED(x, f32[3,6])
        q = FULLY_CONNECTED(y, f32[3,3])
        s = ADD(p, q)
        z = ADD(s, f32[3])""",
        ["FULLY_CONNECTED", "FULLY_CONNECTED", "ADD"],
    ),
    "a bias behind a sum of what no layer makes stays": (
        """x: f32[2,3], y: f32[2,3] -> z
        s = ADD(x, y)
        z = ADD(s, f32[3])""",
        ["ADD", "ADD"],
    ),
    "a condition that holds twice is one": (
        """x: f32[2,3] -> z
        c = GREATER(x, 0.5)
        b = LOGICAL_AND(c, c)
        z = SELECT_V2(b, x, 0.0)""",
        ["GREATER", "SELECT_V2"],
    ),
    "steps that are computed alike are rows of a batch": (
        """x: f32[2,3,4] -> y
        n = TANH(x)
        a = GATHER(n, 0) {axis=1}
        b = GATHER(n, 1) {axis=1}
        c = GATHER(n, 2) {axis=1}
        d = SIN(a)
        e = SIN(b)
        f = SIN(c)
        g = ADD(d, a)
        h = ADD(e, b)
        i = ADD(f, c)
        p = PACK(g, h, i) {values_count=3, axis=0}
        y = TRANSPOSE(p, [1,0,2])""",
        ["TANH", "RESHAPE", "SIN", "ADD", "RESHAPE"],
    ),
    "steps along the first axis are rows, too": (
        """x: f32[3,2,4] -> y
        a, b, c = UNPACK(x) {axis=0, num=3}
        d = SOFTMAX(a) {beta=1.0}
        e = SOFTMAX(b) {beta=1.0}
        f = SOFTMAX(c) {beta=1.0}
        y = PACK(d, e, f) {values_count=3, axis=0}""",
        ["RESHAPE", "SOFTMAX", "RESHAPE"],
    ),
    "steps with constants of their own stay": (
        """x: f32[2,4] -> y
        a, b = UNPACK(x) {axis=0, num=2}
        d = MUL(a, 2.0)
        e = MUL(b, 3.0)
        y = PACK(d, e) {values_count=2, axis=0}""",
        ["UNPACK", "MUL", "MUL", "PACK"],
    ),
    "steps in another order stay": (
        """x: f32[2,4] -> y
        a, b = UNPACK(x) {axis=0, num=2}
        d = SIN(b)
        e = SIN(a)
        y = PACK(d, e) {values_count=2, axis=0}""",
        ["UNPACK", "SIN", "SIN", "PACK"],
    ),
    "steps whose rows are mixed stay": (
        """x: f32[2,3,4] -> y
        a, b = UNPACK(x) {axis=0, num=2}
        d = MEAN(a, [0]) {keep_dims=true}
        e = MEAN(b, [0]) {keep_dims=true}
        y = PACK(d, e) {values_count=2, axis=0}""",
        ["UNPACK", "MEAN", "MEAN", "PACK"],
    ),
    "rows and columns that are repeated are a larger picture": (
        """x: f32[1,3,4,2] -> y
        r = RESHAPE(x, [1,3,1,4,2])
        s = TILE(r, [1,1,2,1,1])
        t = RESHAPE(s, [1,6,4,1,2])
        u = TILE(t, [1,1,1,3,1])
        y = RESHAPE(u, [1,6,12,2])""",
        ["RESIZE_NEAREST_NEIGHBOR"],
    ),
    "a picture that is repeated as a whole is no larger picture": (
        """x: f32[1,3,4,2] -> y
        r = RESHAPE(x, [1,1,3,4,2])
        s = TILE(r, [1,2,1,1,1])
        y = RESHAPE(s, [1,6,4,2])""",
        ["RESHAPE", "TILE", "RESHAPE"],
    ),
    "a bound on the reciprocal of a length is an epsilon": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        r = RSQRT(s)
        m = MINIMUM(r, 1e6)
        z = MUL(x, m)""",
        ["L2_NORMALIZATION"],
    ),
    "a bound that counts stays": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        r = RSQRT(s)
        m = MINIMUM(r, 0.2)
        z = MUL(x, m)""",
        ["SQUARE", "SUM", "RSQRT", "MINIMUM", "MUL"],
    ),
    "where a zero is negative does not matter to the largest": (
        """x: f32[2,5], f: f32[2,5] -> z
        e = EQUAL(x, 0.0)
        l = LESS(f, 0.0)
        b = LOGICAL_AND(e, l)
        s = SELECT_V2(b, -1.1754944e-38, x)
        z = ARG_MAX(s, 1) {output_type=INT32}""",
        ["ARG_MAX"],
    ),
    "a choice between elements matters to the largest": (
        """x: f32[2,5], f: f32[2,5] -> z
        l = LESS(f, 0.0)
        s = SELECT_V2(l, -1.1754944e-38, x)
        z = ARG_MAX(s, 1) {output_type=INT32}""",
        ["LESS", "SELECT_V2", "ARG_MAX"],
    ),
    "a size that was joined into a shape is read before": (
        """x: f32[?,8] -> z, w
        n = SHAPE(x) {out_type=INT32}
        a = STRIDED_SLICE(n, [0], [1], [1])
        v = CONCATENATION(a, [8,3]) {axis=0}
        e = STRIDED_SLICE(v, [0], [1], [1]) {shrink_axis_mask=1}
        z = NEG(e)
        w = NEG(v)""",
        ["SHAPE", "STRIDED_SLICE", "CONCATENATION", "RESHAPE", "NEG", "NEG"],
    ),
    "parts of one size that are said one by one are a split": (
        """x: f32[2,6] -> a, b
        n = TANH(x)
        p, q = SPLIT_V(n, [3,3], 1) {num_splits=2}
        a = NEG(p)
        b = NEG(q)""",
        ["TANH", "SPLIT", "NEG", "NEG"],
    ),
    "parts of other sizes stay": (
        """x: f32[2,6] -> a, b
        n = TANH(x)
        p, q = SPLIT_V(n, [4,2], 1) {num_splits=2}
        a = NEG(p)
        b = NEG(q)""",
        ["TANH", "SPLIT_V", "NEG", "NEG"],
    ),
    "the only slice that is read is taken alone": (
        """x: f32[3,2,4] -> y
        a, b = UNPACK(x) {axis=1, num=2}
        y = NEG(b)""",
        ["STRIDED_SLICE", "NEG"],
    ),
    "a copy along an axis of open rows is left to the operator": (
        """x: f32[2,5], s: f32[2,1] -> z
        m = GREATER(s, 0.0)
        t = TILE(m, [1,5])
        z = SELECT_V2(t, x, 0.0)""",
        ["GREATER", "SELECT_V2"],
    ),
    "a mask of constants chooses": (
        """x: f32[1,2] -> z
        y = ADD(x, [0.0,-1e9])
        z = SOFTMAX(y) {beta=1.0}""",
        ["SELECT_V2", "SOFTMAX"],
    ),
    "a bias before a softmax stays": (
        """x: f32[1,2] -> z
        y = ADD(x, [-1.0,-1e9])
        z = SOFTMAX(y) {beta=1.0}""",
        ["ADD", "SOFTMAX"],
    ),
    "the opposite of a condition chooses the other way": (
        """x: f32[2,5], f: f32[2,5] -> z
        m = GREATER(f, 0.0)
        n = LOGICAL_NOT(m)
        z = SELECT_V2(n, x, 1.0)""",
        ["GREATER", "SELECT_V2"],
    ),
    "what is multiplied with a condition is chosen": (
        """x: f32[2,5], f: f32[2,1] -> z
        m = GREATER(f, 0.0)
        c = CAST(m) {in_data_type=BOOL, out_data_type=FLOAT32}
        z = MUL(c, x)""",
        ["GREATER", "SELECT_V2"],
    ),
    "a condition that is counted, too, stays a number": (
        """x: f32[2,5], f: f32[2,1] -> z, w
        m = GREATER(f, 0.0)
        c = CAST(m) {in_data_type=BOOL, out_data_type=FLOAT32}
        z = MUL(c, x)
        w = NEG(c)""",
        ["GREATER", "CAST", "MUL", "NEG"],
    ),
    "the product of two vectors is a sum": (
        """x: f32[2,5], y: f32[2,5] -> z
        a = RESHAPE(x, [2,1,5])
        b = RESHAPE(y, [2,5,1])
        p = BATCH_MATMUL(a, b)
        z = RESHAPE(p, [2,1])""",
        ["MUL", "SUM"],
    ),
    "parts that are joined several times are repeated": (
        """x: f32[2,3,4] -> y
        a, b, c = SPLIT(1, x) {num_splits=3}
        y = CONCATENATION(a, a, b, b, c, c) {axis=1}""",
        ["RESHAPE", "TILE", "RESHAPE"],
    ),
    "parts that are joined in another order stay": (
        """x: f32[2,2,4] -> y
        a, b = SPLIT(1, x) {num_splits=2}
        y = CONCATENATION(a, b, a, b) {axis=1}""",
        ["SPLIT", "CONCATENATION"],
    ),
    "gates that are convolved one by one are convolved at once": (
        f"""x: f32[1,4,4,2], h: f32[1,4,4,3] -> y
        a = CONV_2D(x, f32[3,3,3,2], f32[3]) {SAME_ONE}
        b = CONV_2D(h, f32[3,3,3,3], f32[3]) {SAME_ONE}
        c = CONV_2D(x, f32[3,3,3,2], f32[3]) {SAME_ONE}
        d = CONV_2D(h, f32[3,3,3,3], f32[3]) {SAME_ONE}
        i = ADD(a, b)
        f = ADD(c, d)
        p = LOGISTIC(i)
        q = TANH(f)
        y = MUL(p, q)""",
        ["CONV_2D", "CONV_2D", "ADD", "SPLIT", "LOGISTIC", "TANH", "MUL"],
    ),
    "gates of other inputs are not": (
        f"""x: f32[1,4,4,2], h: f32[1,4,4,3], g: f32[1,4,4,3] -> y
        a = CONV_2D(x, f32[3,3,3,2], f32[3]) {SAME_ONE}
        b = CONV_2D(h, f32[3,3,3,3], f32[3]) {SAME_ONE}
        c = CONV_2D(x, f32[3,3,3,2], f32[3]) {SAME_ONE}
        d = CONV_2D(g, f32[3,3,3,3], f32[3]) {SAME_ONE}
        i = ADD(a, b)
        f = ADD(c, d)
        y = MUL(i, f)""",
        [*["CONV_2D"] * 4, "ADD", "ADD", "MUL"],
    ),
    "an exponential unit with a scale is two operators": (
        """x: f32[2,5] -> y
        g = GREATER(x, 0.0)
        e = ELU(x)
        m = MUL(e, 0.7)
        y = SELECT_V2(g, e, m)""",
        ["ELU", "LEAKY_RELU"],
    ),
    "a choice by another tensor stays": (
        """x: f32[2,5], f: f32[2,5] -> y
        g = GREATER(f, 0.0)
        m = MUL(x, 0.7)
        y = SELECT_V2(g, x, m)""",
        ["GREATER", "MUL", "SELECT_V2"],
    ),
    "a norm of rows that were reshaped for a kernel of pictures has no RESHAPE": (
        """x: f32[2,5,8] -> z
        r = RESHAPE(x, [1,10,8,1])
        m = MEAN(r, [0,2,3]) {keep_dims=true}
        d = SUB(r, m)
        s = SQUARE(d)
        v = MEAN(s, [0,2,3]) {keep_dims=true}
        e = ADD(v, 0.01)
        f = RSQRT(e)
        p = MUL(d, f)
        y = RESHAPE(p, [2,5,8])
        z = MUL(y, f32[8])""",
        ["MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "MUL"],
    ),
    "a norm over columns that were reshaped stays": (
        """x: f32[2,5,8] -> y
        r = RESHAPE(x, [1,10,8,1])
        m = MEAN(r, [0,1,3]) {keep_dims=true}
        d = SUB(r, m)
        s = SQUARE(d)
        v = MEAN(s, [0,1,3]) {keep_dims=true}
        e = ADD(v, 0.01)
        f = RSQRT(e)
        p = MUL(d, f)
        y = RESHAPE(p, [2,5,8])""",
        ["RESHAPE", "MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "RESHAPE"],
    ),
    "a layer norm without an offset scales what is left without the mean": (
        """x: f32[2,8] -> z
        m = MEAN(x, [1]) {keep_dims=true}
        v = SQUARED_DIFFERENCE(x, m)
        w = MEAN(v, [1]) {keep_dims=true}
        e = ADD(w, 0.01)
        r = RSQRT(e)
        a = MUL(x, r)
        p = MUL(m, r)
        y = SUB(a, p)
        z = NEG(y)""",
        ["MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "NEG"],
    ),
    "statistics over many elements are taken axis by axis": (
        """x: f32[1,80,60,2] -> y, z
        m = MEAN(x, [1,2]) {keep_dims=true}
        y = SUB(x, m)
        s = SQUARE(y)
        z = MEAN(s, [1,2]) {keep_dims=true}""",
        ["MEAN", "MEAN", "SUB", "SQUARE", "MEAN", "MEAN"],
    ),
    "statistics over few elements, and averages that are no statistics, are taken at once": (
        """x: f32[1,60,60,2], w: f32[1,80,60,2] -> y, z
        m = MEAN(x, [1,2]) {keep_dims=true}
        y = SUB(x, m)
        z = MEAN(w, [1,2]) {keep_dims=true}""",
        ["MEAN", "SUB", "MEAN"],
    ),
    "what scales and shifts the rows of a dense layer goes into its weights": (
        """x: f32[2,5,8] -> z
        n = TANH(x)
        a = MUL(n, f32[8])
        b = ADD(a, f32[8])
        r = RESHAPE(b, [10,8])
        y = FULLY_CONNECTED(r, f32[3,8])
        z = RESHAPE(y, [2,5,3])""",
        ["TANH", "FULLY_CONNECTED"],
    ),
    "rows that something else reads keep their scale": (
        """x: f32[2,5,8] -> z, w
        n = NEG(x)
        a = MUL(n, f32[8])
        r = RESHAPE(a, [10,8])
        z = FULLY_CONNECTED(r, f32[3,8])
        w = NEG(a)""",
        ["NEG", "MUL", "FULLY_CONNECTED", "NEG"],
    ),
    "biases and scales of heads go into the layer that makes them": (
        """x: f32[2,5,8] -> z
        y = FULLY_CONNECTED(x, f32[6,8]) {keep_num_dims=true}
        r = RESHAPE(y, [2,5,3,2])
        a = ADD(r, f32[3,2])
        s = MUL(a, f32[3,1])
        z = TRANSPOSE(s, [0,2,1,3])""",
        ["FULLY_CONNECTED", "RESHAPE", "TRANSPOSE"],
    ),
    "a constant over more than the heads stays": (
        """x: f32[2,5,8] -> z
        y = FULLY_CONNECTED(x, f32[6,8]) {keep_num_dims=true}
        r = RESHAPE(y, [2,5,3,2])
        z = ADD(r, f32[5,3,2])""",
        ["FULLY_CONNECTED", "RESHAPE", "ADD"],
    ),
    "the scale of scores goes into what makes the queries": (
        """x: f32[2,5,8], k: f32[2,6,5] -> z
        q = FULLY_CONNECTED(x, f32[6,8]) {keep_num_dims=true}
        p = BATCH_MATMUL(q, k)
        z = DIV(p, 4.0)""",
        ["FULLY_CONNECTED", "BATCH_MATMUL"],
    ),
    "scores of queries that nothing makes keep their scale": (
        """q: f32[2,5,6], k: f32[2,6,5] -> z
        p = BATCH_MATMUL(q, k)
        z = MUL(p, 0.25)""",
        ["BATCH_MATMUL", "MUL"],
    ),
    "a product that is turned is multiplied the other way round": (
        """q: f32[2,5,3,6], k: f32[2,3,4,6] -> z
        n = NEG(k)
        t = TRANSPOSE(q, [0,2,3,1])
        p = BATCH_MATMUL(n, t)
        z = TRANSPOSE(p, [0,1,3,2])""",
        ["NEG", "TRANSPOSE", "BATCH_MATMUL"],
    ),
    "a mask that adds hides what it does not show": (
        """x: f32[2,5], f: f32[1,5] -> z
        m = GREATER(f, 0.0)
        c = CAST(m) {in_data_type=BOOL, out_data_type=FLOAT32}
        r = SUB(1.0, c)
        a = MUL(r, -1e9)
        y = ADD(x, a)
        z = SOFTMAX(y) {beta=1.0}""",
        ["GREATER", "SELECT_V2", "SOFTMAX"],
    ),
    "a mask that subtracts hides what it shows": (
        """x: f32[2,5], f: f32[1,5] -> z
        m = GREATER(f, 0.0)
        h = LOGICAL_NOT(m)
        c = CAST(h) {in_data_type=BOOL, out_data_type=FLOAT32}
        a = MUL(c, 1e9)
        y = SUB(x, a)
        z = SOFTMAX(y) {beta=1.0}""",
        ["GREATER", "SELECT_V2", "SOFTMAX"],
    ),
    "a choice of what is shifted far down hides at once": (
        """x: f32[2,5], f: f32[1,5] -> z
        m = GREATER(f, 0.0)
        s = SUB(x, 1e9)
        y = SELECT_V2(m, s, x)
        z = SOFTMAX(y) {beta=1.0}""",
        ["GREATER", "SELECT_V2", "SOFTMAX"],
    ),
    "a mask that adds less stays": (
        """x: f32[2,5], f: f32[1,5] -> z
        m = GREATER(f, 0.0)
        c = CAST(m) {in_data_type=BOOL, out_data_type=FLOAT32}
        r = SUB(1.0, c)
        a = MUL(r, -100.0)
        y = ADD(x, a)
        z = SOFTMAX(y) {beta=1.0}""",
        ["GREATER", "CAST", "SUB", "MUL", "ADD", "SOFTMAX"],
    ),
    "what only widens a mask goes": (
        """x: f32[?,5], f: f32[1,5] -> z
        m = GREATER(f, 0.0)
        s = SHAPE(x) {out_type=INT32}
        t = FILL(s, 1.0)
        o = GREATER(t, 0.5)
        g = FILL(s, True)
        b = LOGICAL_AND(g, m)
        z = SELECT_V2(b, x, 0.0)""",
        ["GREATER", "SELECT_V2"],
    ),
    "moments with weights of one are means": (
        """x: f32[?,5] -> z
        s = SHAPE(x) {out_type=INT32}
        i = FILL(s, 0.0)
        w = ADD(1.0, i)
        a = MUL(w, x)
        t = SUM(a, [1]) {keep_dims=true}
        n = SUM(w, [1]) {keep_dims=true}
        q = DIV(t, n)
        e = EQUAL(n, 0.0)
        m = SELECT_V2(e, 0.0, q)
        z = SUB(x, m)""",
        ["MEAN", "SUB"],
    ),
    "a shift by something else than the mean stays": (
        """x: f32[2,8], o: f32[2,1] -> z
        r = RSQRT(o)
        a = MUL(x, r)
        p = MUL(o, r)
        s = SUB(f32[8], p)
        y = ADD(a, s)
        z = NEG(y)""",
        ["RSQRT", "MUL", "MUL", "SUB", "ADD", "NEG"],
    ),
    "a sum of five dimensions, one of them 1, is computed in fewer": (
        """x: f32[1,4,6,5] -> z
        r = RESHAPE(x, [1,1,4,6,5])
        a = ADD(r, f32[1,1,4,1,5])
        b = MUL(a, f32[1,1,1,1,1])
        y = RESHAPE(b, [1,4,6,5])
        z = NEG(y)""",
        ["ADD", "MUL", "NEG"],
    ),
    "neighbours of an open batch are merged for a product of six dimensions": (
        """x: f32[?,4,6] -> z
        r = RESHAPE(x, [-1,2,2,3,1,2])
        y = MUL(r, f32[2,2,3,1,1])
        z = RESHAPE(y, [-1,24])""",
        ["RESHAPE", "MUL", "RESHAPE"],
    ),
    "a sum of five dimensions that are all different stays": (
        """x: f32[2,12,10] -> z
        r = RESHAPE(x, [2,3,4,2,5])
        z = ADD(r, f32[2,1,4,1,5])""",
        ["RESHAPE", "ADD"],
    ),
    "a selection of everything is a reshape": (
        """x: f32[1,8] -> z
        y = RESHAPE(x, [1,1,8])
        s = STRIDED_SLICE(y, [0,0,0], [1,1,8], [1,1,1]) {shrink_axis_mask=2}
        z = NEG(s)""",
        ["NEG"],
    ),
    "a selection of everything in an open batch is a reshape": (
        """x: f32[?,1,8] -> z
        s = STRIDED_SLICE(x, [0,0,0],[0,1,8],[1,1,1]) {begin_mask=1, end_mask=1, shrink_axis_mask=2}
        z = NEG(s)""",
        ["RESHAPE", "NEG"],
    ),
    "the first row of an open batch is no reshape": (
        """x: f32[?,1,8] -> z
        s = STRIDED_SLICE(x, [0,0,0], [1,1,8], [1,1,1]) {shrink_axis_mask=1}
        z = NEG(s)""",
        ["STRIDED_SLICE", "NEG"],
    ),
    "a slice that turns an axis around stays": (
        """x: f32[2,8] -> z
        s = STRIDED_SLICE(x, [0,-1], [2,-9], [1,-1])
        z = NEG(s)""",
        ["STRIDED_SLICE", "NEG"],
    ),
    "the only row is taken by a reshape": (
        """x: f32[1,2,8] -> z
        s = GATHER(x, 0) {axis=0}
        z = NEG(s)""",
        ["RESHAPE", "NEG"],
    ),
    "a scale after a convolution goes into its weights": (
        """x: f32[1,6,6,3] -> z
        y = CONV_2D(x, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = MUL(y, f32[4])""",
        ["CONV_2D"],
    ),
    "a scale after a depthwise convolution goes into its weights": (
        """x: f32[1,6,6,4] -> z
        y = DEPTHWISE_CONV_2D(x, f32[1,3,3,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        z = MUL(f32[1,1,1,4], y)""",
        ["DEPTHWISE_CONV_2D"],
    ),
    "batch normalization arithmetic vanishes": (
        """x: f32[1,6,6,3] -> r
        y = CONV_2D(x, f32[4,1,1,3], zeros[4]) {padding=SAME, stride_h=2, stride_w=2}
        m = MUL(y, f32[4])
        s = ADD(m, f32[4])
        r = RELU6(s)""",
        ["CONV_2D"],
    ),
    "a scale by position stays": (
        """x: f32[1,6,6,3] -> z
        y = CONV_2D(x, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = MUL(y, f32[4,4,1])""",
        ["CONV_2D", "MUL"],
    ),
    "a convolution that is read twice keeps its weights": (
        """x: f32[1,6,6,3] -> z, y
        y = CONV_2D(x, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = MUL(y, f32[4])""",
        ["CONV_2D", "MUL"],
    ),
    "a scale before a padded convolution goes into its weights": (
        """x: f32[1,6,6,3] -> z
        y = MUL(x, f32[3])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["CONV_2D"],
    ),
    "one of two operands gives the rank": (
        """x: f32[1,8], s: f32[1,8] -> z
        a = RESHAPE(x, [1,1,8])
        b = RESHAPE(s, [1,1,8])
        y = SQUARED_DIFFERENCE(a, b)
        z = SUM(y, [2])""",
        ["RESHAPE", "SQUARED_DIFFERENCE", "SUM"],
    ),
    "scale and shift go through a slice of whole channels into the convolution": (
        """x: f32[1,3,3,2] -> z
        t = TRANSPOSE_CONV([1,7,7,4], f32[4,3,3,2], x) {padding=VALID, stride_h=2, stride_w=2}
        s = SLICE(t, [0,1,1,0], [1,6,6,4])
        u = STRIDED_SLICE(s, [0,0,0,0], [1,6,4,4], [1,1,1,1])
        m = MUL(u, f32[4])
        a = ADD(m, f32[4])
        z = RELU(a)""",
        ["TRANSPOSE_CONV", "SLICE", "STRIDED_SLICE", "RELU"],
    ),
    "a shift behind a slice of some channels, or of turned ones, stays": (
        """x: f32[1,4,4,2] -> z, v
        c = CONV_2D(x, f32[4,1,1,2], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        s = SLICE(c, [0,0,0,1], [1,4,4,2])
        a = ADD(s, f32[2])
        z = NEG(a)
        d = CONV_2D(x, f32[5,1,1,2], f32[5]) {padding=VALID, stride_h=1, stride_w=1}
        t = STRIDED_SLICE(d, [0,0,0,4], [1,4,4,0], [1,1,1,-1]) {end_mask=8}
        e = ADD(t, f32[5])
        v = NEG(e)""",
        ["CONV_2D", "SLICE", "ADD", "NEG", "CONV_2D", "STRIDED_SLICE", "ADD", "NEG"],
    ),
    "a shift before a padded convolution stays": (
        """x: f32[1,6,6,3] -> z
        y = ADD(x, f32[3])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["ADD", "CONV_2D"],
    ),
    "a shift before a dense layer goes into its bias": (
        """x: f32[2,5] -> z
        y = SUB(x, f32[5])
        z = FULLY_CONNECTED(y, f32[3,5], f32[3])""",
        ["FULLY_CONNECTED"],
    ),
    "padding that SAME would add is left to the convolution": (
        """x: f32[1,6,6,3] -> z
        y = PAD(x, [[0,0],[1,1],[1,1],[0,0]])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}""",
        ["CONV_2D"],
    ),
    "padding that SAME would place elsewhere stays": (
        """x: f32[1,6,6,3] -> z
        y = PAD(x, [[0,0],[1,1],[1,1],[0,0]])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=2, stride_w=2}""",
        ["PAD", "CONV_2D"],
    ),
    "padding of channels is not fused": (
        """x: f32[1,6,6,2] -> z
        y = PAD(x, [[0,0],[1,1],[1,1],[0,1]])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}""",
        ["PAD", "CONV_2D"],
    ),
    "a residual block in NCHW loses its transposes": (
        """x: f32[1,6,6,4] -> z
        n = TRANSPOSE(x, [0,3,1,2])
        r = RELU(n)
        b = TRANSPOSE(r, [0,2,3,1])
        c = CONV_2D(b, f32[4,3,3,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        t = TRANSPOSE(c, [0,3,1,2])
        s = ADD(t, n)
        z = TRANSPOSE(s, [0,2,3,1])""",
        ["RELU", "CONV_2D", "ADD"],
    ),
    "a vector of unknown length stays behind the transpose": (
        """x: f32[3,4,2], v: f32[?] -> z
        t = TRANSPOSE(x, [0,2,1])
        z = ADD(t, v)""",
        ["TRANSPOSE", "ADD"],
    ),
    "a mean over the pixels of NCHW renumbers its axes": (
        """x: f32[1,6,5,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        z = MEAN(t, [2,3])""",
        ["MEAN"],
    ),
    "a channel shuffle in NCHW stays in NHWC": (
        """x: f32[1,5,5,4] -> z
        c = CONV_2D(x, f32[4,1,1,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        t = TRANSPOSE(c, [0,3,1,2])
        g = RESHAPE(t, [2,2,25])
        s = TRANSPOSE(g, [1,0,2])
        p = RESHAPE(s, [2,1,2,5,5])
        q = GATHER(p, 1) {axis=0}
        b = TRANSPOSE(q, [0,2,3,1])
        z = CONV_2D(b, f32[4,1,1,2], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["CONV_2D", "RESHAPE", "GATHER", "CONV_2D"],
    ),
    "channels are split and joined where they are": (
        """x: f32[1,6,6,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        a, b = SPLIT(1, t) {num_splits=2}
        e = EXP(a)
        j = CONCATENATION(e, b) {axis=1}
        z = TRANSPOSE(j, [0,2,3,1])""",
        ["SPLIT", "EXP", "CONCATENATION"],
    ),
    "a slice that drops a dimension drops another one of the straight tensor": (
        """x: f32[1,6,5,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        s = STRIDED_SLICE(t, [0,1,0,0], [1,2,6,5], [1,1,1,1]) {shrink_axis_mask=2}
        z = EXP(s)""",
        ["STRIDED_SLICE", "EXP"],
    ),
    "the place of the largest channel is found in NHWC": (
        """x: f32[1,6,5,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        z = ARG_MAX(t, 1) {output_type=INT32}""",
        ["ARG_MAX"],
    ),
    "weights are ordered as an image in NHWC is flattened": (
        """x: f32[2,3,2,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        r = RESHAPE(t, [2,24])
        z = FULLY_CONNECTED(r, f32[5,24], f32[5])""",
        ["RESHAPE", "FULLY_CONNECTED"],
    ),
    "rows that the permutation takes apart stay permuted before a dense layer": (
        """x: f32[2,3,4] -> z
        t = TRANSPOSE(x, [1,0,2])
        r = RESHAPE(t, [3,8])
        z = FULLY_CONNECTED(r, f32[5,8], f32[5])""",
        ["TRANSPOSE", "RESHAPE", "FULLY_CONNECTED"],
    ),
    "images that are flattened alike are multiplied before": (
        """x: f32[2,3,2,4], y: f32[2,3,2,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        r = RESHAPE(t, [2,24])
        u = TRANSPOSE(y, [0,3,1,2])
        v = RESHAPE(u, [2,24])
        m = MUL(r, v)
        z = FULLY_CONNECTED(m, f32[5,24], f32[5])""",
        ["MUL", "RESHAPE", "FULLY_CONNECTED"],
    ),
    "a stream of residuals is permuted at its ends": (
        """x: f32[1,4,5,5] -> w
        a = TRANSPOSE(x, [0,2,3,1])
        b = CONV_2D(a, f32[4,1,1,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        c = TRANSPOSE(b, [0,3,1,2])
        y = ADD(x, c)
        d = TRANSPOSE(y, [0,2,3,1])
        e = CONV_2D(d, f32[4,1,1,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        f = TRANSPOSE(e, [0,3,1,2])
        w = ADD(y, f)""",
        ["TRANSPOSE", "CONV_2D", "ADD", "CONV_2D", "ADD", "TRANSPOSE"],
    ),
    "an image is permuted before it is padded": (
        """x: f32[1,3,6,6] -> z
        p = PAD(x, [[0,0],[0,0],[1,1],[1,1]])
        t = TRANSPOSE(p, [0,2,3,1])
        z = CONV_2D(t, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}""",
        ["TRANSPOSE", "CONV_2D"],
    ),
    "what three operators read permuted is permuted once": (
        """x: f32[1,4,5,6] -> a, b, c
        t = TRANSPOSE(x, [0,2,3,1])
        a = EXP(t)
        b = TANH(t)
        c = NEG(t)""",
        ["TRANSPOSE", "EXP", "TANH", "NEG"],
    ),
    "maxima over padding that SAME would add are left to the window": (
        """x: f32[1,6,6,3] -> z
        y = PADV2(x, [[0,0],[1,1],[1,1],[0,0]], -3.4028235e38)
        z = MAX_POOL_2D(y) """
        + windows(3, 1),
        ["MAX_POOL_2D"],
    ),
    "maxima of what is not negative may be padded with zeros": (
        """x: f32[1,6,6,3] -> z
        r = RELU6(x)
        y = PADV2(r, [[0,0],[1,1],[1,1],[0,0]], -3.4028235e38)
        z = MAX_POOL_2D(y) """
        + windows(3, 2),
        ["RELU6", "PAD", "MAX_POOL_2D"],
    ),
    "a window of padding alone keeps it": (
        """x: f32[1,6,6,3] -> z
        r = RELU6(x)
        y = PADV2(r, [[0,0],[2,2],[2,2],[0,0]], -3.4028235e38)
        z = MAX_POOL_2D(y) """
        + windows(2, 2),
        ["RELU6", "PADV2", "MAX_POOL_2D"],
    ),
    "clamps are activations": (
        """x: f32[1,4] -> z, w
        a = MAXIMUM(x, 0.0)
        z = MINIMUM(a, 6.0)
        b = MINIMUM(x, 1.0)
        w = MAXIMUM(b, -1.0)""",
        ["RELU6", "RELU_N1_TO_1"],
    ),
    "a clamp between 0 and 1 is one activation": (
        """x: f32[1,4] -> z, w
        a = RELU(x)
        z = MINIMUM(a, 1.0)
        b = MINIMUM(x, 1.0)
        w = MAXIMUM(b, 0.0)""",
        ["RELU_0_TO_1", "RELU_0_TO_1"],
    ),
    "a PRelu in two halves is one": (
        """x: f32[1,3,3,4] -> z
        p = RELU(x)
        n = NEG(x)
        q = RELU(n)
        m = MUL(f32[4], q)
        z = SUB(p, m)""",
        ["PRELU"],
    ),
    "hard swish is recognized": (
        """x: f32[1,3,3,4] -> z
        a = ADD(x, 3.0)
        r = RELU6(a)
        m = MUL(x, r)
        z = MUL(m, 0.16666667)""",
        ["HARD_SWISH"],
    ),
    "a gate that opens elsewhere is no hard swish": (
        """x: f32[1,3,3,4] -> z
        a = ADD(x, 2.9)
        r = RELU6(a)
        m = MUL(x, r)
        z = MUL(m, 0.16666667)""",
        ["ADD", "MUL", "MUL"],
    ),
    "gelu by its tanh is recognized": (
        """x: f32[2,5] -> z
        q = MUL(x, x)
        c = MUL(q, x)
        d = MUL(c, 0.044715)
        e = ADD(x, d)
        f = MUL(e, 0.7978846)
        t = TANH(f)
        o = ADD(t, 1.0)
        h = MUL(x, 0.5)
        z = MUL(h, o)""",
        ["GELU"],
    ),
    "l2 normalization over the last axis is recognized": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = MAXIMUM(s, 1e-12)
        r = RSQRT(m)
        z = MUL(x, r)""",
        ["L2_NORMALIZATION"],
    ),
    "l2 normalization with an epsilon that counts stays spelled out": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = ADD(s, 1e-6)
        r = SQRT(m)
        z = DIV(x, r)""",
        ["SQUARE", "SUM", "ADD", "SQRT", "DIV"],
    ),
    "l2 normalization over another axis stays spelled out": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [0]) {keep_dims=True}
        m = MAXIMUM(s, 1e-12)
        r = RSQRT(m)
        z = MUL(x, r)""",
        ["SQUARE", "SUM", "MAXIMUM", "RSQRT", "MUL"],
    ),
    "space folded into the batch is a dilation": (
        """x: f32[1,8,8,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[2,2],[2,2]])
        c = CONV_2D(b, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = BATCH_TO_SPACE_ND(c, [2,2], [[0,0],[0,0]])""",
        ["CONV_2D"],
    ),
    "two reshapes are one": (
        """x: f32[1,2,2,3] -> z
        a = RESHAPE(x, [4,3])
        b = RESHAPE(a, [1,12])
        z = FULLY_CONNECTED(b, f32[5,12], f32[5])""",
        ["RESHAPE", "FULLY_CONNECTED"],
    ),
    "bias and activation behind the squeeze of a 1-D convolution are the convolution's": (
        """x: f32[1,8,3] -> z
        e = EXPAND_DIMS(x, 1)
        c = CONV_2D(e, f32[4,1,3,3], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
        s = SQUEEZE(c) {squeeze_dims=[1]}
        a = ADD(s, f32[4])
        z = RELU(a)""",
        ["RESHAPE", "CONV_2D", "RESHAPE"],
    ),
    "a shift by position behind a reshape stays": (
        """x: f32[1,8,3] -> z
        e = EXPAND_DIMS(x, 1)
        c = CONV_2D(e, f32[4,1,3,3], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
        s = SQUEEZE(c) {squeeze_dims=[1]}
        z = ADD(s, f32[8,4])""",
        ["RESHAPE", "CONV_2D", "RESHAPE", "ADD"],
    ),
    "a squeeze before a dense layer is not needed": (
        """x: f32[1,1,1,6] -> z
        s = RESHAPE(x, [1,6])
        z = FULLY_CONNECTED(s, f32[5,6], f32[5])""",
        ["FULLY_CONNECTED"],
    ),
    "a mean over one element is a reshape": (
        """x: f32[1,6] -> z
        m = MEAN(x, [0])
        z = EXP(m)""",
        ["RESHAPE", "EXP"],
    ),
    "zero times anything is zero": (
        """x: f32[2,3], y: f32[2,3] -> z
        m = MUL(x, zeros[2,3])
        a = ADD(m, y)
        z = EXP(a)""",
        ["EXP"],
    ),
    "equal operators run once": (
        """x: f32[2,3] -> z
        a = EXP(x)
        b = EXP(x)
        z = ADD(a, b)""",
        ["EXP", "ADD"],
    ),
    "an activation goes into the sum before it": (
        """x: f32[2,3], y: f32[2,3] -> z
        a = ADD(x, y)
        z = RELU(a)""",
        ["ADD"],
    ),
    "an activation behind a concatenation stays": (
        """x: f32[2,3], y: f32[2,3] -> z
        a = CONCATENATION(x, y) {axis=1}
        z = RELU(a)""",
        ["CONCATENATION", "RELU"],
    ),
    "a dense layer keeps the dimensions that are put back": (
        """x: f32[2,5,8] -> z
        y = RESHAPE(x, [10,8])
        d = FULLY_CONNECTED(y, f32[3,8], f32[3])
        z = RESHAPE(d, [2,5,3])""",
        ["FULLY_CONNECTED"],
    ),
    "dense layers with an activation between keep the dimensions": (
        """x: f32[?,5,8] -> z
        y = RESHAPE(x, [-1,8])
        d = FULLY_CONNECTED(y, f32[6,8], f32[6])
        a = TANH(d)
        e = FULLY_CONNECTED(a, f32[3,6], f32[3])
        z = RESHAPE(e, [-1,5,3])""",
        ["FULLY_CONNECTED", "TANH", "FULLY_CONNECTED"],
    ),
    "rows that are reshaped anyway are reshaped once before a dense layer": (
        """x: f32[2,5,2,4] -> z
        y = RESHAPE(x, [10,8])
        d = FULLY_CONNECTED(y, f32[3,8], f32[3])
        z = RESHAPE(d, [2,5,3])""",
        ["RESHAPE", "FULLY_CONNECTED"],
    ),
    "a reshape that regroups the rows of a dense layer stays": (
        """x: f32[10,8] -> z
        d = FULLY_CONNECTED(x, f32[3,8], f32[3])
        z = RESHAPE(d, [2,5,3])""",
        ["FULLY_CONNECTED", "RESHAPE"],
    ),
    "a gate behind two squeezes is one squeeze": (
        """x: f32[1,1,8,3] -> z
        a = CONV_2D(x, f32[4,1,1,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        b = CONV_2D(x, f32[4,1,1,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        t = TANH(a)
        l = RESHAPE(t, [1,8,4])
        s = RESHAPE(b, [1,8,4])
        g = LOGISTIC(s)
        z = MUL(l, g)""",
        ["CONV_2D", "CONV_2D", "TANH", "LOGISTIC", "MUL", "RESHAPE"],
    ),
    "a scale of the reshaped input stays next to the convolution": (
        """x: f32[1,108] -> z
        y = RESHAPE(x, [1,6,6,3])
        s = MUL(y, 0.5)
        z = CONV_2D(s, f32[4,3,3,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["RESHAPE", "CONV_2D"],
    ),
    "an operand is extended by the operator itself": (
        """x: f32[1,6,6,4], s: f32[1,4] -> z
        r = RESHAPE(s, [1,1,1,4])
        z = MUL(x, r)""",
        ["MUL"],
    ),
    "an operand that is spread over the batch is still reshaped": (
        """x: f32[2,6,6,4], s: f32[2,4] -> z
        r = RESHAPE(s, [2,1,1,4])
        z = MUL(x, r)""",
        ["RESHAPE", "MUL"],
    ),
    "a permutation and its inverse meet around an added dimension": (
        """x: f32[1,24,10] -> z
        t = TRANSPOSE(x, [0,2,1])
        r = RESHAPE(t, [1,10,1,24])
        z = TRANSPOSE(r, [0,2,3,1])""",
        ["RESHAPE"],
    ),
    "clamps inside a dilation do not hide it": (
        """x: f32[1,8,8,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[2,2],[2,2]])
        l = MAXIMUM(b, -0.5)
        h = MINIMUM(l, 0.25)
        c = CONV_2D(h, f32[4,3,3,3], zeros[4]) {padding=VALID, stride_h=1, stride_w=1}
        r = RELU6(c)
        z = BATCH_TO_SPACE_ND(r, [2,2], [[0,0],[0,0]])""",
        ["MAXIMUM", "MINIMUM", "CONV_2D"],
    ),
    "a FAKE_QUANT inside a dilation does not hide it": (
        """x: f32[1,8,8,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[2,2],[2,2]])
        q = FAKE_QUANT(b) {min=-0.5, max=0.75, num_bits=8}
        c = CONV_2D(q, f32[4,3,3,3], zeros[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = BATCH_TO_SPACE_ND(c, [2,2], [[0,0],[0,0]])""",
        ["FAKE_QUANT", "CONV_2D"],
    ),
    "a clamp that changes the padding stays inside": (
        """x: f32[1,8,8,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[2,2],[2,2]])
        l = MAXIMUM(b, 0.25)
        c = CONV_2D(l, f32[4,3,3,3], zeros[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = BATCH_TO_SPACE_ND(c, [2,2], [[0,0],[0,0]])""",
        ["SPACE_TO_BATCH_ND", "MAXIMUM", "CONV_2D", "BATCH_TO_SPACE_ND"],
    ),
    "time folded into the batch is a dilation": (
        """x: f32[2,12,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2], [[2,2]])
        e = RESHAPE(b, [4,1,8,3])
        c = CONV_2D(e, f32[4,1,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        s = RESHAPE(c, [4,6,4])
        z = BATCH_TO_SPACE_ND(s, [2], [[0,0]])""",
        ["RESHAPE", "CONV_2D", "RESHAPE"],
    ),
    "convolutions that share what is folded into the batch are each dilated": (
        """x: f32[1,8,8,3] -> y, z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[0,0],[0,0]])
        c = CONV_2D(b, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        y = BATCH_TO_SPACE_ND(c, [2,2], [[0,0],[0,0]])
        d = CONV_2D(b, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = BATCH_TO_SPACE_ND(d, [2,2], [[0,0],[0,0]])""",
        ["CONV_2D", "CONV_2D"],
    ),
    "exponentials less a logarithm of their sum are a softmax": (
        """x: f32[3,5] -> z
        m = REDUCE_MAX(x, [-1]) {keep_dims=True}
        a = ABS(m)
        f = LESS(a, 3e38)
        n = SELECT_V2(f, m, 0.0)
        d = SUB(x, n)
        e = EXP(d)
        s = SUM(e, [1]) {keep_dims=True}
        l = LOG(s)
        t = ADD(l, n)
        r = SUB(x, t)
        z = EXP(r)""",
        ["SOFTMAX"],
    ),
    "a convolution by other weights moves no tiles": (
        """x: f32[1,4,4,3] -> z
        z = CONV_2D(x, f32[12,2,2,3], zeros[12]) {padding=VALID, stride_h=2, stride_w=2}""",
        ["CONV_2D"],
    ),
    "along several last axes it is one of these as one": (
        """x: f32[3,2,5] -> z
        m = REDUCE_MAX(x, [1,2]) {keep_dims=True}
        d = SUB(x, m)
        e = EXP(d)
        s = SUM(e, [1,2]) {keep_dims=True}
        l = LOG(s)
        t = ADD(m, l)
        r = SUB(x, t)
        z = EXP(r)""",
        ["RESHAPE", "SOFTMAX", "RESHAPE"],
    ),
    "along others it stays": (
        """x: f32[3,2,5] -> z
        m = REDUCE_MAX(x, [1]) {keep_dims=True}
        d = SUB(x, m)
        e = EXP(d)
        s = SUM(e, [1]) {keep_dims=True}
        l = LOG(s)
        t = ADD(m, l)
        r = SUB(x, t)
        z = EXP(r)""",
        ["REDUCE_MAX", "SUB", "EXP", "SUM", "LOG", "ADD", "SUB", "EXP"],
    ),
    "exponentials over their sum are a softmax": (
        """x: f32[3,5] -> z
        m = REDUCE_MAX(x, [-1]) {keep_dims=True}
        d = SUB(x, m)
        e = EXP(d)
        s = SUM(e, [1]) {keep_dims=True}
        z = DIV(e, s)""",
        ["SOFTMAX"],
    ),
    "exponentials over their sum along another axis stay": (
        """x: f32[3,5] -> z
        e = EXP(x)
        s = SUM(e, [0]) {keep_dims=True}
        z = DIV(e, s)""",
        ["EXP", "SUM", "DIV"],
    ),
    "a difference is squared at once": (
        """x: f32[3,5], y: f32[5] -> z
        d = SUB(x, y)
        z = MUL(d, d)""",
        ["SQUARED_DIFFERENCE"],
    ),
    "a difference that is read again is squared by itself": (
        """x: f32[3,5], y: f32[5] -> z, d
        d = SUB(x, y)
        z = SQUARE(d)""",
        ["SUB", "SQUARE"],
    ),
    "one over a root is the reciprocal root": (
        """x: f32[3,5] -> z
        s = SQUARE(x)
        a = ADD(s, 0.1)
        r = SQRT(a)
        z = DIV(1.0, r)""",
        ["SQUARE", "ADD", "RSQRT"],
    ),
    "a negated factor of a summand is subtracted": (
        """x: f32[3,5], y: f32[3,1], w: f32[3,1] -> z
        n = NEG(y)
        p = MUL(n, w)
        z = ADD(x, p)""",
        ["MUL", "SUB"],
    ),
    "a scale before padding goes into the convolution": (
        """x: f32[1,6,6,3] -> z
        s = MUL(x, f32[3])
        p = PAD(s, [[0,0],[2,1],[2,1],[0,0]])
        z = CONV_2D(p, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}""",
        ["PAD", "CONV_2D"],
    ),
    "a scale goes into both dense layers that read it": (
        """x: f32[3,5] -> y, z
        r = RELU(x)
        s = MUL(r, f32[5])
        y = FULLY_CONNECTED(s, f32[4,5], f32[4])
        z = FULLY_CONNECTED(s, f32[2,5], f32[2])""",
        ["RELU", "FULLY_CONNECTED", "FULLY_CONNECTED"],
    ),
    "operators whose short constants are equal run once": (
        """x: f32[3,5] -> z
        a = SUM(x, [1]) {keep_dims=True}
        b = SUM(x, [1]) {keep_dims=True}
        z = CONCATENATION(a, b) {axis=1}""",
        ["SUM", "CONCATENATION"],
    ),
    "an operand is repeated by the operator itself": (
        """x: f32[2,5,4], s: f32[2,1,4] -> z
        t = TILE(s, [1,5,1])
        z = SUB(t, x)""",
        ["SUB"],
    ),
    "copies that make the result larger stay": (
        """x: f32[2,1,4], s: f32[2,1,4] -> z
        t = TILE(s, [1,5,1])
        z = ADD(x, t)""",
        ["TILE", "ADD"],
    ),
    "a product reads its second matrices across": (
        """x: f32[2,3,4], w: f32[2,5,4] -> z
        t = TRANSPOSE(w, [0,2,1])
        z = BATCH_MATMUL(x, t)""",
        ["BATCH_MATMUL"],
    ),
    "an operator that does not repeat its operands keeps the copies": (
        """x: f32[2,5,4], s: f32[2,1,4] -> z
        t = TILE(s, [1,5,1])
        z = ATAN2(t, x)""",
        ["TILE", "ATAN2"],
    ),
    "a logistic that is spelled out is one operator": (
        """x: f32[3,5] -> z
        n = NEG(x)
        e = EXP(n)
        a = ADD(e, 1.0)
        z = DIV(1.0, a)""",
        ["LOGISTIC"],
    ),
    "sizes of what is permuted are read before": (
        """x: f32[2,4,5,3] -> z, w
        t = TRANSPOSE(x, [0,3,1,2])
        s = ABS(t)
        n = SHAPE(s) {out_type=INT32}
        h = STRIDED_SLICE(n, [2], [3], [1]) {shrink_axis_mask=1}
        r = RANGE(0, h, 1)
        z = CAST(r) {in_data_type=INT32, out_data_type=FLOAT32}
        b = TRANSPOSE(s, [0,2,3,1])
        w = NEG(b)""",
        ["ABS", "NEG"],
    ),
    "sizes of what is permuted are read before, though they are open": (
        """x: f32[?,?,?,3] -> z, w
        t = TRANSPOSE(x, [0,3,1,2])
        s = ABS(t)
        n = SHAPE(s) {out_type=INT32}
        h = STRIDED_SLICE(n, [2], [3], [1]) {shrink_axis_mask=1}
        z = NEG(h)
        v = STRIDED_SLICE(n, [2], [4], [1])
        b = TRANSPOSE(s, [0,2,3,1])
        w = RESIZE_NEAREST_NEIGHBOR(b, v)""",
        ["ABS", "SHAPE", "GATHER", "NEG", "GATHER", "RESIZE_NEAREST_NEIGHBOR"],
    ),
    "a permutation passes a slice that begins at a computed place": (
        """x: f32[?,?,3] -> z
        s = SHAPE(x) {out_type=INT32}
        n = STRIDED_SLICE(s, [0], [1], [1]) {shrink_axis_mask=1}
        k = SUB(n, n)
        t = TRANSPOSE(x, [0,2,1])
        p = PACK(0, 0, k) {values_count=3}
        c = STRIDED_SLICE(t, p, [0,0,0], [1,1,1]) {begin_mask=3, end_mask=7}
        b = TRANSPOSE(c, [0,2,1])
        z = NEG(b)""",
        ["SHAPE", "STRIDED_SLICE", "SUB", "PACK", "STRIDED_SLICE", "NEG"],
    ),
    "a permutation passes a padding of computed amounts": (
        """x: f32[?,4,3], n: f32[2] -> z
        t = TRANSPOSE(x, [0,2,1])
        q = CAST(n) {in_data_type=FLOAT32, out_data_type=INT32}
        a = ABS(q)
        e = RESHAPE(a, [1,2])
        o = CONCATENATION([[0,0]], [[0,0]], e) {axis=0}
        c = PAD(t, o)
        b = TRANSPOSE(c, [0,2,1])
        z = NEG(b)""",
        ["CAST", "ABS", "RESHAPE", "CONCATENATION", "GATHER", "PAD", "NEG"],
    ),
    "a mask that adds -inf chooses it": (
        """x: f32[2,4], o: f32[4] -> z
        m = GREATER(o, 0.0)
        a = SELECT_V2(m, 0.0, -1e999)
        s = ADD(x, a)
        e = EXP(s)
        c = SELECT_V2(m, -1e999, 0.0)
        t = ADD(c, x)
        f = EXP(t)
        z = ADD(e, f)""",
        ["GREATER", "SELECT_V2", "EXP", "SELECT_V2", "EXP", "ADD"],
    ),
    "a mask that adds something else stays": (
        """x: f32[2,4], o: f32[4] -> z
        m = GREATER(o, 0.0)
        a = SELECT_V2(m, 1.0, -1e999)
        s = ADD(x, a)
        z = EXP(s)""",
        ["GREATER", "SELECT_V2", "ADD", "EXP"],
    ),
    "a reciprocal of another sum stays": (
        """x: f32[3,5] -> z
        n = NEG(x)
        e = EXP(n)
        a = ADD(e, 2.0)
        z = DIV(1.0, a)""",
        ["NEG", "EXP", "ADD", "DIV"],
    ),
}
