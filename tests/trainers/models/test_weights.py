"""Backbone weights from files and from torchvision's cache, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from trainers.errors import CheckpointError, TaskError
from trainers.models import build_net
from trainers.models.backbones import STAGES
from trainers.tasks.schema import Net


def saved(model: nn.Module, file: Path, without: tuple[str, ...] = ()) -> str:
    state = model.state_dict()
    torch.save({name: state[name] for name in state if not name.startswith(without)}, file)
    return str(file)


def net_with(weights: str, **changes: object) -> Net:
    fields = {"backbone": "resnet18", "output_stride": 32, "head_width": 8, "weights": weights}
    return Net.model_validate({**fields, **changes})


@pytest.mark.parametrize("without", [(), ("fc.",)])
def test_a_file_of_torchvision_weights_gives_torchvision_s_features(
    tmp_path: Path, without: tuple[str, ...]
) -> None:
    original = torchvision.models.resnet18().eval()
    model = build_net(net_with(saved(original, tmp_path / "r18.pth", without)), 5).eval()
    images = torch.randn(2, 3, 64, 64)
    layers = (original.layer1, original.layer2, original.layer3, original.layer4)
    expected = original.maxpool(original.relu(original.bn1(original.conv1(images))))
    found = model(images).features
    for stage, layer in zip(STAGES, layers, strict=True):
        expected = layer(expected)
        torch.testing.assert_close(found[stage], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large"])
def test_mobilenets_take_torchvision_s_weights_at_their_width(tmp_path: Path, name: str) -> None:
    original = getattr(torchvision.models, name)(width_mult=0.35).eval()
    weights = saved(original, tmp_path / "mobile.pth")
    model = build_net(net_with(weights, backbone=name, backbone_width=0.35), 5).eval()
    images = torch.randn(2, 3, 64, 64)
    layers = 18 if name == "mobilenet_v2" else 17
    expected = original.features[:layers](images)
    torch.testing.assert_close(model(images).features["stage4"], expected, rtol=1e-4, atol=1e-4)


def test_imagenet_weights_come_from_torchvision_s_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    original = torchvision.models.resnet18()
    saved(original, cache / "resnet18-f37072fd.pth")
    model = build_net(net_with("imagenet"), 5)
    assert torch.equal(model.state_dict()["backbone.trunk.conv1.weight"], original.conv1.weight)


def test_imagenet_weights_that_cannot_be_had_name_the_file_and_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    cached.write_text("cut off")
    with pytest.raises(CheckpointError) as caught:
        build_net(net_with("imagenet"), 5)
    assert f"at {cached} by hand" in str(caught.value)
    assert 'weights = "none"' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_imagenet_weights_exist_at_full_width_only() -> None:
    with pytest.raises(TaskError, match=r"backbone_width = 0.5 .* set backbone_width = 1.0"):
        build_net(net_with("imagenet", backbone_width=0.5), 5)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("resnet34", "unknown: layer1.2.conv1.weight, .* more"),
        ("resnet50", r"other shapes: layer1.0.conv1.weight \(64, 64, 1, 1\) instead of"),
        ("mobilenet_v2", "missing: conv1.weight"),
    ],
)
def test_weights_of_another_net_are_refused_by_name(tmp_path: Path, name: str, fault: str) -> None:
    with torch.device("meta"):
        other = getattr(torchvision.models, name)()
    weights = saved(other.to_empty(device="cpu"), tmp_path / "other.pth")
    refusal = f"not the weights of a resnet18 of width 1: .*{fault}"
    with pytest.raises(CheckpointError, match=refusal):
        build_net(net_with(weights), 5)


@pytest.mark.parametrize("content", [None, b"", b"no weights", [1, 2]])
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, content: object) -> None:
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(CheckpointError, match=r"weights\.pth"):
        build_net(net_with(str(file)), 5)
