"""Tables as data sets.

C19: `from_dataframe` accepts DataFrames (an estimator gets its numbers from there).
"""

import numpy as np
import pytest

import narae
from narae import errors, nn
from narae.data import DataLoader, from_dataframe
from narae.nn import functional as F

pandas = pytest.importorskip("pandas")


@pytest.fixture
def frame():
    return pandas.DataFrame(
        {
            "age": pandas.array([22, 38, 26], dtype="Int64"),
            "fare": [7.25, 71.28, 7.92],
            "alone": [True, False, True],
            "port": pandas.Categorical(["S", "C", "S"]),
            "이름": ["박", "김", "이"],
        }
    )


def test_columns_become_numbers(frame):
    """C19: columns of whole numbers, of floating point numbers and of truth values."""
    data = from_dataframe(frame, target="port", features=["age", "fare", "alone"])
    x, y = data[:]
    assert x.dtype == narae.float32
    expected = frame[["age", "fare", "alone"]].astype("float32").to_numpy()
    np.testing.assert_array_equal(x.numpy(), expected)
    codes = frame["port"].cat.codes.to_numpy()
    assert y.dtype == narae.int64
    np.testing.assert_array_equal(y.numpy(), codes)
    assert data.classes == list(frame["port"].cat.categories)
    assert data.features == ["age", "fare", "alone"]


def test_targets_of_each_kind(frame):
    features = ["fare"]
    assert from_dataframe(frame, "age", features)[:][1].tolist() == [22, 38, 26]
    assert from_dataframe(frame, "alone", features)[:][1].dtype == narae.int64
    price = from_dataframe(frame, "fare", ["age"], dtype=narae.float64)
    assert price[:][1].dtype == narae.float64
    names = from_dataframe(frame, "이름", features)
    assert [names.classes[i] for i in names[:][1].tolist()] == ["박", "김", "이"]
    assert len(from_dataframe(frame, features=features)[0]) == 1


def test_a_table_trains_a_model():
    """C19: from the table to a fitted line, the one that NumPy's least squares finds."""
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    table["y"] = 3 * table["a"] - 2 * table["b"] + 1
    loader = DataLoader(from_dataframe(table, target="y"), batch_size=20, shuffle=True)
    narae.manual_seed(0)
    model = nn.Linear(2, 1)
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(60):
        for x, y in loader:
            loss = F.mse_loss(model(x).squeeze(1), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    wanted, *_ = np.linalg.lstsq(np.c_[table[["a", "b"]], np.ones(60)], table["y"])
    found = np.r_[model.weight.detach().numpy().ravel(), model.bias.detach().numpy()]
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_bad_tables_are_explained(frame):
    with pytest.raises(TypeError, match="the column 'port' holds") as caught:
        from_dataframe(frame, target="fare")
    assert "features=[...]" in str(caught.value)
    with pytest.raises(IndexError, match="'prot' is the name of 0 columns"):
        from_dataframe(frame, target="prot")
    with pytest.raises(ValueError, match="no column of features"):
        from_dataframe(frame[["fare"]], target="fare")
    for column, value in (("fare", np.nan), ("age", pandas.NA), ("이름", None)):
        broken = frame.copy()
        broken.loc[1, column] = value
        with pytest.raises(errors.DataError, match="has no value in row 1") as caught:
            from_dataframe(broken, target=column, features=["alone"])
        assert "dropna" in str(caught.value)
    with pytest.raises(errors.DataError, match="row 0 and 1 more"):
        from_dataframe(pandas.DataFrame({"a": [np.nan, np.nan]}))
