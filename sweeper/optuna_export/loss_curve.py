"""A trial's training loss as a small SVG, drawn by hand: no plotting library is needed for it.

Its ground is white whatever the page's theme: a picture in a page cannot learn of the theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[int, float]]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 72, 696, 64, 344  # of the frame
NUM_TICKS = 5
INK, FAINT, LOSS, RUNG = "#333333", "#dddddd", "#1f6fb4", "#b4451f"
HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
    f' height="{HEIGHT}" font-family="sans-serif" font-size="14" fill="{INK}">'
    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What is known of how a trial's training went."""

    title: str
    last_step: int  # of the schedule
    losses: Points  # step, training loss
    rungs: Points  # step, mIoU in percent on the selection split


def draw_curve(curve: Curve) -> bytes:
    """Return an SVG: the loss over the steps, and the value at every rung that was reached."""
    highest = max((loss for _, loss in curve.losses), default=1.0)
    y_ticks, x_ticks = _ticks(max(highest, 1e-9)), _ticks(curve.last_step)
    frame = _Frame(x_max=curve.last_step, y_max=max(highest, y_ticks[-1]))
    parts = [
        HEAD,
        _text(LEFT, 24, curve.title, 'font-weight="bold" font-size="16"'),
        *(part for tick in x_ticks for part in frame.x_tick(tick)),
        *(part for tick in y_ticks for part in frame.y_tick(tick)),
        _text((LEFT + RIGHT) / 2, HEIGHT - 10, "step", 'text-anchor="middle"'),
        _text(0, 0, "training loss", f'text-anchor="middle" {_turned(18, (TOP + BOTTOM) / 2)}'),
        *(part for rung in curve.rungs for part in frame.rung(*rung)),
        frame.line(curve.losses),
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{INK}"/>',
        "</svg>",
    ]
    return "".join(parts).encode()


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Where values lie; both axes begin at 0."""

    x_max: float
    y_max: float

    def x(self, step: float) -> float:
        return LEFT + (RIGHT - LEFT) * step / self.x_max

    def y(self, loss: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * max(loss, 0.0) / self.y_max

    def x_tick(self, step: float) -> Iterator[str]:
        yield f'<path d="M{self.x(step):.1f} {BOTTOM}v5" stroke="{INK}"/>'
        yield _text(self.x(step), BOTTOM + 20, f"{step:,g}", 'text-anchor="middle"')

    def y_tick(self, loss: float) -> Iterator[str]:
        yield f'<path d="M{LEFT} {self.y(loss):.1f}H{RIGHT}" stroke="{FAINT}"/>'
        yield _text(LEFT - 8, self.y(loss) + 5, f"{loss:g}", 'text-anchor="end"')

    def rung(self, step: int, score: float) -> Iterator[str]:
        x = self.x(step)
        dashed = f'stroke="{RUNG}" stroke-dasharray="5 4"'
        yield f'<path d="M{x:.1f} {TOP}V{BOTTOM}" {dashed}/>'
        anchor = "end" if step > self.x_max / 2 else "middle"
        yield _text(x, TOP - 8, f"mIoU {score:.2f} %", f'text-anchor="{anchor}" fill="{RUNG}"')

    def line(self, losses: Points) -> str:
        if not losses:
            middle = ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)
            return _text(*middle, "no training loss is recorded", 'text-anchor="middle"')
        points = " ".join(f"{self.x(step):.1f},{self.y(loss):.1f}" for step, loss in losses)
        style = f'fill="none" stroke="{LOSS}" stroke-width="2" stroke-linejoin="round"'
        first = f'<circle cx="{self.x(losses[0][0]):.1f}" cy="{self.y(losses[0][1]):.1f}" r="3"'
        return f'{first} fill="{LOSS}"/><polyline points="{points}" {style}/>'


def _ticks(highest: float) -> list[float]:
    """Return round numbers from 0, about NUM_TICKS of them, the last not above the highest."""
    rough = highest / NUM_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [index * step for index in range(int(highest / step + 1e-9) + 1)]


def _turned(x: float, y: float) -> str:
    return f'transform="translate({x} {y}) rotate(-90)"'


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
