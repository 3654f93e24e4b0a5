"""Loss curves: well-formed, with the points, the rungs and round numbers at the axes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sweeper.optuna_export.loss_curve import HEIGHT, WIDTH, Curve, draw_curve

SVG = "{http://www.w3.org/2000/svg}"


def drawn(losses: list[tuple[int, float]], last_step: int = 80) -> ElementTree.Element:
    rungs = [(last_step // 3, 23.456), (last_step, 40.0)]
    curve = Curve(title="a<b/kd#1", last_step=last_step, losses=losses, rungs=rungs)
    return ElementTree.fromstring(draw_curve(curve))


def words(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_title_axes_and_rungs_are_named() -> None:
    found = words(drawn([(1, 2.0), (80, 0.5)]))
    assert {"a<b/kd#1", "step", "training loss", "mIoU 23.46 %", "mIoU 40.00 %"} <= set(found)
    assert found[1:6] == ["0", "20", "40", "60", "80"]


@pytest.mark.parametrize("scale", [1e-12, 0.3, 1.0, 7.0, 1e20])
def test_every_point_lies_in_the_picture(scale: float) -> None:
    losses = [(step, scale * (1 + 1 / step)) for step in range(1, 41)]
    [line] = drawn(losses, last_step=40_000).iter(f"{SVG}polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert len(points) == 40
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)


def test_without_a_loss_it_says_so() -> None:
    assert "no training loss is recorded" in words(drawn([]))
