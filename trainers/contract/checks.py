"""The checks on one step of a method: each returns what it found, or raises a Fault.

The gradient check compares with finite differences; terms that hold a part of themselves constant
(`Method.held`) are left out of it, since theirs is no slope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import torch

from search_spaces import BASELINE
from trainers.contract.sample_steps import (
    STUDENT,
    Fault,
    MethodUnderTest,
    SampleStep,
    leaves,
    mapped,
    squared_gradient,
)
from trainers.errors import MethodError
from trainers.method_api.derived import JOINT
from trainers.method_api.method import Method, Step
from trainers.method_api.space_file import Need, values_of

STAGES = (0.0, 0.05, 0.5, 0.99)  # of training
SIZES = (((5, 7), (5, 7)), ((3, 4), (6, 9)), ((7, 9), (4, 5)))
LEAST = 0.01  # the low end of a multiplier's range, as an effect: the terms' share of the gradient
CLOSE = 0.03  # share of the baseline's gradient that its terms may add there
DISTANCE = 1e-6  # of the points that finite differences are taken between


def the_pair_agrees(tested: MethodUnderTest) -> str:
    """The class and its file name the same terms, and values out of bounds are refused."""
    kind, space = tested.kind, tested.space
    if kind.terms != space.terms:
        raise Fault(f"the class has the terms {kind.terms}, its file {space.terms}")
    values = values_of(space, {})
    if not 0 <= kind.last_switch(values) <= 1:
        raise Fault(f"last_switch must be a share of training, got {kind.last_switch(values)}")
    for name in (n for n in space.published if n.endswith("temperature")):
        try:
            tested.method({name: 0.0})
        except MethodError:
            continue
        raise Fault(f"{name} = 0 must be refused with a MethodError")
    found = needs_of(tested)
    if JOINT not in tested.name and set(found) != set(space.needs):
        raise Fault(f"its file says needs = {list(space.needs)}, the class needs {list(found)}")
    return f"{len(space.terms)} terms, {len(space.of)} hyperparameters"


def needs_of(tested: MethodUnderTest) -> tuple[Need, ...]:
    """Return what a method needs beside a teacher's logits, as its class shows."""
    method, step = tested.method(), SampleStep().build()
    torch.autograd.backward(tested.total(method, step))
    given: dict[Need, bool] = {
        "features": any(x.grad is not None for x in step.student.features.values()),
        "auxiliary head": method.needs_teacher_aux,
        "preparation": method.preparation is not None,
        "second optimiser": bool(method.auxiliary_modules()),
        "memory bank": method.memory_bank() is not None,
    }
    return tuple(need for need, is_needed in given.items() if is_needed)


def losses_are_finite_scalars(tested: MethodUnderTest) -> str:
    """Every term is a finite scalar at every stage of training."""
    for progress in STAGES:
        for name, value in tested.losses(
            tested.method(), SampleStep(progress=progress).build()
        ).items():
            if value.shape != () or not bool(value.isfinite()):
                raise Fault(f"{name} at {progress:.0%} of training is {value}")
    return f"at {', '.join(f'{stage:.0%}' for stage in STAGES)} of training"


def the_gradient_reaches_the_student_alone(tested: MethodUnderTest) -> str:
    """The student gets a gradient, the teacher none."""
    for progress in STAGES:
        step = SampleStep(progress=progress).build()
        torch.autograd.backward(tested.total(tested.method(), step))
        if not squared_gradient(step.student) > 0:
            raise Fault(f"no gradient reaches the student at {progress:.0%} of training")
        if squared_gradient(step.teacher_outputs):
            raise Fault(f"a gradient reaches the teacher at {progress:.0%}: detach its outputs")
    return "the teacher gets none"


def every_term_has_a_gradient(tested: MethodUnderTest) -> str:
    """Every term alone has a gradient."""
    for term in tested.kind.terms:
        step = SampleStep().build()
        loss = tested.losses(tested.method(), step)[term]
        if loss.requires_grad:
            torch.autograd.backward(loss)
        if not squared_gradient(step.student) > 0:
            raise Fault(f"{term} has no gradient with respect to the student")
    return ", ".join(tested.kind.terms) or "it has no terms"


def ignored_labels_do_no_harm(tested: MethodUnderTest) -> str:
    """A batch without any label gives a finite loss and finite gradients."""
    for progress in STAGES:
        step = SampleStep(progress=progress, ignored=1.1).build()
        loss = tested.total(tested.method(), step)
        torch.autograd.backward(loss)
        gradients = [x.grad for x in leaves(step.student) if x.grad is not None]
        if not (loss.isfinite() and all(bool(g.isfinite().all()) for g in gradients)):
            raise Fault(f"a batch without any label gives the loss {loss}, or a gradient like it")
    return "a batch without any label is finite"


def any_sizes_will_do(tested: MethodUnderTest) -> str:
    """Any size of batch and maps will do; what has no meaning is refused with a MethodError."""
    for batch, (student, teacher) in product((1, 3), SIZES):
        sample = SampleStep(batch=batch, student=student, teacher=teacher)
        method = tested.method()
        if batch < method.least_batch:
            _check_refusal(lambda m=method, s=sample: tested.total(m, s.build()), batch)  # type: ignore[misc]
            continue
        if not bool(tested.total(method, sample.build()).isfinite()):
            where = f"student's maps {student}, teacher's {teacher}"
            raise Fault(f"not finite at batch {batch}, {where}")
    return "batch 1 and 3; odd maps, maps of two sizes"


