"""Cluster labels: k-means, whitening, pairs of slices, and when labels are made anew."""

import numpy as np
import pytest
import torch

from lungscore.errors import InputError
from lungscore.learning.loop import make_fabric, set_up
from lungscore.learning.pretexts.clusters import ClusterLabels, k_means, nearest, whitening_of
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import build_network
from tests.learning.pretexts.test_every_pretext import pretraining
from tests.learning.tiny_training import slices

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")


def ready(config, count: int = 3):
    """The task and Fabric, its networks set up."""
    store = SliceStore(slices(count), config)
    task = ClusterLabels(config, build_network(config, store.images, imagenet=None), store)
    fabric = make_fabric(config)
    set_up(task, fabric)
    return task, fabric


def test_k_means_finds_groups_that_lie_apart():
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(3).repeat_interleave(50)
    points = 10 * torch.eye(3)[truth] + torch.randn(150, 3, generator=generator)
    # From other points it may end in another optimum; of several starts the best one finds them.
    ends = [k_means(points, 3, torch.Generator().manual_seed(seed)) for seed in range(5)]
    best = min(ends, key=lambda centres: torch.cdist(points, centres).min(1).values.sum())
    labels = nearest(points, best)
    assert all(len(set(labels[truth == group].tolist())) == 1 for group in range(3))
    assert len(set(labels.tolist())) == 3
    assert torch.equal(ends[0], k_means(points, 3, torch.Generator().manual_seed(0)))


def test_a_cluster_without_points_keeps_its_centre():
    points = torch.tensor([[0.0], [0.0], [1.0]])
    assert torch.isfinite(k_means(points, 3, torch.Generator().manual_seed(0))).all()


def test_whitened_features_are_uncorrelated_and_of_like_spread():
    torch.manual_seed(0)
    features = torch.randn(400, 3) @ torch.tensor([[5.0, 1, 0], [0, 1, 2], [0, 0, 0.3]])
    centred = features - features.mean(0)
    white = centred @ whitening_of(centred)
    torch.testing.assert_close(white.mT @ white / 400, torch.eye(3), atol=1e-3, rtol=0)


def test_a_pair_is_moved_alike_and_its_second_slice_has_other_greys():
    config = pretraining("clusters")
    task, fabric = ready(config)
    # Moved alike: what is black because it lies outside of the slice is so in both.
    task.store.images.fill_(0.5)
    first, second = task.pair(fabric, np.arange(3), np.random.default_rng(0))
    outside = first == first.min()
    assert 0 < outside.float().mean() < 1
    assert second[~outside].mean() > second[outside].mean() + 1
    assert not torch.equal(first, second)
    again, _ = task.pair(fabric, np.arange(3), np.random.default_rng(0))
    assert torch.equal(first, again)


def test_labels_are_made_anew_at_intervals_and_the_last_layer_starts_anew():
    task, fabric = ready(pretraining("clusters"))
    task.begin(fabric, 0)
    centres = task.teacher.centres.clone()
    head = task.learner.decoder.head
    assert centres.norm(dim=1).max() <= 1 + 1e-5
    with torch.no_grad():
        head.weight.fill_(3)
    task.begin(fabric, 1)
    assert torch.equal(task.teacher.centres, centres)
    assert (head.weight == 3).all()
    task.begin(fabric, 2)
    assert not torch.equal(task.teacher.centres, centres)
    assert head.weight.abs().max() < 0.1
    assert not head.bias.any()


def test_labels_come_from_the_network_as_it_was_when_it_was_clustered():
    task, fabric = ready(pretraining("clusters"))
    task.begin(fabric, 0)
    image = torch.rand(2, 1, 64, 64)
    labels = task.teacher(image)
    assert labels.shape == (2, 8, 8)
    assert len(labels.unique()) > 1
    with torch.no_grad():
        for parameter in task.learner.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert torch.equal(task.teacher(image), labels)


def test_fewer_features_than_clusters_are_refused():
    config = pretraining("clusters")
    settings = config.pretraining.model_copy(update={"clusters": 1000})
    task, fabric = ready(config.model_copy(update={"pretraining": settings}), count=2)
    with pytest.raises(InputError, match="128 features for 1000 clusters"):
        task.begin(fabric, 0)
