"""Pickle files are read without running what they ask for.

C7: a pickle-compatible *reader* that is an allow-list unpickler. C8: many objects until the end.
"""

import collections
import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
from narae import errors
from narae.io import read_pickles

PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(),
              st.binary(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3),
        st.tuples(inner, inner), st.frozensets(st.integers(-(2**63), 2**63), max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip


@given(st.lists(PLAIN, min_size=1, max_size=3), st.integers(0, 5))
def test_what_pickle_wrote_is_read(values, protocol):
    """C8: a loop of `pickle.dump`, read until the end of the file."""
    data = b"".join(pickle.dumps(value, protocol) for value in values)
    assert list(read_pickles(io.BytesIO(data))) == values


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers(protocol):
    """C7: NumPy arrays of any form, and the containers of the standard library."""
    value = collections.OrderedDict(
        f32=np.arange(6, dtype=np.float32).reshape(2, 3),
        fortran=np.asfortranarray(np.arange(6).reshape(2, 3)),
        big=np.arange(3, dtype=">i4"),
        empty=np.zeros((0, 2)),
        text=np.array(["가", "나다"]),
        number=np.float64(0.5),
        count=collections.Counter("aab"),
    )
    data = pickle.dumps(value, protocol)
    (found,) = read_pickles(io.BytesIO(data))
    assert list(found) == list(value)
    for name, wanted in pickle.loads(data).items():
        np.testing.assert_array_equal(found[name], wanted)
        assert getattr(found[name], "dtype", None) == getattr(wanted, "dtype", None)
        assert type(found[name]) is type(wanted)


def test_what_python_2_wrote():
    """C7: the form of CIFAR-10's files: texts as bytes, arrays as latin-1."""
    old = (
        b"(dp0\nS'labels'\np1\n(lp2\nI6\naI9\nasS'data'\np3\ncnumpy.core.multiarray\n_reconstruct\n"
        b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\n"
        b"NNNI-1\nI-1\nI0\ntbI00\nS'\\x80\\xff'\ntbs."
    )
    (found,) = read_pickles(io.BytesIO(old), encoding="latin1")
    assert found["labels"] == [6, 9]
    assert found["data"].tolist() == [128, 255]


class Call:
    """What a hostile file holds: a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "system": Call(os.system, "echo never"),
    "eval": Call(eval, "1 + 1"),
    "import": Call(__import__, "os"),
    "open": Call(open, "/etc/passwd"),
    "attribute": Call(getattr, "", "join"),
    "inside": [1, {"a": Call(print, "never")}],
    "object array": np.array([Call(print, "never")], dtype=object),
    "plain object array": np.array([None], dtype=object),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_calls_are_refused_and_never_run(name, protocol, capfd):
    """C7: an allow-list unpickler."""
    data = pickle.dumps(HOSTILE[name], protocol)
    with pytest.raises(errors.FileFormatError, match="never code"):
        list(read_pickles(io.BytesIO(data)))
    assert capfd.readouterr().out == ""


@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_are_read_or_refused(data):
    try:
        list(read_pickles(io.BytesIO(data)))
    except errors.FileFormatError:
        pass


def test_load_takes_one_object(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert narae.load(path) == {"a": 1}
    path.write_bytes(pickle.dumps({"a": 1}) + pickle.dumps(2))
    with pytest.raises(errors.FileFormatError, match="read_pickles"):
        narae.load(path)
    with pytest.raises(errors.MissingDataError):
        list(read_pickles(tmp_path / "none.pkl"))
