#!/usr/bin/env python3
"""Draws what training logs say, and other losses as levels, as an SVG picture."""

from __future__ import annotations

import argparse
import html
import math
import re
from pathlib import Path

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 700, 40, 370
COLORS = ["#1b6ca8", "#d1495b", "#5b8c5a", "#b07d2b", "#6d597a"]
LINE = re.compile(r"^step +(\d+)  loss ([0-9.]+)")
LOSSES = [0.125, 0.25, 0.5, 1, 2, 4, 8]  # the axis is logarithmic

Point = tuple[float, float]


def read_log(path: Path, tokens_a_step: int) -> list[Point]:
    """Thousands of tokens, and the loss. A log may have several stages, each with steps from 1."""
    points: list[Point] = []
    before = last = 0
    for found in map(LINE.match, path.read_text(encoding="utf-8").splitlines()):
        if not found:
            continue
        if int(found[1]) < last:
            before += last
        last = int(found[1])
        points.append(((before + last) * tokens_a_step / 1000, float(found[2])))
    return points


def x_of(tokens: float, most: float) -> float:
    return LEFT + (RIGHT - LEFT) * tokens / most


def y_of(loss: float) -> float:
    share = math.log(loss / LOSSES[0]) / math.log(LOSSES[-1] / LOSSES[0])
    return BOTTOM - (BOTTOM - TOP) * min(max(share, 0), 1)


def text(x: float, y: float, what: str, anchor: str = "middle", color: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{html.escape(what)}</text>'


def line(points: list[Point], color: str, dashes: str = "", width: float = 1.8) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"'
            + (f' stroke-dasharray="{dashes}"' if dashes else "") + "/>")


def axes(most: float) -> list[str]:
    parts = []
    for loss in LOSSES:
        parts.append(line([(LEFT, y_of(loss)), (RIGHT, y_of(loss))], "#ddd", width=1))
        parts.append(text(LEFT - 8, y_of(loss) + 4, f"{loss:g}", "end"))
    step = 10 ** math.floor(math.log10(most))
    step = step if most / step >= 4 else step / 4
    for i in range(int(most / step) + 1):
        parts.append(text(x_of(i * step, most), BOTTOM + 18, f"{i * step:g}"))
    parts.append(text((LEFT + RIGHT) / 2, HEIGHT - 12, "thousands of tokens of training"))
    parts.append(text(LEFT, TOP - 14, "loss, nats a token", "start"))
    return parts


def draw(curves: dict[str, list[Point]], levels: dict[str, float]) -> str:
    most = max(tokens for points in curves.values() for tokens, _ in points)
    parts = axes(most)
    colors = iter(COLORS)
    for number, (label, points) in enumerate(curves.items()):
        color = next(colors)
        parts.append(line([(x_of(tokens, most), y_of(loss)) for tokens, loss in points], color))
        parts.append(text(RIGHT - 6, TOP + 20 + 18 * number, label, "end", color))
    for label, loss in levels.items():
        color = next(colors)
        parts.append(line([(LEFT, y_of(loss)), (RIGHT, y_of(loss))], color, dashes="6 4"))
        parts.append(text(RIGHT - 6, y_of(loss) - 6, f"{label}: {loss:.2f}", "end", color))
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="13">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--log", action="append", default=[], metavar="LABEL=FILE")
    parser.add_argument("--level", action="append", default=[], metavar="LABEL=LOSS")
    parser.add_argument("--tokens", type=int, required=True, help="of a step")
    options = parser.parse_args()
    logs = (argument.rpartition("=") for argument in options.log)
    levels = (argument.rpartition("=") for argument in options.level)
    picture = draw({label: read_log(Path(file), options.tokens) for label, _, file in logs},
                   {label: float(loss) for label, _, loss in levels})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
