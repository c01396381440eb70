"""Experiments as data: checked, immutable models."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lungscore.datasets.training_slices import ANNOTATED_DATASETS

Fraction = Annotated[float, Field(ge=0, le=1)]

#: The name of a manifest is not a path.
ManifestName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RunReference(_Strict):
    """A finished run of another experiment, an experiment file in the same folder.

    seed: null for the seed of the run that refers to it. folds: whether the other experiment was
    run anew for every fold; a run for the same fold is meant then.
    """

    experiment: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    seed: int | None = Field(default=None, ge=0)
    folds: bool = True


class StartConfig(_Strict):
    """What a network starts from: a run of another experiment, or a bundle.

    experiment, seed, folds: as in RunReference. bundle: a shipped model by its name, or the folder
    of one of one's own.
    """

    experiment: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]*$")
    bundle: str | None = Field(default=None, min_length=1)
    seed: int | None = Field(default=None, ge=0)
    folds: bool = True

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.experiment is None) == (self.bundle is None):
            raise ValueError("network.start names either an experiment or a bundle")
        return self

    @property
    def run(self) -> RunReference | None:
        """The run, if it is one."""
        if self.experiment is None:
            return None
        return RunReference(experiment=self.experiment, seed=self.seed, folds=self.folds)


class NetworkConfig(_Strict):
    """Which network, from which weights.

    name: a name in NETWORKS. base_width: channels at full size, of those that have no encoder (64
    as published). encoder_weights: a folder or file under LUNGSCORE_DATA with ImageNet
    weights, or null for random. start: a run or a bundle whose weights are the start, or null.
    """

    name: str = "inf-net"
    encoder: str = "resnet18"
    base_width: int = Field(default=64, ge=4, le=128)
    encoder_weights: str | None = None
    start: StartConfig | None = None

    @field_validator("name")
    @classmethod
    def _known_network(cls, name: str) -> str:
        from lungscore.networks import NETWORKS

        if name not in NETWORKS:
            raise ValueError(f"no network {name!r}; known are {', '.join(NETWORKS)}")
        return name

    @field_validator("encoder")
    @classmethod
    def _known(cls, encoder: str) -> str:
        from lungscore.networks import ENCODERS

        if encoder not in ENCODERS:
            raise ValueError(f"no encoder {encoder!r}; known are {', '.join(ENCODERS)}")
        return encoder


class InputConfig(_Strict):
    """What the network sees: size in pixels and, for scans in HU, the window."""

    height: int = Field(default=256, ge=32, le=1024)
    width: int = Field(default=320, ge=32, le=1024)
    window_hu: tuple[float, float] = (-1350.0, 150.0)

    @field_validator("window_hu")
    @classmethod
    def _rising(cls, window_hu: tuple[float, float]) -> tuple[float, float]:
        if window_hu[0] >= window_hu[1]:
            raise ValueError("the window's first number is black and must be the smaller one")
        return window_hu


class DataConfig(_Strict):
    """Which slices train. Folders are below LUNGSCORE_DATA.

    infected: datasets of annotated slices ("covid-semiseg", "medseg", "medseg-volumes", and
    "covid-semiseg-pseudo" with Semi-Inf-Net's released pseudo-labels), or any other name for the
    manifest of one's own labels, manifests/NAME.csv below LUNGSCORE_DATA, of which the group
    "train" is used; none where pseudo_labels alone train. healthy: a healthy person's CT, or null;
    healthy_part keeps the other half for measuring. clean: further CTs without pneumonia, all of
    whose slices teach silence, too, whatever else they show; healthy_part is of each. folds, fold:
    leave fold 0…folds-1 of the annotated slices (of the patients of a manifest) out for validation;
    null trains on all of them.
    slices: only so many of the annotated slices (the first of a fixed shuffle), null for all.
    pseudo_labels: a run of pseudo-labelling whose labels train too. priors: a run whose out-of-fold
    maps are the infection prior of the lesion stage (the "paper" recipe uses them only to predict,
    and trains with the annotated infection). made_disease: share of the slices in which disease is
    made, anew whenever one is drawn (learning/timed/dense_disease.py); where it is above 0, some
    also get effusion and emphysema, which are no infection.
    """

    infected: tuple[ManifestName, ...] = ("covid-semiseg",)
    slices: int | None = Field(default=None, ge=1)
    pseudo_labels: RunReference | None = None
    priors: RunReference | None = None
    healthy: str | None = None
    healthy_part: Literal["all", "cranial", "caudal"] = "all"
    clean: tuple[str, ...] = ()
    folds: int = Field(default=5, ge=2, le=50)
    fold: int | None = Field(default=None, ge=0)
    made_disease: Fraction = 0.0

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Self:
        if not self.infected and self.pseudo_labels is None:
            raise ValueError("data.infected is empty and there are no data.pseudo_labels")
        return self

    @model_validator(mode="after")
    def _one_of_the_folds(self) -> Self:
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(
                f"fold {self.fold} of {self.folds}: the folds are 0 to {self.folds - 1}"
            )
        return self


class AugmentationConfig(_Strict):
    """Strength of every augmentation; 0 switches one off. Fractions are of the image's size.

    window: how far black and white point move; gamma: spread of log gamma; bend: displacement of
    a coarse grid; cutout: longest side of the erased rectangle, filled with one random grey, as
    the published code does; cutout_area: the share of the area that the rectangle erases, to black,
    as the paper's text has it (at most one of the two).
    """

    flip_left_right: Fraction = 0.5
    flip_up_down: Fraction = 0.0
    transpose: Fraction = 0.0
    rotation_degrees: float = Field(default=15.0, ge=0, le=180)
    zoom: Fraction = 0.2
    stretch: Fraction = 0.15
    shear: Fraction = 0.1
    shift: Fraction = 0.1
    bend: Fraction = 0.02
    window: Fraction = 0.12
    gamma: Fraction = 0.2
    blur: Fraction = 1.0
    noise: Fraction = 0.03
    cutout: Fraction = 0.0
    cutout_area: Fraction = 0.0

    @model_validator(mode="after")
    def _one_cutout(self) -> Self:
        if self.cutout and self.cutout_area:
            raise ValueError("augmentation has cutout or cutout_area, not both")
        return self


#: Keys of ``pretraining`` that a task has to itself; all the others but two are inpainting's.
_KEYS_OF_TASK = {
    "rotation": set[str](),
    "clusters": {"clusters", "cluster_epochs"},
    "masked-modelling": {"masked", "block"},
}


class PretrainingConfig(_Strict):
    """Pre-training without labels, by the task of Algorithm 2 or another.

    task: "inpainting", "rotation" (by how many quarters a slice was turned), "clusters" (the
    clusters of the network's own features as labels) or "masked-modelling" (drawing what a sparse
    encoder did not see). All but inpainting are for Inf-Net, and for infection.

    Inpainting (Algorithm 2): what is erased, and by whom.

    masks: "coach" chooses the blocks to erase, "random" is its control. variant: "eq3" follows
    equations (3) to (5) and Algorithm 2 as the paper prints them, "ours" parts with them where
    docs/method.md says so; the control has the same shares and targets. unlabelled: datasets whose
    images are used, never their labels: "covid-semiseg" (its 50 annotated slices),
    "covid-semiseg-unlabelled" (its 1600 others), or any other name for the manifest
    manifests/NAME.parquet or .csv below LUNGSCORE_DATA, of which the group "train" is used. erase:
    share of the blocks that is erased at the first and at the last epoch. block: side of a block in
    pixels. random_epochs: epochs before the coach's masks are used. coach_batches: share of the
    batches on which the coach is trained. coach_width: channels of its first stage (64 as
    published). The recipe "paper" of ``training`` follows the published code instead of a variant.
    It and "eq3" erase a fixed quarter (k = 0.75), and their coach is trained for as many steps as
    the network: erase and coach_batches are for "ours".

    Clusters: how many, and after how many epochs they are made anew (cluster_epochs). Masked
    modelling: the share of the image that is erased (masked), in squares of ``block`` pixels, a
    multiple of 32.
    """

    task: Literal["inpainting", "rotation", "clusters", "masked-modelling"] = "inpainting"
    masks: Literal["coach", "random"] = "coach"
    variant: Literal["ours", "eq3"] = "ours"
    unlabelled: tuple[ManifestName, ...] = Field(default=("covid-semiseg",), min_length=1)
    erase: tuple[Fraction, Fraction] = (0.25, 0.5)
    block: int = Field(default=16, ge=8, le=64)
    random_epochs: int = Field(default=1, ge=0)
    coach_batches: Fraction = 0.25
    coach_width: int = Field(default=16, ge=8, le=128)
    coach_learning_rate: float = Field(default=3e-4, gt=0, le=1)
    clusters: int = Field(default=100, ge=2, le=1000)
    cluster_epochs: int = Field(default=2, ge=1)
    masked: Annotated[float, Field(gt=0, lt=1)] = 0.6

    @model_validator(mode="after")
    def _keys_of_the_task(self) -> Self:
        allowed = {"task", "unlabelled"} | _KEYS_OF_TASK.get(self.task, {"block"})
        if self.task == "inpainting":
            others = set().union(*_KEYS_OF_TASK.values())
            allowed |= set(type(self).model_fields) - others
        for name, field in type(self).model_fields.items():
            # A stored experiment has every key: what counts is whether it was changed.
            if name not in allowed and getattr(self, name) != field.default:
                raise ValueError(f"pretraining.{name} is not for the task {self.task}")
        if self.task == "masked-modelling" and self.block % 32:
            raise ValueError(f"pretraining.block {self.block} is not a multiple of 32")
        return self


class SecondTaskConfig(_Strict):
    """Inpainting beside segmentation: what a network learns from each slice besides its label.

    weight: of the error in the loss. erase: share of the blocks that is erased at random. block:
    side of a block in pixels.
    """

    weight: float = Field(default=1.0, gt=0, le=100)
    erase: Annotated[float, Field(gt=0, lt=1)] = 0.25
    block: int = Field(default=16, ge=8, le=64)


class PseudoLabellingConfig(_Strict):
    """Progressive pseudo-labelling (Semi-Inf-Net, step 3): groups of unlabelled slices.

    Each group is predicted by the network as it stands, joins the training set, and the network is
    trained on for ``training.slices_per_epoch`` slices; such a round is an epoch. groups: how many;
    the published schedule has 320 of 5 slices. passes: train each round for so many passes over
    the set as it has grown instead, null for the fixed number (published: 9). The labels stay
    soft, as published; the recipe "paper" also stretches each map to 0…1, as published.
    """

    unlabelled: Literal["covid-semiseg-unlabelled"] = "covid-semiseg-unlabelled"
    groups: int = Field(default=8, ge=1)
    group_slices: int = Field(default=200, ge=1)
    passes: int | None = Field(default=None, ge=1)


class TrainingConfig(_Strict):
    """How long and how fast.

    recipe: "default", or "paper" for the published code's loss, sizes, optimiser and schedule,
    its slips included (see docs/method.md). healthy_fraction: share of healthy slices in a
    batch, those of data.healthy and those without infection of one's own manifests.
    average: what is kept is the exponential moving average of the weights over the steps with this
    decay (such as 0.99), which costs no time later; 0 keeps the last weights. layout: how weights
    lie in memory; "auto" is the faster way on the computer at hand (learning.layout).
    """

    recipe: Literal["default", "paper"] = "default"
    epochs: int = Field(default=40, ge=1, le=10_000)
    slices_per_epoch: int = Field(default=200, ge=1)
    batch_size: int = Field(default=16, ge=1)
    healthy_fraction: Fraction = 0.0
    average: float = Field(default=0.0, ge=0, lt=1)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-2, ge=0, le=1)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    layout: Literal["auto", "channels-last", "contiguous"] = "auto"
    seed: int = Field(default=0, ge=0)


class ExperimentConfig(_Strict):
    """One experiment, whole."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    description: str = ""
    target: Literal["infection", "lesions"] = "infection"
    network: NetworkConfig = NetworkConfig()
    input: InputConfig = InputConfig()
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    training: TrainingConfig = TrainingConfig()
    pretraining: PretrainingConfig | None = None
    pseudo_labelling: PseudoLabellingConfig | None = None
    second_task: SecondTaskConfig | None = None

    def at(
        self, *, fold: int | None = None, seed: int | None = None, folds: int | None = None
    ) -> Self:
        """The same with another fold, seed or number of folds. Raises ValidationError."""
        values = self.model_dump()
        if folds is not None:
            values["data"]["folds"] = folds
        if fold is not None:
            values["data"]["fold"] = fold
        if seed is not None:
            values["training"]["seed"] = seed
        return type(self).model_validate(values)

    @model_validator(mode="after")
    def _healthy_slices_to_take_from(self) -> Self:
        own = set(self.data.infected) - set(ANNOTATED_DATASETS)
        quiet = self.data.healthy is not None or self.data.clean or own
        if self.training.healthy_fraction > 0 and not quiet:
            raise ValueError("training.healthy_fraction needs a scan in data.healthy")
        return self

    @model_validator(mode="after")
    def _network_of_the_target(self) -> Self:
        from lungscore.networks import LESION_NETWORKS

        if (self.network.name in LESION_NETWORKS) != (self.target == "lesions"):
            raise ValueError(
                f"the network {self.network.name} does not have the target {self.target}; "
                f"lesions are for {' and '.join(LESION_NETWORKS)}"
            )
        if self.target == "lesions" and self.data.priors is None:
            raise ValueError("the target lesions needs the infection priors of data.priors")
        if self.target == "lesions" and self.data.made_disease:
            raise ValueError("data.made_disease is for the target infection")
        return self

    @model_validator(mode="after")
    def _pretext_that_can_run(self) -> Self:
        from lungscore.networks import WITH_ENCODER

        if self.pretraining is None or self.pretraining.task == "inpainting":
            return self
        task = self.pretraining.task
        if self.network.name not in WITH_ENCODER:
            raise ValueError(f"the task {task} is for the networks {' and '.join(WITH_ENCODER)}")
        if self.training.recipe == "paper":
            raise ValueError(f"the recipe paper is not for the task {task}")
        moved = self.augmentation
        if task == "rotation" and (moved.flip_up_down or moved.transpose):
            raise ValueError("with flip_up_down or transpose no rotation can be told from another")
        return self

    @model_validator(mode="after")
    def _second_task_that_can_run(self) -> Self:
        if self.second_task is None:
            return self
        if self.pretraining or self.pseudo_labelling or self.target != "infection":
            raise ValueError("second_task is for supervised training of the target infection")
        return self

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.pretraining is not None and self.pseudo_labelling is not None:
            raise ValueError("an experiment pre-trains or makes pseudo-labels, not both")
        return self

    @model_validator(mode="after")
    def _pseudo_labelling_that_can_run(self) -> Self:
        if self.pseudo_labelling is None:
            return self
        if self.training.epochs != (groups := self.pseudo_labelling.groups):
            raise ValueError(f"training.epochs must be pseudo_labelling.groups, {groups}")
        if self.network.start is None or self.target != "infection" or self.data.healthy:
            raise ValueError(
                "pseudo_labelling starts from a run (network.start) of the target infection "
                "and takes no slices of data.healthy"
            )
        return self
