"""Every layer on the samples that PyTorch tests its own with (`ModuleInfo`): forward, gradients of
inputs and parameters, buffers, text and state, in training and in evaluation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.parity import redirect  # noqa: E402
from tests.parity.layer_checks import (  # noqa: E402
    as_numpy,
    assert_same,
    leaves,
    to_narae,
    weights_for,
)

redirect.load_databases()

from torch.testing._internal.common_modules import module_db  # noqa: E402

import narae  # noqa: E402
from narae import nn  # noqa: E402

# Layers of other files: losses and recurrent layers have tests of their own.
OTHERS = ("Loss", "RNN", "GRU", "LSTM", "Transformer", "Attention", "Lazy", "Fractional")
LAYERS = {info.name: info for info in module_db if not any(word in info.name for word in OTHERS)}
TOLERANCE = {torch.float32: 5e-5, torch.float64: 1e-9}


def samples(info, dtype, training):
    torch.manual_seed(0)
    return info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=training
    )


def arguments(function_input):
    return function_input.args, function_input.kwargs


def built(info, sample, dtype, training):
    """PyTorch's layer, and Narae's with the same weights."""
    args, kwargs = arguments(sample.constructor_input)
    theirs = info.module_cls(*args, **kwargs).to(dtype).train(training)
    ours = getattr(nn, info.name.removeprefix("nn."))(*to_narae(args), **to_narae(kwargs))
    ours = ours.to(getattr(narae, str(dtype).removeprefix("torch."))).train(training)
    with torch.no_grad():
        for number, parameter in enumerate(theirs.parameters()):
            noise = torch.Generator().manual_seed(number)
            parameter.add_(torch.rand(parameter.shape, generator=noise).to(dtype) * 0.1)
    ours.load_state_dict({key: to_narae(value) for key, value in theirs.state_dict().items()})
    return ours, theirs


def in_words(layer):
    return repr(layer).replace("torch.", "narae.")


def test_all_layers_are_here():
    missing = [name for name in LAYERS if not hasattr(nn, name.removeprefix("nn."))]
    assert missing == []


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layer(name, dtype, training):
    info = LAYERS[name]
    for sample in samples(info, dtype, training):
        if sample.forward_input is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(info, sample, dtype, training)


def check(info, sample, dtype, training):
    ours, theirs = built(info, sample, dtype, training)
    assert repr(ours) == in_words(theirs)
    args, kwargs = arguments(sample.forward_input)
    our_args, our_kwargs = to_narae(args), to_narae(kwargs)
    their_out, our_out = theirs(*args, **kwargs), ours(*our_args, **our_kwargs)
    tolerance = TOLERANCE[dtype]
    assert_same(our_out, their_out, tolerance)
    compare_state(ours, theirs, tolerance)
    started = leaves(their_out)
    if not started:
        return
    our_weights, their_weights = weights_for(started, 3)
    torch.autograd.backward(started, their_weights)
    narae.autograd.backward(leaves(our_out), our_weights)
    for our, their in zip(leaves([our_args, our_kwargs]), leaves([args, kwargs]), strict=True):
        assert_same(our.grad, their.grad, 10 * tolerance, "gradient of an input")
        their.grad = None
    for (key, our), (_, their) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert_same(our.grad, their.grad, 10 * tolerance, f"gradient of {key}")


def compare_state(ours, theirs, tolerance):
    our_state, their_state = ours.state_dict(), theirs.state_dict()
    assert list(our_state) == list(their_state)
    for key, their in their_state.items():
        assert_same(our_state[key], their, tolerance, key)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_start(name):
    """The same seed gives the same initial weights, bit for bit (normals within 2 ulp)."""
    info = LAYERS[name]
    for sample in samples(info, torch.float32, True):
        args, kwargs = arguments(sample.constructor_input)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("device", "dtype")}
        if kwargs.get("sparse"):
            continue
        torch.manual_seed(100)
        theirs = info.module_cls(*args, **kwargs)
        narae.manual_seed(100)
        ours = getattr(nn, name.removeprefix("nn."))(*to_narae(args), **to_narae(kwargs))
        for key, value in theirs.state_dict().items():
            found, wanted = as_numpy(ours.state_dict()[key]), as_numpy(value)
            if name == "nn.Embedding" and "_weight" not in kwargs:
                np.testing.assert_array_max_ulp(found, wanted, 2)
            else:
                np.testing.assert_array_equal(found, wanted, err_msg=key)
        assert np.array_equal(narae.rand(3).numpy(), torch.rand(3).numpy())
