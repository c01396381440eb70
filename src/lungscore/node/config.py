"""The settings of a node: one YAML file."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lungscore.batch.settings import AnalyzeSettings
from lungscore.errors import InputError
from lungscore.machine import DEVICES
from lungscore.pacs.codes import ETIOLOGIES
from lungscore.report.settings import ReportSettings
from lungscore.yaml_file import explained, read_yaml

_AE = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
_Port = Annotated[int, Field(ge=1, le=65535)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Many = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _beside(value: Any, info: ValidationInfo) -> Any:
    """A relative path is one beside the file of settings."""
    folder = (info.context or {}).get("folder")
    return value if folder is None or not isinstance(value, str) else folder / value


_Path = Annotated[Path, BeforeValidator(_beside)]


class Tls(_Section):
    """Encryption. authorities: PEM of those who may vouch for the other side."""

    certificate: _Path | None = None
    key: _Path | None = None
    authorities: _Path | None = None


class Listen(_Section):
    """Where images are taken from: titles and addresses (single ones, or networks as 10.0.0.0/8).

    Without them every title is taken, from this computer alone.
    """

    address: str = "127.0.0.1"
    port: _Port = 11112
    ae_title: _AE = "LUNGSCORE"
    calling: tuple[_AE, ...] = ()
    addresses: tuple[str, ...] = ()
    tls: Tls | None = None
    associations: _Many = 20
    idle_s: _Positive = 60

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        ipaddress.ip_address(value)
        return value

    @field_validator("addresses")
    @classmethod
    def _are_networks(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ipaddress.ip_network(value)
        return values

    @model_validator(mode="after")
    def _is_closed(self) -> "Listen":
        if not ipaddress.ip_address(self.address).is_loopback:
            if not (self.calling and self.addresses):
                raise ValueError(
                    "an address that others reach needs the lists 'calling' and 'addresses'"
                )
        if self.tls is not None and self.tls.certificate is None:
            raise ValueError("tls needs a certificate here")
        return self

    def admits(self, address: str) -> bool:
        """Whether a connection from ``address`` is taken."""
        caller = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(caller, ipaddress.IPv6Address) and caller.ipv4_mapped:
            caller = caller.ipv4_mapped
        if not self.addresses:
            return caller.is_loopback
        return any(caller in ipaddress.ip_network(network) for network in self.addresses)


class _Destination(_Section):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class DicomDestination(_Destination):
    """An archive that takes C-STORE."""

    kind: Literal["dicom"]
    address: str
    port: _Port = 104
    ae_title: _AE
    calling: _AE | None = None
    tls: Tls | None = None


class WebDestination(_Destination):
    """An archive that takes STOW-RS. The files hold a bearer token, or ``user:password``."""

    kind: Literal["dicomweb"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]
    token_file: _Path | None = None
    login_file: _Path | None = None
    authorities: _Path | None = None


class FolderDestination(_Destination):
    """A folder, in which each study has one of its own."""

    kind: Literal["folder"]
    path: _Path


Destination = Annotated[
    DicomDestination | WebDestination | FolderDestination, Field(discriminator="kind")
]


class Analysis(_Section):
    """How studies are analysed. attempts: of a study that the computer failed."""

    workers: _Many = 1
    threads: _Many | None = None
    engine: str = "auto"
    precision: str = "auto"
    device: Annotated[str, Field(pattern=DEVICES)] = "auto"
    model: str | None = None
    lesions_model: str | None = None
    allow_gaps: bool = False
    ranges: bool = True
    regions: bool = False
    pdf: bool = False
    etiology: str | None = None
    timeout_s: _Positive = 3600
    attempts: _Many = 3

    @field_validator("etiology")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        if value is not None and value not in ETIOLOGIES:
            raise ValueError(f"known are {', '.join(ETIOLOGIES)}")
        return value


class Retry(_Section):
    """Pauses between attempts double from the first to the longest, until they are given up."""

    first_s: _Positive = 10
    longest_s: _Positive = 1800
    give_up_h: _Positive = 72


class Limits(_Section):
    """Beyond these, images are answered "out of resources": their sender tries again later."""

    free_gib: Annotated[float, Field(ge=0)] = 2
    waiting_studies: _Many = 500
    images: _Many = 6000
    image_mib: _Many = 64


class Retention(_Section):
    """Days that studies are kept after they ended."""

    days: _Positive = 7
    failed_days: _Positive = 30


class Monitoring(_Section):
    """Where /health and /metrics are told, to this computer alone; port 0: nowhere."""

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8105

    @field_validator("address")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        if not ipaddress.ip_address(value).is_loopback:
            raise ValueError("health and metrics are for loopback addresses only")
        return value


class NodeConfig(_Section):
    """All settings of a node. folder: all that it keeps. quiet_s: a study without new images for
    so long is complete."""

    folder: _Path
    listen: Listen | None = Listen()
    watch: _Path | None = None
    quiet_s: Annotated[float, Field(ge=0)] = 30
    analysis: Analysis = Analysis()
    destinations: tuple[Destination, ...] = ()
    retry: Retry = Retry()
    limits: Limits = Limits()
    retention: Retention = Retention()
    monitoring: Monitoring = Monitoring()

    @field_validator("destinations")
    @classmethod
    def _have_own_names(cls, values: tuple[Destination, ...]) -> tuple[Destination, ...]:
        if len({value.name for value in values}) < len(values):
            raise ValueError("two destinations have one name")
        return values

    @model_validator(mode="after")
    def _has_a_source(self) -> "NodeConfig":
        if self.listen is None and self.watch is None:
            raise ValueError("neither 'listen' nor 'watch': nothing would ever come")
        return self

    @model_validator(mode="after")
    def _watches_nothing_of_its_own(self) -> "NodeConfig":
        """What lies in the drop folder is taken away: nothing that the node keeps may."""
        if self.watch is None:
            return self
        drop, kept = self.watch.resolve(), [self.folder]
        kept += [known.path for known in self.destinations if isinstance(known, FolderDestination)]
        if any(folder.resolve().is_relative_to(drop) for folder in kept):
            raise ValueError("'watch' holds the node's folder, or one that results are sent to")
        own = (self.incoming, self.results, self.dead, self.refused)
        if any(drop.is_relative_to(folder.resolve()) for folder in own):
            raise ValueError("'watch' is inside a folder that the node uses itself")
        return self

    @property
    def results(self) -> Path:
        """Folder of results, one folder a case."""
        return self.folder / "results"

    @property
    def incoming(self) -> Path:
        """Folder of images, one folder a study."""
        return self.folder / "incoming"

    @property
    def dead(self) -> Path:
        """Folder of dead letters."""
        return self.folder / "dead"

    @property
    def refused(self) -> Path:
        """Folder of what lay in the drop folder and was not taken."""
        return self.folder / "refused"

    @property
    def analyze_settings(self) -> AnalyzeSettings:
        """What ``analyze`` is asked for, for every study alike."""
        own = self.analysis
        return AnalyzeSettings(
            out=self.results,
            engine=own.engine,
            precision=own.precision,
            device=own.device,
            threads=own.threads,
            allow_gaps=own.allow_gaps,
            resume=True,
            model=own.model,
            lesions_model=own.lesions_model,
            ranges=own.ranges,
            timeout=own.timeout_s,
            dicom=True,
            regions=own.regions,
            etiology=own.etiology,
            report=ReportSettings("small" if own.pdf else "none", pdf=own.pdf),
        )


def read_config(path: Path, *, watch: Path | None = None) -> NodeConfig:
    """The settings in the YAML file ``path``; paths in it are relative to its folder.

    watch: a drop folder instead of the file's. Raises InputError ``input-not-found`` or
    ``config-invalid``, which names the key.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError("config-invalid", f"{path.name} is not a mapping of keys to values")
    if watch is not None:
        values["watch"] = watch.absolute()
    try:
        config = NodeConfig.model_validate(values, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise explained(path, error, NodeConfig) from error
    for file in _files_of(config):
        if not file.is_file():
            raise InputError("config-invalid", f"{path.name} names a missing file: {file}")
    return config


def _files_of(config: NodeConfig) -> Iterator[Path]:
    """The files that the settings name."""
    sections = [config.listen, *config.destinations]
    sections += [getattr(section, "tls", None) for section in list(sections)]
    for section in filter(None, sections):
        for name in ("certificate", "key", "authorities", "token_file", "login_file"):
            file = getattr(section, name, None)
            if file is not None:
                yield file
