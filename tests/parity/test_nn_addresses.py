"""PyTorch's addresses of layers, as programs that were written for it import them."""

import importlib
import pkgutil

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402

FILES = [info.name for info in pkgutil.iter_modules(torch.nn.modules.__path__)]
ELSEWHERE = {"_functions", "lazy", "linear_cross_entropy", "linear_cross_entropy_options", "utils"}


@pytest.mark.parametrize("name", sorted(set(FILES) - ELSEWHERE))
def test_classes_stand_at_pytorchs_addresses(name):
    """Every layer of Narae that PyTorch has in a file is found at that file's address."""
    theirs = importlib.import_module(f"torch.nn.modules.{name}")
    ours = importlib.import_module(f"narae.nn.modules.{name}")
    own = [
        key for key, x in vars(theirs).items() if getattr(x, "__module__", "") == theirs.__name__
    ]
    layers = [key for key in own if hasattr(narae.nn, key) and key[0].isupper()]
    assert layers
    for key in layers:
        assert getattr(ours, key) is getattr(narae.nn, key), key
        assert getattr(narae.nn.modules, key) is getattr(narae.nn, key)


def test_imports_of_ported_programs():
    from narae.nn.modules.batchnorm import _BatchNorm
    from narae.nn.modules.conv import Conv2d, _ConvNd

    import narae.nn.modules as m
    from narae.nn.modules.utils import _pair, consume_prefix_in_state_dict_if_present
    from narae.nn.utils.rnn import pack_padded_sequence, pad_sequence

    assert m.conv.Conv2d is Conv2d is narae.nn.Conv2d
    assert issubclass(narae.nn.ConvTranspose1d, _ConvNd)
    norms = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm2d", "LayerNorm")
    for name in norms:
        known = issubclass(getattr(torch.nn, name), torch.nn.modules.batchnorm._BatchNorm)
        assert issubclass(getattr(narae.nn, name), _BatchNorm) == known
    for x in (3, (3, 4), [1, 2]):
        assert _pair(x) == torch.nn.modules.utils._pair(x)
    assert callable(pack_padded_sequence)
    assert callable(pad_sequence)
    states = []
    for library, consume in (
        (torch, torch.nn.modules.utils.consume_prefix_in_state_dict_if_present),
        (narae, consume_prefix_in_state_dict_if_present),
    ):
        state = library.nn.Sequential(library.nn.Linear(2, 2)).state_dict(prefix="module.")
        consume(state, "module.")
        states.append((list(state), sorted(state._metadata)))
    assert states[0] == states[1]
    with pytest.raises(AttributeError):
        m.NoSuchLayer  # noqa: B018


def test_attention_and_transformers_have_pytorchs_names():
    for name in ("MultiheadAttention", "Transformer", "TransformerDecoder", "TransformerEncoder",
                 "TransformerDecoderLayer", "TransformerEncoderLayer"):  # fmt: skip
        theirs, ours = getattr(torch.nn, name), getattr(narae.nn, name)
        wanted = {key for key in vars(theirs) if not key.startswith("_")}
        assert wanted - {"bias_k", "bias_v", "merge_masks"} <= set(dir(ours))
