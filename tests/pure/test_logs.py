"""What is logged, how, and where: levels, formats, files.

C9: the `narae` logger, levels from the CLI. C10: `-v/-q`; asserted. C11: text/JSON formatter.
"""

import io
import json
import logging
import re

import pytest

from narae import errors
from narae.cli.logs import level_of
from narae.cli.main import _parser
from narae.train.logs import LEVELS, configure_logging


@pytest.fixture(autouse=True)
def as_before():
    """Leave the logger as it was."""
    logger = logging.getLogger("narae")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def said(level, format="text"):
    """What each level's message of a child logger becomes."""
    stream = io.StringIO()
    configure_logging(level, format, stream=stream)
    for name in LEVELS:
        getattr(logging.getLogger("narae.train"), name)("at %s", name, extra={"epoch": 3})
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_lets_through_itself_and_what_is_graver(level):
    """C9: debug, info, warning, error, critical."""
    heard = [line.rpartition(" ")[2] for line in said(level)]
    assert heard == list(LEVELS[LEVELS.index(level) :])


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        ([], "warning"),
        (["-v"], "info"),
        (["-vv"], "debug"),
        (["-v", "-v", "-v"], "debug"),
        (["-q"], "error"),
        (["-q", "--log-level", "info"], "info"),
    ],
)
def test_options_choose_the_level(arguments, level):
    """C10: different level, different output: `-v/-q`."""
    assert level_of(_parser().parse_args(["train", *arguments])) == level


def test_text_and_json():
    """C11: text/JSON formatter."""
    (line,) = said("critical")
    assert re.fullmatch(r"\d\d:\d\d:\d\d CRITICAL narae\.train: at critical", line)
    (line,) = said("critical", "json")
    record = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", record.pop("time"))
    assert record == {
        "level": "critical",
        "logger": "narae.train",
        "message": "at critical",
        "epoch": 3,
    }


def test_json_holds_the_traceback():
    stream = io.StringIO()
    logger = configure_logging("error", "json", stream=stream)
    try:
        raise ValueError("짧다")
    except ValueError:
        logger.exception("failed")
    record = json.loads(stream.getvalue())
    assert "ValueError: 짧다" in record["traceback"]


def test_a_file_is_appended_to(tmp_path):
    path = tmp_path / "기록.log"
    for _ in range(2):
        configure_logging("info", file=path).info("한글")
    assert [line[-2:] for line in path.read_text("utf-8").splitlines()] == ["한글", "한글"]


def test_bad_settings_are_explained(tmp_path):
    with pytest.raises(errors.ConfigError, match="one of debug, info"):
        configure_logging("loud")
    with pytest.raises(errors.ConfigError, match="one of text, json"):
        configure_logging("info", "xml")
    with pytest.raises(errors.ConfigError, match="cannot be written"):
        configure_logging("info", file=tmp_path / "no" / "such" / "place.log")
