"""The examples of docs/scale.md print what they say."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def test_the_examples_of_the_page(capsys):
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), {})
        assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*  # (.*)", example)
