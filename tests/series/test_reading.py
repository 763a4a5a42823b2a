"""CSV files with dates and missing values: read, or refused with the line that is at fault."""

from __future__ import annotations

import numpy as np
import pytest

from narae.errors import ConfigError, DataError, FileFormatError, MissingDataError
from narae.series import (
    Series,
    break_at_gaps,
    minimum_temperatures,
    pollution,
    read_series,
    treat_missing,
    windows,
)

HEAD = "day,a,b\n"
ROWS = ("2020-01-01,1,10\n", "2020-01-02,2,20\n", "2020-01-03,NA,30\n", "2020-01-05,4,40\n")


@pytest.fixture
def written(tmp_path):
    def write(text: str, encoding: str = "utf-8"):
        path = tmp_path / "series.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_columns_by_name_in_the_order_asked_for(written):
    series = read_series(written(HEAD + "".join(ROWS[:2])), ["b", "a"], "day")
    assert series.names == ("b", "a")
    assert series.values.tolist() == [[10, 1], [20, 2]]
    assert series.dates.tolist() == np.array(["2020-01-01", "2020-01-02"], "M8[s]").tolist()
    assert str(series.missing) == "2 rows, nothing missing"


def test_all_columns_but_dates_without_being_asked(written):
    assert read_series(written(HEAD + ROWS[0]), dates="day").names == ("a", "b")


def test_dates_in_several_columns(written):
    text = "year,month,day,hour,x\n2010,12,31,23,1\n2011,1,1,0,2\n"
    series = read_series(written(text), ["x"], ["year", "month", "day", "hour"])
    assert series.dates.tolist() == np.array(["2010-12-31T23", "2011-01-01T00"], "M8[s]").tolist()
    months = read_series(written("y,m,x\n2010,12,1\n2011,1,2\n"), ["x"], ["y", "m"])
    assert str(months.dates[1]) == "2011-01-01T00:00:00"


def test_other_forms_of_dates_text_and_fields(written):
    text = "날짜;값\n31.12.2019;1.5\n01.01.2020;2.5\n"
    series = read_series(
        written(text, "cp949"), ["값"], "날짜", date_format="%d.%m.%Y", delimiter=";",
        encoding="cp949",
    )  # fmt: skip
    assert series.column("값").tolist() == [1.5, 2.5]
    with pytest.raises(FileFormatError, match='encoding=, such as "cp949"'):
        read_series(written(text, "cp949"), ["값"], "날짜", delimiter=";")


def test_one_column_by_its_name(written):
    assert read_series(written(HEAD + ROWS[0]), "b", "day").names == ("b",)


def test_offsets_are_told_in_utc(written):
    """The hour that the clocks of Berlin show twice is not twice the same."""
    rows = ("2020-10-25 02:30:00+02:00", "2020-10-25T02:30+0100", "2020-10-25T03:00:00+01")
    series = read_series(written("day,a\n" + "".join(f"{x},1\n" for x in rows)), dates="day")
    expected = np.array(["2020-10-25T00:30", "2020-10-25T01:30", "2020-10-25T02:00"], "M8[s]")
    assert series.dates.tolist() == expected.tolist()
    form = "%d.%m.%Y %H:%M %z"
    text = "day,a\n01.01.2020 00:15 -0330,1\n"
    west = read_series(written(text), dates="day", date_format=form)
    assert str(west.dates[0]) == "2020-01-01T03:45:00"
    utc = read_series(written("day,a\n2020-01-01T00:00:00.000Z,1\n"), dates="day")
    assert str(utc.dates[0]) == "2020-01-01T00:00:00"


def test_empty_lines(written):
    two = read_series(written("day,a\n2020,1\n\n2021,2\n\n"), dates="day")
    assert two.values.ravel().tolist() == [1, 2]
    one = read_series(written("a\n1\n\n3\n\n\n"), missing="interpolate")
    assert one.values.ravel().tolist() == [1, 2, 3]


# --- missing values -----------------------------------------------------------------------------


@pytest.fixture
def holes(written):
    """`a` is missing on the first, third, fourth and last of six days; the third day is not."""
    text = "day,a\n1,NA\n2,2\n4,\n5,?\n6,6\n7,NA\n".replace("\n", "\n2020-01-0")
    return written(text.removesuffix("2020-01-0"))


def test_missing_values_raise_unless_something_is_said(holes):
    with pytest.raises(DataError, match=r"4 of a .*row 0; every value is needed.*drop, forward"):
        read_series(holes, ["a"], "day")


def test_dropped_rows_leave_breaks(holes):
    series = read_series(holes, ["a"], "day", missing="drop")
    assert series.values.ravel().tolist() == [2, 6]
    assert series.breaks.tolist() == [False, True]
    assert series.missing.counts == {"a": 4}
    assert series.missing.left_out == 4


def test_forward_takes_nothing_from_the_future(holes):
    series = read_series(holes, ["a"], "day", missing="forward")
    assert series.values.ravel().tolist() == [2, 2, 2, 6, 6]
    assert series.missing.left_out == 1
    assert not series.breaks.any()


