"""Steps of optimizers: models that go on learning where they run."""

from __future__ import annotations

from tqconv.compose.arithmetic import square
from tqconv.importers.tf.cells import store, value_of
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor


def _approached(b: TFBuilder, old: Tensor, new: Tensor, kept: Tensor) -> Tensor:
    """Return old kept + new (1 - kept)."""
    return b("ADD", b("MUL", old, kept), b("MUL", new, _rest(b, kept)))


def _rest(b: TFBuilder, x: Tensor) -> Tensor:
    return b("SUB", b.const(1, x.dtype, "one"), x)


def _moments(
    b: TFBuilder, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Let two variables approach gradients and their squares, each by what it keeps of itself."""
    mean = _approached(b, value_of(b, first[0]), gradient, first[1])
    power = _approached(b, value_of(b, second[0]), square(b, gradient), second[1])
    store(b, first[0], mean)
    store(b, second[0], power)
    return mean, power


def _lower(b: TFBuilder, variable: Tensor, step: Tensor) -> Tensor:
    """Subtract a step from a variable; the handle says that it is done."""
    store(b, variable, b("SUB", value_of(b, variable), step))
    return variable


@handles("ResourceApplyGradientDescent")
def gradient_descent(b: TFBuilder, variable: Tensor, rate: Tensor, gradient: Tensor) -> Tensor:
    """var -= rate * gradient."""
    return _lower(b, variable, b("MUL", gradient, rate))


@handles("ResourceApplyMomentum")
def momentum(
    b: TFBuilder,
    variable: Tensor,
    sums: Tensor,
    rate: Tensor,
    gradient: Tensor,
    kept: Tensor,
    *,
    use_nesterov: bool = False,
) -> Tensor:
    """sum = kept * sum + gradient; var -= rate * sum, or of what the next sum would be."""
    total = b("ADD", b("MUL", value_of(b, sums), kept), gradient)
    store(b, sums, total)
    ahead = b("ADD", b("MUL", total, kept), gradient) if use_nesterov else total
    return _lower(b, variable, b("MUL", ahead, rate))


@handles("ResourceApplyKerasMomentum")
def keras_momentum(
    b: TFBuilder,
    variable: Tensor,
    steps: Tensor,
    rate: Tensor,
    gradient: Tensor,
    kept: Tensor,
    *,
    use_nesterov: bool = False,
) -> Tensor:
    """step = kept * step - rate * gradient; var += step, or what the next step would be."""
    down = b("MUL", gradient, rate)
    step = b("SUB", b("MUL", value_of(b, steps), kept), down)
    store(b, steps, step)
    ahead = b("SUB", b("MUL", step, kept), down) if use_nesterov else step
    store(b, variable, b("ADD", value_of(b, variable), ahead))
    return variable


@handles("ResourceApplyAdam")
def adam(
    b: TFBuilder,
    variable: Tensor,
    means: Tensor,
    squares: Tensor,
    power1: Tensor,
    power2: Tensor,
    rate: Tensor,
    kept1: Tensor,
    kept2: Tensor,
    epsilon: Tensor,
    gradient: Tensor,
    *,
    use_nesterov: bool = False,
) -> Tensor:
    """var -= rate sqrt(1 - power2) / (1 - power1) * mean / (sqrt(mean of squares) + epsilon)."""
    mean, power = _moments(b, (means, kept1), (squares, kept2), gradient)
    ahead = _approached(b, mean, gradient, kept1) if use_nesterov else mean
    step = b("MUL", ahead, _unbiased(b, rate, power1, power2))
    return _lower(b, variable, b("DIV", step, b("ADD", b("SQRT", power), epsilon)))


def _unbiased(b: TFBuilder, rate: Tensor, power1: Tensor, power2: Tensor) -> Tensor:
    """Return the rate that makes up for means which began at 0."""
    return b("MUL", rate, b("DIV", b("SQRT", _rest(b, power2)), _rest(b, power1)))


@handles("ResourceApplyAdamWithAmsgrad")
def adam_of_the_largest(
    b: TFBuilder,
    variable: Tensor,
    means: Tensor,
    squares: Tensor,
    largest: Tensor,
    power1: Tensor,
    power2: Tensor,
    rate: Tensor,
    kept1: Tensor,
    kept2: Tensor,
    epsilon: Tensor,
    gradient: Tensor,
) -> Tensor:
    """The same with the largest mean of squares so far."""
    mean, power = _moments(b, (means, kept1), (squares, kept2), gradient)
    most = b("MAXIMUM", value_of(b, largest), power)
    store(b, largest, most)
    step = b("MUL", mean, _unbiased(b, rate, power1, power2))
    return _lower(b, variable, b("DIV", step, b("ADD", b("SQRT", most), epsilon)))


@handles("ResourceApplyAdaMax")
def adamax(
    b: TFBuilder,
    variable: Tensor,
    means: Tensor,
    sizes: Tensor,
    power: Tensor,
    rate: Tensor,
    kept1: Tensor,
    kept2: Tensor,
    epsilon: Tensor,
    gradient: Tensor,
) -> Tensor:
    """size = max(kept2 * size, |gradient|); var -= rate / (1 - power) * mean / (size + epsilon)."""
    mean = _approached(b, value_of(b, means), gradient, kept1)
    size = b("MAXIMUM", b("MUL", value_of(b, sizes), kept2), b("ABS", gradient))
    store(b, means, mean)
    store(b, sizes, size)
    step = b("MUL", b("DIV", rate, _rest(b, power)), mean)
    return _lower(b, variable, b("DIV", step, b("ADD", size, epsilon)))


@handles("ResourceApplyAdadelta")
def adadelta(
    b: TFBuilder,
    variable: Tensor,
    squares: Tensor,
    steps: Tensor,
    rate: Tensor,
    kept: Tensor,
    epsilon: Tensor,
    gradient: Tensor,
) -> Tensor:
    """step = gradient sqrt(mean of squared steps + epsilon) / sqrt(that of gradients + epsilon)."""
    power = _approached(b, value_of(b, squares), square(b, gradient), kept)
    before = value_of(b, steps)
    length = b("SQRT", b("ADD", before, epsilon))
    step = b("DIV", b("MUL", length, gradient), b("SQRT", b("ADD", power, epsilon)))
    store(b, squares, power)
    store(b, steps, _approached(b, before, square(b, step), kept))
    return _lower(b, variable, b("MUL", step, rate))


@handles("ResourceApplyAdagrad", "ResourceApplyAdagradV2")
def adagrad(
    b: TFBuilder,
    variable: Tensor,
    sums: Tensor,
    rate: Tensor,
    *rest: Tensor,
    update_slots: bool = True,
) -> Tensor:
    """sum += gradient²; var -= rate * gradient / (sqrt(sum) + epsilon)."""
    *epsilon, gradient = rest
    total = value_of(b, sums)
    if update_slots:
        total = b("ADD", total, square(b, gradient))
        store(b, sums, total)
    root = b("SQRT", total)
    for least in epsilon:
        root = b("ADD", root, least)
    return _lower(b, variable, b("DIV", b("MUL", gradient, rate), root))


@handles("ResourceApplyFtrl", "ResourceApplyFtrlV2")
def ftrl(
    b: TFBuilder,
    variable: Tensor,
    sums: Tensor,
    linear: Tensor,
    gradient: Tensor,
    rate: Tensor,
    l1: Tensor,
    l2: Tensor,
    *rest: Tensor,
    multiply_linear_by_lr: bool = False,
) -> Tensor:
    """sum += gradient²; linear += gradient - difference of roots * var / rate; var follows anew.

    var = (sign(linear) l1 - linear) / (root / rate + 2 l2), 0 where |linear| is at most l1; a root
    is sum ** -power.
    """
    *shrinkage, power = rest
    old, before = value_of(b, variable), value_of(b, sums)
    total = b("ADD", before, square(b, gradient))
    exponent = b("NEG", power)
    root, last = (b("POW", t, exponent) for t in (total, before))
    for extent in shrinkage:
        twice = b("MUL", extent, b.const(2, old.dtype, "two"))
        gradient = b("ADD", gradient, b("MUL", old, twice))
    change = b("MUL", b("SUB", root, last), old)
    if multiply_linear_by_lr:
        gradient, least = b("MUL", gradient, rate), b("MUL", l1, rate)
        weight = b("ADD", root, b("MUL", b("MUL", l2, rate), b.const(2, old.dtype, "two")))
    else:
        change, least = b("DIV", change, rate), l1
        weight = b("ADD", b("DIV", root, rate), b("MUL", l2, b.const(2, old.dtype, "two")))
    sum_ = b("ADD", value_of(b, linear), b("SUB", gradient, change))
    kept = b("MINIMUM", b("MAXIMUM", sum_, b("NEG", least)), least)
    store(b, sums, total)
    store(b, linear, sum_)
    store(b, variable, b("DIV", b("SUB", kept, sum_), weight))
    return variable


@handles("ResourceApplyRMSProp")
def rms_prop(
    b: TFBuilder,
    variable: Tensor,
    squares: Tensor,
    steps: Tensor,
    rate: Tensor,
    kept: Tensor,
    momentum: Tensor,
    epsilon: Tensor,
    gradient: Tensor,
) -> Tensor:
    """step = momentum * step + rate * gradient / sqrt(mean of squares + epsilon); var -= step."""
    mean = _approached(b, value_of(b, squares), square(b, gradient), kept)
    store(b, squares, mean)
    return _scaled_step(b, variable, steps, rate, momentum, gradient, b("ADD", mean, epsilon))


@handles("ResourceApplyCenteredRMSProp")
def centered_rms_prop(
    b: TFBuilder,
    variable: Tensor,
    means: Tensor,
    squares: Tensor,
    steps: Tensor,
    rate: Tensor,
    kept: Tensor,
    momentum: Tensor,
    epsilon: Tensor,
    gradient: Tensor,
) -> Tensor:
    """The same with the variance of gradients in the place of the mean of their squares."""
    mean, power = _moments(b, (means, kept), (squares, kept), gradient)
    spread = b("ADD", b("SUB", power, square(b, mean)), epsilon)
    return _scaled_step(b, variable, steps, rate, momentum, gradient, spread)


def _scaled_step(
    b: TFBuilder,
    variable: Tensor,
    steps: Tensor,
    rate: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    spread: Tensor,
) -> Tensor:
    scaled = b("DIV", b("MUL", gradient, rate), b("SQRT", spread))
    step = b("ADD", b("MUL", value_of(b, steps), momentum), scaled)
    store(b, steps, step)
    return _lower(b, variable, step)
