"""Claims about the default passes: slices, parts and steps."""

from __future__ import annotations

from pass_cases.windows import SAME_ONE

CASES = {
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
    "what is split along another axis is not repeated": (
        """x: f32[2,2,4] -> z
        a, b = SPLIT(0, x) {num_splits=2}
        z = CONCATENATION(a, a, b, b) {axis=1}""",
        ["SPLIT", "CONCATENATION"],
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
}
