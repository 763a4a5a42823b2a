"""Parts of a model that do not learn at first, or at all."""

import difflib
from collections.abc import Sequence
from typing import Any

from narae.base.errors import ConfigError, explain

from ..callback import Callback
from ..trainer import Trainer


class Freeze(Callback):
    """Keeps parameters as they are until an epoch, with no gradients computed for them.

    The statistics of batch normalization inside go on to follow the data. The program is traced
    again when the modules begin to learn, once.

    Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section
    3.3 (gradual unfreezing: one `Freeze` for each group of layers).

    Args:
        model: the model that is trained.
        names: modules by name, as `named_modules` has them, such as "features.0"; all that is
            inside counts. A list, or a text with commas.
        unfreeze: the epoch from which on they learn, where 1 is the first; 0: never.

    Raises:
        ConfigError: for a name that there is not (the nearest is named), a `unfreeze` that leaves
            nothing to freeze, or if nothing would learn.

    >>> from narae import nn
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> len(Freeze(model, "0", unfreeze=3).parameters)
    2
    """

    order = 52

    def __init__(self, model: Any, names: str | Sequence[str], unfreeze: int = 0) -> None:
        listed = names.split(",") if isinstance(names, str) else list(names)
        self.names = [name.strip() for name in listed if name.strip()]
        self.unfreeze = unfreeze
        if unfreeze < 0 or unfreeze == 1:
            rule = "it is the epoch from which on they learn, 2 or later, or 0 for never"
            raise ConfigError(explain("Freeze", f"unfreeze is {unfreeze}", rule))
        self.parameters = _parameters_of(model, self.names)
        _check_rest(model, self.parameters, self.names)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Freeze, or unfreeze; a run that goes on needs to remember nothing for that."""
        self._set(trainer)

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Unfreeze when it is time."""
        self._set(trainer)

    def _set(self, trainer: Trainer) -> None:
        learns = 0 < self.unfreeze <= trainer.epoch + 1
        for parameter in self.parameters:
            if parameter.requires_grad != learns:  # each change costs a new trace
                parameter.requires_grad_(learns)
                parameter.grad = None


def _parameters_of(model: Any, names: Sequence[str]) -> list[Any]:
    """What learns in the named modules, each once."""
    modules = dict(model.named_modules())
    modules.pop("", None)
    for name in names:
        if name not in modules:
            raise ConfigError(_unknown(name, list(modules)))
    found = [x for name in names for x in modules[name].parameters() if x.requires_grad]
    return list({id(x): x for x in found}.values())


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    top = [each for each in known if "." not in each]
    given = f"there is no module {name!r}"
    rule = f"the model has {', '.join(top) or 'no modules'}, and what is inside them"
    return explain("Freeze", given, rule, f"did you mean {close[0]}?" if close else "")


def _check_rest(model: Any, frozen: Sequence[Any], names: Sequence[str]) -> None:
    own = {id(x) for x in frozen}
    if not any(x.requires_grad and id(x) not in own for x in model.parameters()):
        given = f"{', '.join(names)} hold all parameters that learn"
        raise ConfigError(explain("Freeze", given, "something must be left that does"))
    if not frozen:
        given = f"{', '.join(names) or 'no name'}: no parameter that learns is in there"
        raise ConfigError(explain("Freeze", given, "there must be something to freeze"))
