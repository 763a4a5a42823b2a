"""Every code block of README and docs runs, prints what the page says, and every link resolves.

On a page, the ```python blocks run in order in one namespace. A block of `>>>` lines is a doctest;
a ```text block right after a block is what that one must print. In a ```console block each line
`$ narae ...` is run, and the lines below it are what it must print, `...` standing for anything.
`<!-- not run: why -->` right above a block shows it only.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import pathlib
import re
import shlex
from dataclasses import dataclass

import pytest

from narae.cli import main

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(
    r"(?P<hidden><!-- not run: .+? -->\n)?"
    r"^```(?P<language>python|console)\n(?P<code>.*?)^```$"
    r"(?:\s*^```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One block of code: its text, the line it starts on, and what it must print, if told."""

    language: str
    code: str
    line: int
    printed: str | None


def blocks(page: str) -> list[Block]:
    return [
        Block(
            match["language"],
            match["code"],
            page.count("\n", 0, match.start("code")) + 1,
            match["printed"],
        )
        for match in BLOCK.finditer(page)
        if match["hidden"] is None
    ]


def run_page(page: str, name: str) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "console":
            run_commands(block, name)
        elif block.code.lstrip().startswith(">>>"):
            run_doctest(block, names, name)
        else:
            run_script(block, names, name)


def run_script(block: Block, names: dict[str, object], name: str) -> None:
    padded = "\n" * (block.line - 1) + block.code  # so that a traceback shows the page's line
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(padded, name, "exec"), names)
    if block.printed is not None:
        got, want = out.getvalue(), block.printed
        same = doctest.OutputChecker().check_output(want, got, FLAGS)
        assert same, f"{name}:{block.line} printed\n{got}\nand the page says\n{want}"


def run_commands(block: Block, name: str) -> None:
    for command, wanted in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE):
        program, *arguments = shlex.split(command)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            if program == "cat":
                print(pathlib.Path(*arguments).read_text("utf-8"), end="")
            else:
                assert program == "narae", f"{name}:{block.line} runs {program}"
                main(arguments)
        same = doctest.OutputChecker().check_output(wanted, out.getvalue(), FLAGS)
        assert same, f"{name}:{block.line} {command} printed\n{out.getvalue()}"


def run_doctest(block: Block, names: dict[str, object], name: str) -> None:
    example = doctest.DocTestParser().get_doctest(block.code, names, name, name, block.line - 1)
    out = io.StringIO()
    result = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=out.write, clear_globs=False)
    names.update(example.globs)
    assert result.failed == 0, out.getvalue()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_code_of_a_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(path.read_text(encoding="utf8"), path.name)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_links_of_a_page_resolve(path):
    text = path.read_text(encoding="utf8")
    missing = [link for link in LINK.findall(text) if not os.path.exists(path.parent / link)]
    assert missing == []


def test_the_readme_has_code_that_runs():
    assert len(blocks((ROOT / "README.md").read_text(encoding="utf8"))) >= 3


PLANTED = {
    "a wrong output": "```python\nprint(1)\n```\n\n```text\n2\n```\n",
    "a wrong command": "```console\n$ narae trian\n```\n",
    "a wrong answer": "```console\n$ narae recipes\nnone\n```\n",
    "an error": "```python\nraise AssertionError('x')\n```\n",
    "a wrong doctest": "```python\n>>> 1 + 1\n3\n```\n",
    "an error in the second block": "```python\nx = 1\n```\ntext\n```python\nassert x == 2\n```\n",
}


@pytest.mark.parametrize("page", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_fault_is_found(page):
    with pytest.raises(AssertionError):
        run_page(page, "page.md")


def test_names_go_from_block_to_block_and_hidden_blocks_do_not_run():
    run_page(
        "```python\nx = 1\n```\n\n```python\n>>> x + 1\n2\n>>> y = 5\n```\n\n"
        "```python\nprint(x + y)\n```\n\n```text\n6\n```\n\n"
        "<!-- not run: it needs a cluster -->\n```python\nraise SystemError\n```\n",
        "page.md",
    )
