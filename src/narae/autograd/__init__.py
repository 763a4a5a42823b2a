"""Floor 3: automatic differentiation of any kind of value.

`tape` is what forward leaves behind, `walk` goes back over it, `vjp` differentiates programs,
`numerical` and `gradcheck` compare gradients with differences.
"""
