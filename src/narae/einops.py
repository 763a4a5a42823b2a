"""einops on Narae's tensors: `import narae.einops` once, and `einops.rearrange` takes them.

>>> import narae
>>> import narae.einops
>>> from einops import rearrange
>>> rearrange(narae.zeros(2, 3, 4, 4), "b c h w -> b (h w) c").shape
narae.Size([2, 16, 3])

`Rearrange` and `Reduce` are the layers of `einops.layers.torch`.
"""

from narae.nn.einops_layers import Rearrange as Rearrange
from narae.nn.einops_layers import Reduce as Reduce
from narae.nn.einops_layers import register as register

register()

__all__ = ["Rearrange", "Reduce", "register"]
