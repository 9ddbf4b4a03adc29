# A client of The Update Framework that is not ours (python-tuf): it trusts the first root of the repository below /image,
# refreshes, and fetches every target. What it has checked is printed: name, length, SHA-256.
import hashlib
import os
import shutil
import sys
import types

# What speaks HTTP for it wants certificates as soon as it is imported; here nobody speaks HTTP.
requests = types.ModuleType("requests")
requests.Session = object
sys.modules["requests"] = requests

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

REPOSITORY = "/image"


class Folder(FetcherInterface):
    def _fetch(self, url):
        path = url.removeprefix("folder:")
        if not os.path.exists(path):
            raise DownloadHTTPError("it is not there", 404)
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                yield piece


for folder in ["/tmp/metadata", "/tmp/targets"]:
    os.mkdir(folder)
shutil.copy(REPOSITORY + "/metadata/1.root.json", "/tmp/metadata/root.json")
updater = Updater(
    "/tmp/metadata", f"folder:{REPOSITORY}/metadata/", "/tmp/targets", f"folder:{REPOSITORY}/targets/", Folder()
)
updater.refresh()
for name in sorted(updater._trusted_set.targets.targets):
    path = updater.download_target(updater.get_targetinfo(name))
    with open(path, "rb") as file:
        content = file.read()
    print(name, len(content), hashlib.sha256(content).hexdigest())