def _check_refusal(action: Callable[[], object], batch: int) -> None:
    try:
        action()
    except MethodError:
        return
    raise Fault(f"a batch of {batch} has no meaning here and must raise a MethodError")


def terms_vanish_at_equality(tested: MethodUnderTest) -> str:
    """Terms that promise it are 0 where student and teacher are equal."""
    method, step = tested.method(teacher=STUDENT), SampleStep().build()
    if not method.vanishing:
        return "none promises to"
    losses = tested.losses(method, replace(step, teacher=step.student))
    for term in method.vanishing:
        if not abs(float(losses[term].detach())) < 1e-12:
            raise Fault(
                f"{term} is {float(losses[term].detach()):g} where student and teacher are equal"
            )
    return ", ".join(method.vanishing)


def the_same_step_repeats_every_bit(tested: MethodUnderTest) -> str:
    """Loss and gradient repeat bit by bit: random numbers come from torch's generator alone."""
    seen = []
    for _ in range(2):
        step = SampleStep().build()
        loss = tested.total(tested.method(), step)
        torch.autograd.backward(loss)
        seen.append([loss.detach(), *(x.grad for x in leaves(step.student) if x.grad is not None)])
    if not all(torch.equal(first, second) for first, second in zip(*seen, strict=True)):
        raise Fault("the same step under the same seed gives another loss or gradient")
    return "loss and gradient"


def the_gradient_is_the_slope(tested: MethodUnderTest) -> str:
    """The gradient agrees with finite differences along random directions."""
    for progress in STAGES:
        method, step = tested.method(), SampleStep(progress=progress).build()
        for term in method.held:
            method.values[term] = 0.0
        torch.autograd.backward(tested.total(method, step))
        _compare(tested, method, step, progress)
    held = f"; {', '.join(tested.kind.held)} left out by design" if tested.kind.held else ""
    return f"as finite differences{held}"


def _compare(tested: MethodUnderTest, method: Method, step: Step, progress: float) -> None:
    generator = torch.Generator().manual_seed(1)
    student = leaves(step.student)
    directions = [torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in student]
    ends = []
    for sign in (1, -1):
        moved = {
            place: (x + sign * DISTANCE * d).detach()
            for place, (x, d) in enumerate(zip(student, directions, strict=True))
        }
        student_moved = mapped(step.student, moved)
        ends.append(tested.total(method, replace(step, student=student_moved)).item())
    risen = (ends[0] - ends[1]) / (2 * DISTANCE)
    pairs = zip(student, directions, strict=True)
    expected = sum(float((x.grad * d).sum()) for x, d in pairs if x.grad is not None)
    if abs(risen - expected) > 1e-4 * abs(expected) + 1e-6:
        raise Fault(f"at {progress:.0%} the gradient says {expected:g}, differences say {risen:g}")


def the_baseline_is_where_it_is_promised(tested: MethodUnderTest) -> str:
    """At the low end of the multiplier's range the gradient is the baseline's, but for a little."""
    if not tested.space.contains_baseline:
        return "not promised"
    baseline = _gradient(MethodUnderTest(BASELINE), 0.0)
    if not tested.space.terms:
        low, share = 0.0, float((_gradient(tested, 0.0) - baseline).norm() / baseline.norm())
    else:
        low = LEAST * float(baseline.norm() / (_gradient(tested, 1.0) - baseline).norm())
        share = float((_gradient(tested, low) - baseline).norm() / baseline.norm())
    if share >= CLOSE:
        raise Fault(f"at multiplier {low:.3g} its gradient is {share:.1%} off the baseline's")
    return f"{share:.1g} off at multiplier {low:.3g}"


def _gradient(tested: MethodUnderTest, multiplier: float) -> torch.Tensor:
    step = SampleStep().build()
    params = {"multiplier": multiplier} if tested.space.terms else {}
    torch.autograd.backward(tested.total(tested.method(params), step))
    given = ((x, x.grad) for x in leaves(step.student))
    return torch.cat([(torch.zeros_like(x) if g is None else g).flatten() for x, g in given])


def a_student_without_an_auxiliary_head_is_enough(tested: MethodUnderTest) -> str:
    """A student without an auxiliary head, as a MobileNet, can be trained as well."""
    step = SampleStep().build()
    bare = replace(step, student=replace(step.student, aux_logits=None))
    if not bool(tested.total(tested.method(), bare).isfinite()):
        raise Fault("not finite where the student has no auxiliary head")
    return "finite"


CHECKS: tuple[Callable[[MethodUnderTest], str], ...] = (
    the_pair_agrees,
    losses_are_finite_scalars,
    the_gradient_reaches_the_student_alone,
    every_term_has_a_gradient,
    ignored_labels_do_no_harm,
    any_sizes_will_do,
    terms_vanish_at_equality,
    the_same_step_repeats_every_bit,
    the_gradient_is_the_slope,
    the_baseline_is_where_it_is_promised,
    a_student_without_an_auxiliary_head_is_enough,
)
