"""Encoders, slices, augmentation and dense disease of timed trainings."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from lungscore.errors import InputError
from lungscore.learning.imagenet import efficientnet_names, load_imagenet_weights
from lungscore.learning.timed import augmentation, dense_disease
from lungscore.learning.timed.dense_disease import Truth, with_disease, with_lesions_of
from lungscore.learning.timed.encoders import unpack_encoders, write_encoders
from lungscore.networks.encoders import EfficientNetLite0


def as_published(encoder) -> dict[str, torch.Tensor]:
    """The encoder's weights under the names of efficientnet-lite-pytorch, with a classifier."""
    kinds = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
    kinds["project"] = ("_project_conv", "_bn2")
    stored = {"_fc.weight": torch.zeros(3, 4), "_conv_head.weight": torch.zeros(4, 320, 1, 1)}
    blocks = [(s, b) for s, stage in enumerate(encoder.stages) for b in range(len(stage))]
    for name, value in encoder.state_dict().items():
        if name.startswith("stem."):
            new = name.replace("stem.conv", "_conv_stem").replace("stem.bn", "_bn0")
        else:
            _, stage, block, layer, kind, last = name.split(".")
            number = blocks.index((int(stage), int(block)))
            new = f"_blocks.{number}.{kinds[layer][kind == 'bn']}.{last}"
        stored[new] = value
    return stored


def test_public_weights_fit_the_encoder_under_its_names(tmp_path):
    torch.manual_seed(0)
    source, target = EfficientNetLite0(3), EfficientNetLite0(1)
    renamed = efficientnet_names(as_published(source))
    assert renamed.keys() == {
        name for name in source.state_dict() if not name.endswith("num_batches_tracked")
    }
    save_file({k: v.numpy() for k, v in renamed.items()}, tmp_path / "lite.safetensors")
    assert load_imagenet_weights(target, tmp_path / "lite.safetensors") == []
    # Grey is the sum over colours; everything else is as it was.
    summed = source.stem.conv.weight.sum(1, keepdim=True)
    torch.testing.assert_close(target.stem.conv.weight, summed)
    torch.testing.assert_close(
        target.stages[5][1].depthwise.conv.weight, source.stages[5][1].depthwise.conv.weight
    )


def test_other_weights_are_refused():
    with pytest.raises(InputError, match="not the weights of an EfficientNet-Lite"):
        efficientnet_names({"conv1.weight": torch.zeros(1)})


def test_packed_encoders_are_unpacked_nearly_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "stem.conv.weight": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "stem.bn.weight": rng.normal(size=8).astype(np.float32),
    }
    save_file(tensors, tmp_path / "lite.safetensors")
    folder = tmp_path / "partial"
    folder.mkdir()
    np.save(folder / "conv1.weight.npy", tensors["stem.conv.weight"])
    write_encoders(tmp_path / "pack", [tmp_path / "lite.safetensors", folder])
    unpack_encoders(tmp_path / "pack", tmp_path / "out")
    unpacked = load_file(tmp_path / "out" / "lite.safetensors")
    np.testing.assert_array_equal(unpacked["stem.bn.weight"], tensors["stem.bn.weight"])
    step = np.abs(tensors["stem.conv.weight"]).max(axis=(1, 2, 3), keepdims=True) / 127
    published = np.load(tmp_path / "out/partial/conv1.weight.npy")
    for weight in (unpacked["stem.conv.weight"], published):
        assert (np.abs(weight - tensors["stem.conv.weight"]) <= step * 0.5001).all()


def test_all_channels_move_together():
    torch.manual_seed(0)
    maps = torch.rand(4, 1, 36, 45).repeat(1, 3, 1, 1)
    moved = augmentation.move(maps, (32, 40))
    assert moved.shape == (4, 3, 32, 40)
    torch.testing.assert_close(moved[:, 0], moved[:, 2])


def test_smooth_fields_are_bicubic(monkeypatch):
    coarse = torch.randn(3, 2, 5, 7)
    monkeypatch.setattr(augmentation.torch, "randn", lambda *shape, **kwargs: coarse)
    expected = torch.nn.functional.interpolate(coarse, (33, 47), mode="bicubic", align_corners=True)
    field = augmentation.smooth_field(2, (5, 7), torch.zeros(3, 1, 33, 47))
    torch.testing.assert_close(field, expected, rtol=1e-5, atol=1e-5)


def test_looks_stay_grey_levels_and_differ():
    torch.manual_seed(0)
    grey = torch.rand(6, 1, 33, 47)
    seen = augmentation.look(grey)
    assert seen.shape == grey.shape
    assert float(seen.min()) >= 0
    assert float(seen.max()) <= 1
    assert (seen - grey).abs().mean() > 0.01


