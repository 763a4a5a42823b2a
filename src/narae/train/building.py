"""From a recipe with its settings to a trainer that is ready."""

from collections.abc import Sequence
from pathlib import Path

from narae.io.weights import read_weights
from narae.nn.weights import load_state

from .callback import Callback
from .callbacks.schedule import Schedule
from .recipe import Recipe
from .setting_callbacks import callbacks_of
from .step import inputs_then_target, no_metrics
from .trainer import Trainer


def build(
    recipe: Recipe,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    weights: str | None = None,
    ignore_mismatched: bool = False,
) -> Trainer:
    """Everything that a recipe names, made in the order that its random stream goes by.

    Args:
        recipe: with its settings.
        folder: where to look for data first.
        callbacks: more than the recipe and its settings ask for.
        weights: what the model begins with, as `read_weights` takes it; random numbers if None.
        ignore_mismatched: leave out weights of other shapes.
    """
    settings = recipe.settings
    recipe.seed()
    data, model = recipe.data(folder), recipe.model()
    if weights is not None:
        read = read_weights(weights)
        load_state(model, read.state, read.source, ignore_mismatched)
    optimizer = recipe.part("optimizer")(model)  # type: ignore[misc]
    own = recipe.part("callbacks")
    found = [*callbacks_of(settings, model), *(own(model) if own else ()), *callbacks]
    schedule = recipe.part("schedule")
    if schedule is not None:
        updates = -(-len(data.train) // settings.accumulate)
        made = schedule(optimizer, settings.epochs * updates)
        found.append(made if isinstance(made, Callback) else Schedule(made))
    return Trainer(
        data,
        model,
        recipe.part("loss"),  # type: ignore[arg-type]
        optimizer,
        metrics=recipe.part("metrics") or no_metrics,
        forward=recipe.part("forward") or inputs_then_target,
        count=recipe.part("count"),
        evaluate=recipe.part("evaluate"),
        callbacks=found,
        epochs=settings.epochs,
        validate_every=settings.epochs_per_validation,
        accumulate=settings.accumulate,
        precision=settings.precision,
        compile=settings.compile,
    )
