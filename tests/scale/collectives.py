"""What a compiled program sends between devices."""

from __future__ import annotations

import math
import re

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "f64": 8, "s64": 8, "u64": 8}
KINDS = "all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|ragged-all-to-all|reduce-scatter"


def collectives(program):
    """Of a compiled JAX program: the kind and the bytes of each message."""
    found = []
    for line in program.as_text().splitlines():
        match = re.search(rf"= (.*?) ({KINDS})(?:-start)?\(", line)
        if match:
            arrays = re.findall(r"(\w+)\[([\d,]*)\]", match[1])
            sizes = (BYTES.get(dtype, 4) * math.prod(map(int, filter(None, n.split(",")))) for dtype, n in arrays)
            found.append((match[2], sum(sizes)))
    return found