@pytest.mark.parametrize("quality", [30, 75])
def test_compression_loses_what_jpeg_loses(monkeypatch, quality):
    rng = np.random.default_rng(1)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 8), np.uint8)).resize((64, 48), Image.BICUBIC)
    )
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=quality)
    expected = np.asarray(Image.open(buffer), np.float32) / 255
    monkeypatch.setattr(
        augmentation, "uniform", lambda like, low, high: torch.full((1, 1, 1, 1), float(quality))
    )
    monkeypatch.setattr(augmentation, "chance", lambda like, p: torch.ones(1, 1, 1, 1))
    image = torch.from_numpy(noisy)[None, None].float() / 255
    compressed = augmentation._compress(image)[0, 0].numpy()
    lost = np.abs(expected - noisy / 255).mean()
    assert lost > 2 / 255
    # Pictures are rounded to bytes, and a coefficient half-way may fall to either side.
    assert np.abs(compressed - expected).mean() < min(0.6 / 255, lost / 5)


@pytest.fixture
def clean():
    """Twelve slices of two dark lungs in soft tissue, nothing infected."""
    grey = torch.full((12, 1, 72, 90), 0.9)
    lungs = torch.zeros_like(grey)
    lungs[..., 12:62, 8:40] = 1
    lungs[..., 12:62, 50:82] = 1
    grey = torch.where(lungs > 0, 0.25, grey)
    return Truth(grey, torch.zeros_like(grey), torch.zeros_like(grey), lungs)


def everyone(share: float) -> torch.Tensor:
    return torch.full((12, 1, 1, 1), share)


@pytest.fixture
def nothing_harmless(monkeypatch):
    for name in ("EFFUSION", "EMPHYSEMA", "DEPENDENT"):
        monkeypatch.setattr(dense_disease, name, 0.0)


def test_disease_grows_in_lungs_alone_and_is_as_bright_as_its_class(clean, nothing_harmless):
    torch.manual_seed(0)
    made = with_disease(clean, everyone(1), everyone(0))
    infected, dense = made.infection > 0.5, (made.consolidation > 0.5) & (made.infection > 0.5)
    assert infected.flatten(1).any(1).sum() >= 10
    assert dense.any()
    assert (infected & ~dense).any()
    # One pixel of the pleura belongs to it.
    around = torch.nn.functional.max_pool2d(clean.lungs, 3, stride=1, padding=1) > 0
    assert not (infected & ~around).any()
    lung = clean.lungs > 0
    brighter = made.grey - clean.grey
    glass = brighter[infected & ~dense & lung].mean()
    solid = brighter[dense & lung].mean()
    assert brighter[~infected & lung].abs().mean() < 0.05
    assert 0.05 < glass < solid
    assert made.grey[dense & lung].mean() > 0.6


def test_who_is_not_sick_stays_as_he_was(clean, nothing_harmless):
    torch.manual_seed(0)
    made = with_disease(clean, everyone(0), everyone(1))
    torch.testing.assert_close(made.grey, clean.grey)
    assert not made.infection.any()


def test_effusion_emphysema_and_dependent_density_are_background(clean, monkeypatch):
    torch.manual_seed(0)
    for name in ("EFFUSION", "EMPHYSEMA", "DEPENDENT"):
        monkeypatch.setattr(dense_disease, name, 1.0)
    made = with_disease(clean, everyone(0), everyone(1))
    assert (made.grey - clean.grey).abs().max() > 0.3
    assert not made.infection.any()
    assert made.lungs.sum() < clean.lungs.sum()


def test_a_pasted_lesion_brings_its_grey_levels_and_its_class(clean):
    donor = Truth(
        torch.full_like(clean.grey, 0.7),
        torch.zeros_like(clean.grey),
        torch.zeros_like(clean.grey),
        clean.lungs,
    )
    donor.infection[..., 20:40, 10:30] = 1
    donor.infection[..., 0:10, 10:30] = 1  # where this slice has no lung
    donor.consolidation[..., 20:30, 10:30] = 1
    made = with_lesions_of(clean, donor, everyone(1))
    assert (made.infection[..., 20:40, 10:30] == 1).all()
    assert not made.infection[..., 0:10, :].any()
    assert (made.consolidation[..., 20:30, 10:30] == 1).all()
    torch.testing.assert_close(made.grey[..., 25, 20], torch.full((12, 1), 0.7))
    assert with_lesions_of(clean, donor, everyone(0)).infection.sum() == 0


def test_of_a_batch_no_more_than_the_share_gets_lesions(clean, nothing_harmless):
    torch.manual_seed(0)
    sick = torch.zeros(12, 1, 1, 1)
    sick[::3] = 1
    made = with_disease(clean, sick, everyone(0), at_most=0.5)
    changed = (made.grey - clean.grey).abs().flatten(1).amax(1) > 0
    assert changed.tolist() == (sick.flatten() > 0).tolist()
    made = with_disease(clean, everyone(1), everyone(0), at_most=0.25)
    assert (made.infection.flatten(1).amax(1) > 0).sum() <= 3