def test_interpolation_is_in_time_not_in_rows(holes):
    series = read_series(holes, ["a"], "day", missing="interpolate")
    assert series.values.ravel().tolist() == [2, 4, 5, 6]
    assert series.missing.left_out == 2


def test_a_mask_leaves_them(holes):
    series = read_series(holes, ["a"], "day", missing="mask")
    assert series.observed.ravel().tolist() == [False, True, False, False, True, False]
    assert str(series.missing) == "6 rows, missing: 4 of a (mask)"


def test_forward_and_interpolation_are_those_of_pandas():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 2))
    values[rng.random((200, 2)) < 0.4] = np.nan
    values[0], values[-1] = 0, 0
    table = pandas.DataFrame(values)
    series = Series(values, ("a", "b"))
    assert np.array_equal(treat_missing(series, "forward").values, table.ffill())
    expected = table.interpolate("linear")
    np.testing.assert_allclose(treat_missing(series, "interpolate").values, expected)


def test_breaks_stay_when_their_row_is_dropped_later():
    values = np.array([[1.0], [np.nan], [3.0], [4.0]])
    breaks = np.array([False, True, False, False])
    dropped = treat_missing(Series(values, ("a",), breaks=breaks), "drop")
    assert dropped.breaks.tolist() == [False, True, False]


@pytest.mark.parametrize("treatment", ["forward", "interpolate"])
def test_nothing_is_filled_over_a_break(treatment):
    values = np.array([[1.0], [np.nan], [3.0], [np.nan], [5.0]])
    breaks = np.array([False, True, False, False, False])
    filled = treat_missing(Series(values, ("a",), breaks=breaks), treatment)
    assert filled.values.ravel().tolist() == [1, 3, 3 if treatment == "forward" else 4, 5]
    assert filled.breaks.tolist() == [False, True, False, False]
    assert filled.missing.left_out == 1


def test_rows_that_are_not_in_the_file_are_breaks():
    dates = np.array(["2020-01-01", "2020-01-02", "2020-01-05", "2020-01-06"], "M8[s]")
    series = Series(np.arange(4.0)[:, None], ("a",), dates)
    broken = break_at_gaps(series, np.timedelta64(1, "D"))
    assert broken.breaks.tolist() == [False, False, True, False]
    assert windows(broken, 1, 1).rows.tolist() == [1, 3]
    assert windows(series, 1, 1).rows.tolist() == [1, 2, 3]
    again = break_at_gaps(broken, np.timedelta64(1, "W"))  # what was a break is one still
    assert again.breaks.tolist() == broken.breaks.tolist()


@pytest.mark.parametrize(
    "longest", [np.timedelta64(1, "M"), np.timedelta64(5), np.timedelta64(0, "h")]
)
def test_steps_that_are_none(longest):
    series = Series(np.zeros((1, 1)), ("a",), np.array(["2020"], "M8[s]"))
    with pytest.raises(ConfigError, match=r"longest is .* above 0, in weeks, days"):
        break_at_gaps(series, longest)
    with pytest.raises(ConfigError, match="the series has no dates"):
        break_at_gaps(Series(np.zeros((1, 1)), ("a",)), longest)


def test_temperatures_break_where_a_day_is_not_in_the_file():
    found = _real(minimum_temperatures)
    (at,) = np.nonzero(found.breaks)
    assert [str(day)[:10] for day in found.dates[at]] == ["1985-01-01", "1989-01-01"]


def test_pollution_has_its_published_number_of_missing_values():
    found = _real(lambda: pollution(missing="mask"))
    assert len(found) == 43_824
    assert found.missing.counts == {"pm2.5": 2_067}
    assert str(found.dates[-1]) == "2014-12-31T23:00:00"
    assert found.row_of("2014") == 43_824 - 365 * 24
    with pytest.raises(DataError, match=r"2,067 of pm2\.5"):
        pollution()


