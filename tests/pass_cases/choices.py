"""Claims about the default passes: masks, conditions and choices."""

from __future__ import annotations

CASES = {
    "ones times nothing are filled as nothing": (
        """x: f32[?,4] -> y
        n = SHAPE(x) {out_type=INT32}
        f = FILL(n, 1.0)
        m = MUL(f, 0.0)
        y = CONCATENATION(x, m) {axis=0}""",
        ["SHAPE", "FILL", "CONCATENATION"],
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
    "what is chosen may be widened by rows of another number": (
        """x: f32[?,3], y: f32[?,3] -> z
        p = NEG(x)
        q = EXP(y)
        s = SELECT_V2(True, p, q)
        z = NEG(s)""",
        ["NEG", "EXP", "SELECT_V2", "NEG"],
    ),
    "a condition that holds twice is one": (
        """x: f32[2,3] -> z
        c = GREATER(x, 0.5)
        b = LOGICAL_AND(c, c)
        z = SELECT_V2(b, x, 0.0)""",
        ["GREATER", "SELECT_V2"],
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
    "a choice by another tensor stays": (
        """x: f32[2,5], f: f32[2,5] -> y
        g = GREATER(f, 0.0)
        m = MUL(x, 0.7)
        y = SELECT_V2(g, x, m)""",
        ["GREATER", "MUL", "SELECT_V2"],
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
}
