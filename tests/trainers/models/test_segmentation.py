"""Published sizes, seeds, auxiliary head, dropout: what every net must hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainers.models import SegmentationNet, build_net
from trainers.tasks.schema import Net

WIDTHS = {"resnet50": 0.125, "resnet101": 0.125}  # the deep ones narrow, for speed


def small(backbone: str, **changes: object) -> Net:
    fields = {"backbone": backbone, "backbone_width": WIDTHS.get(backbone, 0.25), "head_width": 8}
    return Net.model_validate({**fields, **changes})


def build(net: Net, num_classes: int = 5) -> SegmentationNet:
    torch.manual_seed(0)
    return build_net(net, num_classes)


@pytest.mark.parametrize(
    ("fields", "deep_stem", "published"),
    [
        ({"backbone": "resnet18", "head_width": 128}, 148_480, 13.6),
        ({"backbone": "resnet101", "head_width": 256}, 123_776, 61.1),
        ({"backbone": "mobilenet_v2", "head_width": 128, "auxiliary": False}, 0, 3.2),
        ({"backbone": "resnet18", "head": "pspnet", "head_width": 128}, 148_480, 12.9),
    ],
)
def test_published_nets_have_their_published_sizes(
    fields: dict[str, object], deep_stem: int, published: float
) -> None:
    # CIRKD's ResNets begin with three 3x3 convolutions (64, 64, 128), which also widen layer1.0.
    with torch.device("meta"):
        model = SegmentationNet(Net.model_validate(fields), num_classes=19)
    parameters = sum(weight.numel() for weight in model.parameters())
    assert round((parameters + deep_stem) / 1e6, 1) == published
    assert parameters / 1e6 == pytest.approx(published, rel=0.011)


def test_one_seed_gives_one_set_of_weights() -> None:
    first, second = build(small("resnet18")), build(small("resnet18"))
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
    other = build_net(small("resnet18"), 5).state_dict()
    assert not torch.equal(first.classifier.weight, other["classifier.weight"])


def test_the_auxiliary_head_runs_only_where_it_exists_and_is_wanted() -> None:
    images = torch.randn(2, 3, 45, 61)
    model = build(small("resnet18")).eval()
    assert model(images).aux_logits is not None
    assert model(images, auxiliary=False).aux_logits is None
    without = build(small("resnet18", auxiliary=False))
    assert without(images).aux_logits is None
    assert (model.shape.auxiliary, without.shape.auxiliary) == (True, False)


def test_dropout_reaches_the_head_feature_in_training_only() -> None:
    images = torch.randn(4, 3, 90, 120)
    model = build(small("resnet18", dropout=0.9, backbone_width=0.5, head_width=64))

    def zeros() -> float:
        feature: Tensor = model(images).features["head"]
        return float((feature == 0).double().mean())

    assert zeros() > 0.9
    model.eval()
    assert zeros() < 0.9
    torch.testing.assert_close(model(images).logits, model(images).logits, rtol=0, atol=0)


@pytest.mark.parametrize("head", ["deeplabv3", "pspnet"])
def test_a_single_image_can_be_evaluated(head: str) -> None:
    model = build(small("mobilenet_v2", head=head))
    assert model.eval()(torch.randn(1, 3, 45, 61)).logits.shape == (1, 5, 6, 8)


def test_deterministic_mode_changes_no_value_beyond_rounding() -> None:
    images = torch.randn(2, 3, 90, 120)
    model = build(small("resnet18", head="pspnet")).eval()
    expected = model(images).logits
    torch.use_deterministic_algorithms(True)
    found = model(images).logits
    torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(found, expected)