def _real(read):
    try:
        return read()
    except MissingDataError:
        pytest.skip("the real series are not on this machine")


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", {}, "line 1: there are no rows"),
        (HEAD, {}, "line 1: there are no rows"),
        (HEAD + ROWS[0], {"columns": ["c"]}, "line 1: no column 'c'; columns are day, a, b"),
        ("day,a,a\n" + ROWS[0], {"columns": ["a"]}, "line 1: 2 columns 'a'"),
        (HEAD + ROWS[0], {"dates": "date"}, "line 1: no column 'date'"),
        (HEAD + ROWS[0] + "2020-01-02,x,1\n", {}, "line 3: a is 'x'; it is a finite number"),
        (HEAD + ROWS[0] + "2020-01-02,inf,1\n", {}, "line 3: a is 'inf'"),
        (HEAD + ROWS[0] + "2020-01-02,1\n", {}, "line 3: 2 fields; the first line has 3"),
        (HEAD + ROWS[1] + ROWS[0], {}, "line 3: 2020-01-01.* comes after 2020-01-02.*sort"),
        (HEAD + ROWS[0] + ROWS[0], {}, "line 3: 2020-01-01.* comes twice.*leave one"),
        (HEAD + "soon,1,1\n", {}, "line 2: the date is 'soon'.*YYYY-MM-DD.*date_format="),
        (HEAD + "2020-02-30,1,1\n", {}, "line 2: the date is '2020-02-30'"),
        (HEAD + "NaT,1,1\n", {}, "line 2: the date is 'NaT'"),
        (HEAD + ",1,1\n", {}, "line 2: the date is ''"),
        (HEAD + "20200101,1,1\n", {}, "line 2: the date is '20200101'"),
        (HEAD + "today,1,1\n", {}, "line 2: the date is 'today'"),
        (HEAD + "2020-01-01T00:00:00.5,1,1\n", {}, "line 2: the date is .* in whole seconds"),
        (HEAD + "2020-01-01T00:00+25,1,1\n", {}, r"line 2: the date is '2020-01-01T00:00\+25'"),
        (HEAD + ROWS[0] + "2020-01-02T00:00Z,1,1\n", {}, "line 3: a date with an offset from UTC"),
        (HEAD + "2020-01-02T00:00Z,1,1\n" + ROWS[2], {}, "line 3: a date without an offset"),
        (HEAD + f"{10**20},1,2\n", {"dates": ["day", "a"], "columns": ["b"]}, "2: the date is"),
        (HEAD + ROWS[0] + "2020-01-02,1_000,1\n", {}, "line 3: a is '1_000'"),
        ("day\n2020\n", {}, "line 1: there are dates alone"),
        ("1,2\n3,4\n", {"dates": ()}, "line 1: the names are 1, 2; the first line names the col"),
        (HEAD + "13,1,2\n", {"dates": ["a", "day"], "columns": ["b"]}, "the date is '1 13'"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_naming_the_line(written, text, options, said):
    with pytest.raises(DataError, match=said):
        read_series(written(text), **{"dates": "day", **options})


def test_files_and_options_that_cannot_be_read(written):
    path = written("a\n1\n2\n")
    with pytest.raises(ConfigError, match="encoding is 'utf-9'"):
        read_series(path, encoding="utf-9")
    with pytest.raises(ConfigError, match="delimiter is ';;'"):
        read_series(path, delimiter=";;")
    with pytest.raises(FileFormatError, match="does not start with BOM"):
        read_series(path, encoding="utf-16")
    with pytest.raises(FileFormatError, match="after line 2: unexpected end of data"):
        read_series(written('a\n1\n"2\n3\n'))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match=r"no file .*none\.csv"):
        read_series(tmp_path / "none.csv")


def test_unknown_treatments_are_refused_before_reading(tmp_path):
    with pytest.raises(ConfigError, match="missing is 'guess'; it is one of raise, drop"):
        read_series(tmp_path / "none.csv", missing="guess")


def test_nothing_remains():
    empty = Series(np.full((3, 1), np.nan), ("a",))
    for treatment in ("drop", "forward", "interpolate"):
        with pytest.raises(DataError, match="no row is whole"):
            treat_missing(empty, treatment)


def test_series_check_their_sizes():
    with pytest.raises(DataError, match="there are no rows"):
        Series(np.zeros((0, 1)), ("a",))
    with pytest.raises(DataError, match=r"\(3, 2\) for 1 names"):
        Series(np.zeros((3, 2)), ("a",))
    with pytest.raises(DataError, match=r"dates are \(2,\) for 3 rows"):
        Series(np.zeros((3, 1)), ("a",), np.zeros(2, "M8[s]"))
    series = Series(np.zeros((3, 1)), ("a",), np.array(["2020", "2021", "2022"], "M8[s]"))
    with pytest.raises(ConfigError, match="no column 'b'; columns are a"):
        series.column("b")
    with pytest.raises(ConfigError, match="2030 is not inside"):
        series.row_of("2030")
    for text in ("soon", "20210101", "today"):
        with pytest.raises(ConfigError, match=f"the date is '{text}'; it has the form"):
            series.row_of(text)
    with pytest.raises(DataError, match="there are no columns"):
        Series(np.zeros((3, 0)), ())
    with pytest.raises(DataError, match=r"names are \('a', 'a'\); each comes once"):
        Series(np.zeros((3, 2)), ("a", "a"))
    with pytest.raises(ConfigError, match="without dates"):
        Series(np.zeros((3, 1)), ("a",)).row_of("2030")
    assert series.row_of("2020-06") == 1


def test_a_changed_file_of_a_known_series_is_refused(tmp_path):
    (tmp_path / "timeseries").mkdir()
    (tmp_path / "timeseries" / "pollution.csv").write_text("pm2.5\n1\n")
    with pytest.raises(DataError, match=r"pollution\.csv"):
        pollution(tmp_path)
