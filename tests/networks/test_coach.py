"""The coach and its masks, equations (3)–(5), by hand."""

import math

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
        (first, divergence), (second, _) = coach(image), coach(image)
    assert torch.equal(first, second)
    assert divergence == 0


def test_the_divergence_is_that_of_the_averaged_code_from_a_standard_normal():
    torch.manual_seed(0)
    coach, image = Coach(width=8).eval(), torch.rand(2, 1, 64, 48)
    with torch.no_grad():
        x = coach.stages(coach.stem(image))
        mean, log_variance = coach.mean(x).mean((2, 3)), coach.log_variance(x).mean((2, 3))
        distribution = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        expected = torch.distributions.kl_divergence(
            distribution, torch.distributions.Normal(0.0, 1.0)
        )
        torch.testing.assert_close(coach(image)[1], expected.sum(1).mean())


@pytest.mark.parametrize("block", [8, 16, 32])
@pytest.mark.parametrize("size", [(64, 64), (97, 65), (33, 50)])
def test_images_of_any_size_are_covered_by_blocks(block, size):
    coach = Coach(width=8, block=block, variational=False).eval()
    with torch.no_grad():
        scores, _ = coach(torch.rand(1, 1, *size))
    assert scores.shape == (1, 1, -(-size[0] // block), -(-size[1] // block))
    assert keep_mask(scores, 0.75, size, alpha=HARD).shape == (1, 1, *size)


# The layout and the arithmetic, to the digit


@pytest.mark.parametrize(("block", "side"), [(8, 8), (15, 8), (16, 16), (32, 16)])
def test_the_coach_halves_as_often_as_its_blocks_need(block, side):
    """Stem and three stages halve four times; blocks below 16 pixels once less."""
    coach = Coach(width=4, block=block).eval()
    with torch.no_grad():
        features = coach.stages(coach.stem(torch.rand(1, 1, 96, 64)))
    assert features.shape == (1, 32, 96 // side, 64 // side)


def test_the_layers_are_those_published():
    coach = Coach(in_channels=2, width=4)
    stem = coach.stem[0]
    assert (stem.in_channels, stem.out_channels, stem.bias) == (2, 4, None)
    assert (stem.kernel_size, stem.stride, stem.padding) == ((7, 7), (2, 2), (3, 3))
    firsts = [stage[0].conv1 for stage in coach.stages]
    assert [layer.in_channels for layer in firsts] == [4, 4, 8, 16]
    assert [layer.out_channels for layer in firsts] == [4, 8, 16, 32]
    assert [layer.stride[0] for layer in firsts] == [1, 2, 2, 2]
    seconds = [stage[1].conv1 for stage in coach.stages]
    assert [layer.stride[0] for layer in seconds] == [1] * 4
    for head in (coach.mean, coach.log_variance):
        assert (head.in_channels, head.out_channels, head.kernel_size) == (32, 100, (1, 1))
    assert (coach.score.in_channels, coach.score.out_channels) == (100, 1)
    assert coach.score.kernel_size == (1, 1)
    plain = Coach(width=4, variational=False)
    assert (plain.mean.out_channels, plain.mean.kernel_size) == (1, (1, 1))
    assert not hasattr(plain, "score")


def test_a_coach_is_as_published_unless_asked_otherwise():
    coach = Coach()
    assert (coach.block, coach.variational) == (16, True)
    assert (coach.stem[0].in_channels, coach.stem[0].out_channels) == (1, 64)


def test_the_score_is_of_the_mean_code_in_evaluation():
    torch.manual_seed(0)
    coach, image = Coach(width=4).eval(), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        mean = coach.mean(coach.stages(coach.stem(image)))
        torch.testing.assert_close(coach(image)[0], coach.score(mean))


@pytest.mark.slow
def test_the_noise_has_the_deviation_that_the_code_says():
    """The score is linear: its noise is that of the code, weighted."""
    torch.manual_seed(0)
    coach = Coach(width=4)
    coach.eval()
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        coach.log_variance.weight.zero_()
        coach.log_variance.bias.fill_(math.log(0.25))
        quiet = coach(image)[0]
        coach.training = True  # the layers stay in evaluation: only the noise is added
        noisy = torch.stack([coach(image)[0] for _ in range(2000)])
    expected = 0.5 * coach.score.weight.norm().item()
    assert (noisy - quiet).std().item() == pytest.approx(expected, rel=0.05)
    assert (noisy - quiet).mean().item() == pytest.approx(0, abs=0.05 * expected)


def test_blocks_that_the_image_cuts_count_too():
    coach = Coach(width=4, block=16).eval()
    with torch.no_grad():
        assert coach(torch.rand(1, 1, 33, 47))[0].shape == (1, 1, 3, 3)
        assert coach(torch.rand(1, 1, 32, 48))[0].shape == (1, 1, 2, 3)
        plain = Coach(width=4, variational=False).eval()
        assert plain(torch.rand(1, 1, 33, 48))[0].shape == (1, 1, 3, 3)


def test_a_mask_is_hard_from_its_sharpness_on_and_soft_unless_asked():
    assert set(keep_mask(SCORES, 0.5, (2, 4), alpha=100.0).unique().tolist()) == {0, 1}
    assert len(keep_mask(SCORES, 0.5, (2, 4), alpha=99.0).unique()) > 2
    torch.testing.assert_close(
        keep_mask(SCORES, 0.5, (2, 4)), keep_mask(SCORES, 0.5, (2, 4), alpha=1)
    )
    assert HARD == 100


def test_the_share_that_stays_is_rounded_down():
    # int(0.9 · 8) = 7: the seventh largest is -0.4.
    torch.testing.assert_close(keep_mask(SCORES, 0.9, (2, 4)), torch.sigmoid(SCORES + 0.4))
    # Of more than all, all: the smallest is -0.6.
    torch.testing.assert_close(keep_mask(SCORES, 1.5, (2, 4)), torch.sigmoid(SCORES + 0.6))
    # Of nothing, the largest, 0.9, sets the threshold all the same.
    torch.testing.assert_close(keep_mask(SCORES, 0.0, (2, 4)), torch.sigmoid(SCORES - 0.9))


def test_the_noise_is_added_to_the_mean_code():
    torch.manual_seed(0)
    coach, image = Coach(width=4).eval(), torch.rand(2, 1, 32, 48)
    with torch.no_grad():
        features = coach.stages(coach.stem(image))
        mean, log_variance = coach.mean(features), coach.log_variance(features)
        coach.training = True  # the layers stay in evaluation
        torch.manual_seed(1)
        score = coach(image)[0]
        torch.manual_seed(1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        torch.testing.assert_close(score, coach.score(code))
