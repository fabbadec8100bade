"""Claims about the default passes: what goes into a layer, or stays beside it."""

from __future__ import annotations

from pass_cases.windows import windows

CASES = {
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
    "the product of two vectors is a sum": (
        """x: f32[2,5], y: f32[2,5] -> z
        a = RESHAPE(x, [2,1,5])
        b = RESHAPE(y, [2,5,1])
        p = BATCH_MATMUL(a, b)
        z = RESHAPE(p, [2,1])""",
        ["MUL", "SUM"],
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
    "a gate that opens elsewhere is no hard swish": (
        """x: f32[1,3,3,4] -> z
        a = ADD(x, 2.9)
        r = RELU6(a)
        m = MUL(x, r)
        z = MUL(m, 0.16666667)""",
        ["ADD", "MUL", "MUL"],
    ),
    "space folded into the batch is a dilation": (
        """x: f32[1,8,8,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[2,2],[2,2]])
        c = CONV_2D(b, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = BATCH_TO_SPACE_ND(c, [2,2], [[0,0],[0,0]])""",
        ["CONV_2D"],
    ),
    "a squeeze before a dense layer is not needed": (
        """x: f32[1,1,1,6] -> z
        s = RESHAPE(x, [1,6])
        z = FULLY_CONNECTED(s, f32[5,6], f32[5])""",
        ["FULLY_CONNECTED"],
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
    "a scale of the reshaped input stays next to the convolution": (
        """x: f32[1,108] -> z
        y = RESHAPE(x, [1,6,6,3])
        s = MUL(y, 0.5)
        z = CONV_2D(s, f32[4,3,3,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["RESHAPE", "CONV_2D"],
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
    "a convolution by other weights moves no tiles": (
        """x: f32[1,4,4,3] -> z
        z = CONV_2D(x, f32[12,2,2,3], zeros[12]) {padding=VALID, stride_h=2, stride_w=2}""",
        ["CONV_2D"],
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
}
