"""Four well-known series: their files, checksums and mirror.

Copies of the Time Series Data Library, and of the Beijing PM2.5 set of the UCI repository, as
kept by J. Brownlee; the checksums were taken from these files.
"""

import os
from datetime import timedelta
from pathlib import Path

from narae.io.fetch import Download, FileSet, find_files

from .csv_file import read_series
from .gaps import break_at_gaps
from .table import Series

Folder = str | os.PathLike[str]
_MIRROR = (
    "https://raw.githubusercontent.com/jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f/"
)
_SHA256 = {
    "airline-passengers": "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
    "daily-min-temperatures": "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
    "monthly-sunspots": "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
    "pollution": "892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2",
}


def _file(name: str, root: Folder | None, download: bool) -> Path:
    files = {name: Download(f"{name}.csv", f"sha256:{_SHA256[name]}")}
    return find_files(FileSet(name, ("timeseries",), files, (_MIRROR,)), root, download)[name]


def airline_passengers(root: Folder | None = None, download: bool = False) -> Series:
    """Passengers of international airlines, in thousands: 144 months, 1949 to 1960.

    Args:
        root: a folder to look in first; then NARAE_DATA, the cache and the mirror follow.
        download: whether the network may be used.

    Raises:
        DataError: if the file is not the published one.
        MissingDataError: if it is nowhere to be found.

    Source: G. Box, G. Jenkins, "Time Series Analysis: Forecasting and Control", series G, 1976.
    """
    return read_series(_file("airline-passengers", root, download), ["Passengers"], "Month")


def minimum_temperatures(root: Folder | None = None, download: bool = False) -> Series:
    """Lowest temperatures of 3,650 days in Melbourne, in °C, 1981 to 1990; found as the others.

    31 December of the leap years 1984 and 1988 is not in it: 1 January comes after a break.
    """
    series = read_series(_file("daily-min-temperatures", root, download), ["Temp"], "Date")
    return break_at_gaps(series, timedelta(days=1))


def sunspots(root: Folder | None = None, download: bool = False) -> Series:
    """Mean numbers of sunspots in 2,820 months, Zurich, 1749 to 1983; found as the others."""
    return read_series(_file("monthly-sunspots", root, download), ["Sunspots"], "Month")


def pollution(root: Folder | None = None, missing: str = "raise", download: bool = False) -> Series:
    """Fine dust and weather in Beijing: 43,824 hours, 2010 to 2014; 2,067 without pm2.5.

    Columns: pm2.5 (µg/m³), DEWP (dew point, °C), TEMP (°C), PRES (hPa), Iws (sum of wind, m/s),
    Is and Ir (hours of snow and rain).

    Args:
        root, download: as for the others.
        missing: what to do about missing values, as `read_series` says.

    Source: X. Liang et al., "Assessing Beijing's PM2.5 pollution", Proc. R. Soc. A 471, 2015.
    """
    columns = ["pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"]
    dates = ["year", "month", "day", "hour"]
    return read_series(_file("pollution", root, download), columns, dates, missing=missing)
