import io

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lungscore.errors import InputError
from lungscore.learning.imagenet import (
    calibrate_batch_norm,
    load_folded_weights,
    load_imagenet_weights,
)
from lungscore.learning.train import build_network
from lungscore.networks.encoders import ENCODERS, VGG16, Res2Net50, ResNet10, ResNet18
from tests.learning.tiny_training import experiment


@pytest.fixture
def folder(tmp_path):
    """Folded weights as released: no layer4 convolutions of 3 x 3; three input channels."""
    rng = np.random.default_rng(0)
    for name, module in ResNet18(3).named_modules():
        if isinstance(module, nn.Conv2d):
            bias = rng.normal(0, 0.1, module.out_channels).astype(np.float32)
            np.save(tmp_path / f"{name}.bias.npy", bias)
            if not (name.startswith("layer4") and "conv" in name):
                weight = module.weight.detach().numpy() * 0.7
                np.save(tmp_path / f"{name}.weight.npy", weight.astype(np.float32))
    return tmp_path


def rejected(folder, code: str) -> str:
    """The message with which ``folder`` is refused."""
    with pytest.raises(InputError) as caught:
        load_folded_weights(ResNet18(), folder)
    assert caught.value.code == code
    return caught.value.message


def test_what_is_there_is_loaded_and_what_is_not_stays_random(folder):
    encoder = ResNet18()
    before = encoder.layer4[0].conv1.weight.clone()
    filled = load_folded_weights(encoder, folder)
    assert {"bn1", "layer1.0.bn1", "layer2.0.downsample.1", "layer4.0.downsample.1"} <= set(filled)
    assert not any(name.startswith("layer4") and "bn" in name for name in filled)
    assert torch.equal(encoder.layer4[0].conv1.weight, before)
    expected = np.load(folder / "layer3.1.conv2.weight.npy")
    np.testing.assert_array_equal(encoder.layer3[1].conv2.weight.detach().numpy(), expected)
    bias = np.load(folder / "layer3.1.conv2.bias.npy")
    np.testing.assert_array_equal(encoder.layer3[1].bn2.bias.detach().numpy(), bias)


def test_a_resnet_10_takes_the_first_block_of_each_stage_but_of_the_last(folder):
    encoder = ResNet10()
    last = {key: value.clone() for key, value in encoder.layer4.state_dict().items()}
    filled = load_folded_weights(encoder, folder)
    assert {name.split(".")[0] for name in filled} == {"bn1", "layer1", "layer2", "layer3"}
    for key, value in encoder.layer4.state_dict().items():
        assert torch.equal(value, last[key])
    expected = np.load(folder / "layer3.0.conv2.weight.npy")
    np.testing.assert_array_equal(encoder.layer3[0].conv2.weight.detach().numpy(), expected)


def test_a_grey_slice_gives_what_it_gave_as_three_equal_channels(folder):
    grey, colour = ResNet18(1), ResNet18(3)
    load_folded_weights(grey, folder)
    load_folded_weights(colour, folder)
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            grey.conv1(x), colour.conv1(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4
        )


def test_calibration_changes_statistics_but_not_what_is_computed(folder):
    """In eval mode a folded batch norm computes x + bias, before and after."""
    torch.manual_seed(0)
    encoder = ResNet18()
    filled = load_folded_weights(encoder, folder)
    images = torch.rand(4, 1, 64, 64)
    # A fresh batch norm divides by sqrt(1 + eps), a folded one by 1.
    for name in filled:
        encoder.get_submodule(name).eps = 0.0
    with torch.no_grad():
        before = encoder.eval()(images)
    for name in filled:
        encoder.get_submodule(name).eps = 1e-5
    calibrate_batch_norm(encoder, filled, images)
    assert encoder.training
    with torch.no_grad():
        after = encoder.eval()(images)
    for original, calibrated in zip(before, after, strict=True):
        torch.testing.assert_close(original, calibrated, atol=1e-4, rtol=1e-4)
    norm = encoder.bn1
    x = encoder.conv1(images)
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
    assert not torch.equal(norm.running_var, torch.ones_like(norm.running_var))


def test_after_calibration_training_mode_sees_what_eval_mode_sees(folder):
    encoder = ResNet18()
    filled = load_folded_weights(encoder, folder)
    images = torch.rand(4, 1, 64, 64)
    calibrate_batch_norm(encoder, filled, images)
    with torch.no_grad():
        training = encoder.bn1.train()(encoder.conv1(images))
        evaluating = encoder.bn1.eval()(encoder.conv1(images))
    torch.testing.assert_close(training, evaluating, atol=2e-2, rtol=1e-2)


def test_weights_of_another_shape_are_refused(folder):
    np.save(folder / "conv1.weight.npy", np.zeros((64, 3, 3, 3), np.float32))
    message = rejected(folder, "checkpoint-mismatch")
    assert "conv1.weight.npy is (64, 3, 3, 3)" in message
    assert "(64, 1, 7, 7)" in message


