"""Debian's Orthanc with DICOMweb on this computer, for as long as a test lasts."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lungscore.errors import LungscoreError
from lungscore.pacs.dicomweb import Archive
from node_parties import LONGEST_S, wait_until
from ports import LOCAL, free_port

PLUGIN = Path("/usr/lib/orthanc/libOrthancDicomWeb.so.1.7")
#: docs/pacs.md shows the same: CT series go to the node when they are complete.
FORWARD = """
function OnStableSeries(series, tags, metadata)
  if tags['Modality'] == 'CT' then
    local job = { Resources = { series }, Synchronous = false }
    RestApiPost('/modalities/lungscore/store', DumpJson(job, true), false)
  end
end
"""


class Orthanc:
    """An Orthanc that sends every CT series to a node."""

    def __init__(self, folder: Path, node_port: int) -> None:
        program, plugins = shutil.which("Orthanc"), list(PLUGIN.parent.glob("libOrthancDicomWeb*"))
        if program is None or not plugins:
            pytest.skip("Orthanc is not here: apt-get install orthanc orthanc-dicomweb")
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.http = free_port(), free_port()
        (folder / "forward.lua").write_text(FORWARD)
        settings = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "Plugins": [str(plugins[0])],
            "LuaScripts": [str(folder / "forward.lua")],
            "DicomAet": "ORTHANC",
            "DicomPort": self.port,
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowFind": True,
            "StableAge": 5,
            "DicomModalities": {"lungscore": ["LUNGSCORE", LOCAL, node_port]},
            "JobsHistorySize": 100,
            "OverwriteInstances": False,
        }
        self._config = folder / "orthanc.json"
        self._config.write_text(json.dumps(settings))
        self._program, self._log = program, folder / "orthanc.log"
        self._process: subprocess.Popen | None = None
        self.url = f"http://{LOCAL}:{self.http}/dicom-web"
        self.archive = Archive(self.url)

    def start(self) -> "Orthanc":
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._config)], stdout=log, stderr=log
            )
        wait_until(self._answers)
        return self

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"Orthanc ended: {self._log.read_text()[-2000:]}")
        try:
            self.archive.series("1.2.3")
        except LungscoreError as error:
            return error.code == "study-not-found"
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(LONGEST_S)
            self._process = None

    def modalities(self, study: str) -> dict[str, str]:
        """SeriesInstanceUID -> modality of the series of a study, by QIDO."""
        found = self.archive._client.search_for_series(study, fields=["Modality"])
        return {_value(series, "0020000E"): _value(series, "00080060") for series in found}

    def instances(self, study: str) -> list[str]:
        """The objects of a study, by QIDO."""
        found = self.archive._client.search_for_instances(study)
        return sorted(_value(instance, "00080018") for instance in found)

    def destination(self, kind: str = "dicomweb") -> dict[str, Any]:
        """Its entry under ``destinations``."""
        if kind == "dicomweb":
            return {"name": "pacs", "kind": kind, "url": self.url}
        known = {"address": LOCAL, "port": self.port, "ae_title": "ORTHANC"}
        return {"name": "pacs", "kind": kind} | known


def _value(entry: dict[str, Any], tag: str) -> str:
    return str(entry[tag]["Value"][0])
