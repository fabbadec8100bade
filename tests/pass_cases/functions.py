"""Claims about the default passes: norms, activations and other functions."""

from __future__ import annotations

CASES = {
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
    "slopes that widen what they are multiplied with are none of a PRELU": (
        """x: f32[1,3,3,?] -> z
        p = RELU(x)
        n = NEG(x)
        q = RELU(n)
        m = MUL(f32[4], q)
        z = SUB(p, m)""",
        ["RELU", "NEG", "RELU", "MUL", "SUB"],
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
    "a bound on the reciprocal of a length is an epsilon": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        r = RSQRT(s)
        m = MINIMUM(r, 1e6)
        z = MUL(x, m)""",
        ["L2_NORMALIZATION"],
    ),
    "a bound on a length is an epsilon": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        r = SQRT(s)
        m = MAXIMUM(r, 1e-12)
        z = DIV(x, m)""",
        ["L2_NORMALIZATION"],
    ),
    "a bound on long vectors stays": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        r = SQRT(s)
        m = MINIMUM(r, 1e6)
        z = DIV(x, m)""",
        ["SQUARE", "SUM", "SQRT", "MINIMUM", "DIV"],
    ),
    "a softmax of peaks that differ within a row stays": (
        """x: f32[2,4] -> z
        p = REDUCE_MAX(x, [1]) {keep_dims=True}
        a = ABS(p)
        f = LESS(a, 2.0)
        m = SELECT_V2(f, p, [[1.0,2.0,3.0,4.0]])
        d = SUB(x, m)
        e = EXP(d)
        s = SUM(e, [1]) {keep_dims=True}
        l = LOG(s)
        t = ADD(l, m)
        u = SUB(x, t)
        z = EXP(u)""",
        ["REDUCE_MAX", "ABS", "LESS", "SELECT_V2", "SUB", "EXP", "SUM", "LOG", "ADD", "SUB", "EXP"],
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
    "an exponential unit with a scale is two operators": (
        """x: f32[2,5] -> y
        g = GREATER(x, 0.0)
        e = ELU(x)
        m = MUL(e, 0.7)
        y = SELECT_V2(g, e, m)""",
        ["ELU", "LEAKY_RELU"],
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
    "a logistic that is spelled out is one operator": (
        """x: f32[3,5] -> z
        n = NEG(x)
        e = EXP(n)
        a = ADD(e, 1.0)
        z = DIV(1.0, a)""",
        ["LOGISTIC"],
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
