"""The coach and its masks, equations (3)–(5), by hand."""

import pytest
import torch

from lungscore.networks.coach import HARD, Coach, keep_mask

#: B of one image, 2 x 4 blocks. In order: 0.9, 0.7, 0.5, 0.3, 0.1, -0.2, -0.4, -0.6.
SCORES = torch.tensor([[0.1, 0.7, -0.4, 0.9], [0.5, -0.6, 0.3, -0.2]])[None, None]


def test_the_soft_mask_is_the_sigmoid_of_the_scores_less_their_kth_largest():
    # k = 0.75 of 8 blocks is 6: the sixth largest is -0.2.
    mask = keep_mask(SCORES, 0.75, (2, 4), alpha=3)
    torch.testing.assert_close(mask, torch.sigmoid(3 * (SCORES + 0.2)))


def test_the_hard_mask_erases_the_kth_block_itself():
    mask = keep_mask(SCORES, 0.75, (2, 4), alpha=HARD)
    kept = torch.tensor([[1, 1, 0, 1], [1, 0, 1, 0]])[None, None]
    assert torch.equal(mask, kept.float())


@pytest.mark.parametrize(("side", "kept"), [(8, 47), (22, 362)])
def test_as_many_blocks_stay_as_in_the_published_code(side, kept):
    """128 pixels are 8 x 8 blocks and 352 are 22 x 22: int(0.75 n) - 1 of them are kept."""
    scores = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(0))
    mask = keep_mask(scores, 0.75, (side * 16, side * 16), alpha=HARD)
    assert mask.shape == (3, 1, side * 16, side * 16)
    assert set(mask.unique().tolist()) == {0, 1}
    assert (mask.sum((1, 2, 3)) / 16**2).tolist() == [kept] * 3


def test_every_image_has_a_threshold_of_its_own():
    mask = keep_mask(torch.cat([SCORES, SCORES + 100]), 0.75, (2, 4), alpha=HARD)
    assert torch.equal(mask[0], mask[1])


def test_a_block_is_one_square_of_the_image():
    mask = keep_mask(SCORES, 0.75, (6, 12))
    blocks = mask.reshape(2, 3, 4, 3)
    assert torch.equal(blocks, blocks[:, :1, :, :1].expand_as(blocks))
    assert torch.equal(mask[..., ::3, ::3], keep_mask(SCORES, 0.75, (2, 4)))


@pytest.mark.parametrize(("keep", "kept"), [(0, 0), (0.01, 0), (0.5, 3), (1, 7)])
def test_any_share_can_be_kept(keep, kept):
    assert keep_mask(SCORES, keep, (2, 4), alpha=HARD).sum() == kept


@pytest.mark.parametrize("variational", [True, False])
def test_the_soft_mask_brings_gradients_to_every_parameter(variational):
    torch.manual_seed(0)
    coach = Coach(width=8, variational=variational)
    scores, divergence = coach(torch.rand(2, 1, 64, 64))
    mask = keep_mask(scores, 0.75, (64, 64), alpha=1)
    (mask * torch.rand_like(mask)).sum().add(1e-6 * divergence).backward()
    # The threshold is one of the scores: what is added to all of them changes no mask.
    no_use = {"score.bias"} if variational else {"mean.bias"}
    without = {
        name
        for name, parameter in coach.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert without <= no_use


def test_the_published_coach_has_its_size():
    coach = Coach(in_channels=3, width=64, variational=True)
    parameters = sum(parameter.numel() for parameter in coach.parameters())
    assert round(parameters / 1e6, 2) == 11.28


def test_noise_is_added_only_while_training():
    torch.manual_seed(0)
    coach, image = Coach(width=8), torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        noisy = [coach.train()(image)[0] for _ in range(2)]
        quiet = [coach.eval()(image)[0] for _ in range(2)]
    assert not torch.equal(*noisy)
    assert torch.equal(*quiet)


def test_a_plain_coach_has_neither_noise_nor_divergence():
    torch.manual_seed(0)
    coach, image = Coach(width=8, variational=False), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        (one, divergence), (two, _) = coach(image), coach(image)
    assert torch.equal(one, two)
    assert divergence == 0


def test_the_divergence_is_that_of_the_averaged_code_from_a_standard_normal():
    torch.manual_seed(0)
    coach, image = Coach(width=8).eval(), torch.rand(2, 1, 64, 48)
    with torch.no_grad():
        x = coach.stages(coach.stem(image))
        mean, log_variance = coach.mean(x).mean((2, 3)), coach.log_variance(x).mean((2, 3))
        found = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        expected = torch.distributions.kl_divergence(found, torch.distributions.Normal(0.0, 1.0))
        torch.testing.assert_close(coach(image)[1], expected.sum(1).mean())


@pytest.mark.parametrize("block", [8, 16, 32])
@pytest.mark.parametrize("size", [(64, 64), (97, 65), (33, 50)])
def test_images_of_any_size_are_covered_by_blocks(block, size):
    coach = Coach(width=8, block=block, variational=False).eval()
    with torch.no_grad():
        scores, _ = coach(torch.rand(1, 1, *size))
    assert scores.shape == (1, 1, -(-size[0] // block), -(-size[1] // block))
    assert keep_mask(scores, 0.75, size, alpha=HARD).shape == (1, 1, *size)
