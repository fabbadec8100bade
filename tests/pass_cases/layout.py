"""Claims about the default passes: permutations."""

from __future__ import annotations

from pass_cases.windows import SAME_ONE

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
    "a permutation that counts from the end is passed and undone": (
        """x: f32[2,3,4] -> z
        t = TRANSPOSE(x, [2,0,-2])
        a = NEG(t)
        z = TRANSPOSE(a, [1,-1,0])""",
        ["NEG"],
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
    "a permutation and its inverse meet around an added dimension": (
        """x: f32[1,24,10] -> z
        t = TRANSPOSE(x, [0,2,1])
        r = RESHAPE(t, [1,10,1,24])
        z = TRANSPOSE(r, [0,2,3,1])""",
        ["RESHAPE"],
    ),
    "a product reads its second matrices across": (
        """x: f32[2,3,4], w: f32[2,5,4] -> z
        t = TRANSPOSE(w, [0,2,1])
        z = BATCH_MATMUL(x, t)""",
        ["BATCH_MATMUL"],
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
}
