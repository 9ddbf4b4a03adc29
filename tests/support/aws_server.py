"""moto's server of AWS, with what it lacks of snapshots and images that a publisher depends on.

moto keeps blocks and images and answers in AWS's words. Added here: blocks of 512 KiB, client tokens, parents whose
blocks are inherited, snapshots that are pending until they are completed (the count and the checksum of their blocks
checked), and of registered and copied images the architecture, the tags and the snapshot.

Prints its port.
"""

import base64
import hashlib
import sys

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ebs import models, responses
from moto.ec2.models.amis import Ami
from moto.ec2.responses.amis import AmisResponse
from moto.server import ThreadedMotoServer

BLOCK = 512 * 1024
tokens = {}
written = {}


def refuse(code, message, status):
    error = JsonRESTError(code, message)
    error.code = status
    raise error


def ec2_snapshot(backend, snapshot_id):
    found = backend.ec2_backend.snapshots.get(snapshot_id)
    if found is None:
        refuse("ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.", 404)
    return found


def start_snapshot(self):
    asked = {name: self._get_param(name) for name in
             ("VolumeSize", "Tags", "Description", "ParentSnapshotId", "ClientToken", "Encrypted", "KmsKeyArn")}
    if asked["ParentSnapshotId"] and asked["Encrypted"]:
        refuse("ValidationException", "ParentSnapshotId and Encrypted cannot be given together.", 400)
    backend = self.ebs_backend
    key = (self.region, asked["ClientToken"])
    if key not in tokens:
        made = backend.start_snapshot(asked["VolumeSize"], asked["Tags"], asked["Description"])
        made.block_size = BLOCK
        parent = asked["ParentSnapshotId"]
        if parent:
            ec2_snapshot(backend, parent)
            made.blocks.update(backend.snapshots[parent].blocks)
        snapshot = backend.ec2_backend.snapshots[made.snapshot_id]
        snapshot.status = "pending"
        snapshot.encrypted = bool(asked["Encrypted"])
        written[made.snapshot_id] = {}
        tokens[key] = made
    made = tokens[key]
    return ActionResult({
        "SnapshotId": made.snapshot_id, "OwnerId": made.account_id, "Status": made.status,
        "StartTime": made.start_time, "VolumeSize": made.volume_size, "BlockSize": made.block_size,
        "Tags": made.tags, "Description": made.description,
    })


def put_block(self, snapshot_id, block_index, block_data, checksum, checksum_algorithm, data_length):
    if ec2_snapshot(self, snapshot_id).status != "pending":
        refuse("ConflictException", "The snapshot is not pending.", 400)
    digest = hashlib.sha256(block_data).digest()
    if checksum_algorithm != "SHA256" or checksum != base64.b64encode(digest).decode():
        refuse("ValidationException", "The checksum is not that of the block.", 400)
    if len(block_data) != BLOCK or int(data_length) != BLOCK:
        refuse("ValidationException", "The block has not 512 KiB.", 400)
    self.snapshots[snapshot_id].put_block(block_index, block_data, checksum, checksum_algorithm, data_length)
    written[snapshot_id][int(block_index)] = digest
    return checksum, checksum_algorithm


def complete_snapshot(self):
    backend = self.ebs_backend
    snapshot_id = self._get_param("SnapshotId")
    snapshot = ec2_snapshot(backend, snapshot_id)
    blocks = written[snapshot_id]
    linear = hashlib.sha256(b"".join(blocks[index] for index in sorted(blocks))).digest()
    if int(self._get_param("ChangedBlocksCount")) != len(blocks):
        refuse("ValidationException", "The count of blocks is another one.", 400)
    if blocks and (self._get_param("Checksum") != base64.b64encode(linear).decode()
                   or self._get_param("ChecksumAlgorithm") != "SHA256"
                   or self._get_param("ChecksumAggregationMethod") != "LINEAR"):
        refuse("ValidationException", "The checksum of the snapshot is another one.", 400)
    backend.complete_snapshot(snapshot_id)
    snapshot.status = "completed"
    return ActionResult({"Status": "completed"})


def tags_of(self, kind):
    specifications = self._get_param("TagSpecifications", [])
    return {tag["Key"]: tag["Value"] for one in specifications if one["ResourceType"] == kind for tag in one["Tags"]}


def register_image(self):
    backend = self.ec2_backend
    name = self._get_param("Name")
    if any(image.name == name and image.owner_id == backend.account_id for image in backend.amis.values()):
        refuse("InvalidAMIName.Duplicate", f"AMI name {name} is already in use.", 400)
    mapping = self._get_param("BlockDeviceMappings")[0]
    snapshot = backend.snapshots[mapping["Ebs"]["SnapshotId"]]
    assert snapshot.status == "completed"
    image = backend.register_image(name, self._get_param("Description", ""))
    image.architecture = self._get_param("Architecture", "i386")
    image.root_device_name = self._get_param("RootDeviceName")
    image.boot_mode = self._get_param("BootMode")
    del backend.snapshots[image.ebs_snapshot.id]
    image.ebs_snapshot = snapshot
    snapshot.from_ami = image.id
    image.add_tags(tags_of(self, "image"))
    return ActionResult({"ImageId": image.id})


copy_image_of_moto = AmisResponse.copy_image


def copy_image(self):
    answer = copy_image_of_moto(self)
    image = self.ec2_backend.amis[answer.result["ImageId"]]
    image.add_tags(tags_of(self, "image"))
    image.ebs_snapshot.add_tags(tags_of(self, "snapshot"))
    return answer


responses.EBSResponse.start_snapshot = start_snapshot
responses.EBSResponse.complete_snapshot = complete_snapshot
models.EBSBackend.put_snapshot_block = put_block
AmisResponse.register_image = register_image
AmisResponse.copy_image = copy_image

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
# Until whoever started it closes the other end.
sys.stdin.read()
server.stop()
