"""Every rule, by the kind of component that it is about.

A rule is a function of a `Subject` that gives a `Verdict`; the first line of its docstring is what the user reads. The order is
that of the report: a rule may take those above it for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ddlab.contracts.rules import data, losses, measures, optimizers, scores, solving, training
from ddlab.contracts.subject import (
    AUGMENT,
    CLOSED_FORM,
    DATA,
    FEATURE_MODEL,
    LOSS,
    MEASURE,
    MODEL,
    MODIFIER,
    OPTIMIZER,
    SCHEDULE,
    SCORE,
    SOLVER_MEASURE,
    Subject,
)
from ddlab.contracts.verdict import Verdict

Rule = Callable[[Subject], Verdict]

OF_MODELS: tuple[Rule, ...] = (
    training.begins_finite,
    training.has_the_parameters_that_are_planned,
    training.begins_alike,
    training.stays_dead_where_padded,
    training.is_the_same_in_a_pack,
    training.follows_its_gradient,
    training.resumes,
    training.compiles_once,
    training.lowers,
)
OF_SOLVERS: tuple[Rule, ...] = (solving.is_the_same_in_a_problem, solving.compiles_once, solving.lowers)
OF_OPTIMIZERS: tuple[Rule, ...] = (
    training.begins_finite,
    training.begins_alike,
    optimizers.has_a_state_of_any_learning_rate,
    training.stays_dead_where_padded,
    training.is_the_same_in_a_pack,
    training.resumes,
    training.compiles_once,
    training.lowers,
)
OF_MEASURES: tuple[Rule, ...] = (measures.begins_finite, measures.counts_its_values, measures.is_the_same_in_a_pack)

RULES: Mapping[str, tuple[Rule, ...]] = {
    DATA: (
        data.is_described_as_it_is,
        data.is_the_same_each_time,
        data.is_the_same_in_another_process,
        data.has_one_shape,
        data.has_targets_apart,
        data.is_nested,
    ),
    MODEL: OF_MODELS,
    FEATURE_MODEL: (*OF_MODELS, *OF_SOLVERS),
    OPTIMIZER: OF_OPTIMIZERS,
    MODIFIER: OF_OPTIMIZERS,
    SCHEDULE: (
        optimizers.has_rates_that_are_none_below_zero,
        training.is_the_same_in_a_pack,
        training.compiles_once,
        training.lowers,
    ),
    LOSS: (
        losses.is_of_each_example,
        losses.is_that_of_zero_outputs_untrained,
        training.is_the_same_in_a_pack,
        training.follows_its_gradient,
        training.compiles_once,
        training.lowers,
    ),
    AUGMENT: (
        training.is_the_same_in_a_pack,
        training.resumes,
        training.compiles_once,
        training.lowers,
    ),
    SCORE: (scores.is_finite, scores.is_the_same_in_a_pack),
    CLOSED_FORM: (solving.is_finite, *OF_SOLVERS),
    MEASURE: (
        *OF_MEASURES,
        measures.is_the_same_again,
        measures.is_nothing_where_it_is_not_due,
        training.compiles_once,
        training.lowers,
    ),
    SOLVER_MEASURE: (*OF_MEASURES, solving.compiles_once, solving.lowers),
}