def test_a_bias_of_another_shape_is_refused(folder):
    np.save(folder / "conv1.bias.npy", np.zeros(1, np.float32))
    assert "conv1.bias.npy is (1,)" in rejected(folder, "checkpoint-mismatch")


def test_a_missing_bias_is_named(folder):
    (folder / "layer1.0.conv1.bias.npy").unlink()
    assert "layer1.0.conv1.bias.npy" in rejected(folder, "dataset-incomplete")


def test_a_folder_without_weights_is_refused(tmp_path):
    assert "no weights" in rejected(tmp_path, "dataset-incomplete")


def pickled() -> bytes:
    """A .npy file that would run code when loaded."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x93NUMPY\x01\x00", pickled()])
def test_a_file_that_is_no_array_is_refused(folder, content):
    (folder / "conv1.weight.npy").write_bytes(content)
    assert "conv1.weight.npy" in rejected(folder, "checkpoint-mismatch")


@pytest.mark.parametrize("make", [VGG16, Res2Net50])
def test_folded_weights_of_other_encoders_are_refused(make, tmp_path):
    name = next(n for n, module in make().named_modules() if isinstance(module, nn.Conv2d))
    np.save(tmp_path / f"{name}.weight.npy", np.zeros((64, 1, 3, 3), np.float32))
    with pytest.raises(InputError, match="ResNet encoders only") as caught:
        load_imagenet_weights(make(), tmp_path)
    assert caught.value.code == "checkpoint-mismatch"


# A file with the public names


def public_weights(make, *, classifier: str = "fc") -> dict[str, torch.Tensor]:
    """What a file of public weights holds: three channels, a classifier, counters or none."""
    tensors = {name: torch.rand_like(v) for name, v in make(3).state_dict().items() if v.ndim}
    return {
        **tensors,
        f"{classifier}.weight": torch.rand(10, 4),
        f"{classifier}.bias": torch.ones(10),
    }


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_a_file_fills_every_tensor_of_every_encoder(encoder, tmp_path):
    make = ENCODERS[encoder]
    stored = public_weights(make, classifier="classifier.6" if encoder == "vgg16" else "fc")
    save_file(stored, tmp_path / "weights.safetensors")
    filled = make(1)
    assert load_imagenet_weights(filled, tmp_path / "weights.safetensors") == []
    for name, value in filled.state_dict().items():
        if value.ndim and value.shape == stored[name].shape:
            assert torch.equal(value, stored[name]), name
    first = next(iter(filled.state_dict()))
    torch.testing.assert_close(filled.state_dict()[first], stored[first].sum(1, keepdim=True))


def test_a_folder_is_read_as_folded_weights(folder):
    assert load_imagenet_weights(ResNet18(), folder) == load_folded_weights(ResNet18(), folder)


def refused(path, make=ResNet18) -> InputError:
    with pytest.raises(InputError) as caught:
        load_imagenet_weights(make(1), path)
    return caught.value


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layer1.0.conv1.weight": None}, "layer1.0.conv1.weight"),
        ({"layer9.weight": torch.ones(1)}, "layer9.weight"),
        ({"layer2.0.bn1.bias": torch.ones(3)}, "layer2.0.bn1.bias"),
        ({"conv1.weight": torch.ones(64, 3, 3, 3)}, "conv1.weight"),
        ({"bn1.bias": torch.full((64,), float("nan"))}, "bn1.bias"),
    ],
    ids=["missing", "unknown", "misshapen", "another kernel", "not finite"],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, change, named):
    stored = {k: v for k, v in (public_weights(ResNet18) | change).items() if v is not None}
    save_file(stored, tmp_path / "weights.safetensors")
    encoder = ResNet18(1)
    before = encoder.conv1.weight.clone()
    with pytest.raises(InputError) as caught:
        load_imagenet_weights(encoder, tmp_path / "weights.safetensors")
    assert caught.value.code == "checkpoint-mismatch"
    assert named in caught.value.message
    assert torch.equal(encoder.conv1.weight, before)


def test_weights_that_are_not_there_are_named(tmp_path):
    error = refused(tmp_path / "resnet18.safetensors")
    assert error.code == "input-not-found"
    assert "resnet18.safetensors" in error.message


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"garbage")
    error = refused(tmp_path / name)
    assert error.code == "checkpoint-mismatch"
    assert name in error.message


@pytest.mark.usefixtures("tiny")
@pytest.mark.slow
def test_networks_of_one_seed_are_equal_and_of_two_are_not():
    weights = [
        build_network(
            experiment(seed=seed), torch.zeros(1, 1, 8, 8), imagenet=None
        ).encoder.conv1.weight
        for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.data
def test_the_released_partial_weights_fill_three_stages(real_data):
    filled = load_folded_weights(ResNet18(), real_data / "resnet18-imagenet-partial")
    # 1 + 4 + 5 + 5 batch norms up to layer3, and the shortcut of layer4.
    assert len(filled) == 16
