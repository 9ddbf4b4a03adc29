"""moto's server of AWS, with what it lacks of snapshots and images that a publisher depends on.

moto keeps blocks and images and answers in AWS's words. Added here: blocks of 512 KiB, client tokens, parents whose
blocks are inherited, snapshots that are pending until they are completed (the count and the checksum of their blocks
checked), and of registered and copied images the architecture, the tags, the volumes and who may copy them; when images
are deprecated; the tokens of instances; the key `alias/images` in each region. All roles have the secret of tests, which is handed over.

Prints its port.
"""

import base64
import hashlib
import sys

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.ebs import models, responses
from moto.ec2.exceptions import InvalidAMIIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import filter_dict_attribute_mapping
from moto.iam.models import AccessKey
from moto.kms.models import KmsBackend
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
    root, *others = self._get_param("BlockDeviceMappings")
    snapshot = backend.snapshots[root["Ebs"]["SnapshotId"]]
    assert snapshot.status == "completed"
    image = backend.register_image(name, self._get_param("Description", ""))
    image.architecture = self._get_param("Architecture", "i386")
    image.root_device_name = self._get_param("RootDeviceName")
    image.boot_mode = self._get_param("BootMode")
    del backend.snapshots[image.ebs_snapshot.id]
    image.ebs_snapshot = snapshot
    image.other_volumes = others
    snapshot.from_ami = image.id
    image.add_tags(tags_of(self, "image"))
    return ActionResult({"ImageId": image.id})


def volumes(image):
    snapshot = image.ebs_snapshot
    root = {"SnapshotId": snapshot.id, "VolumeSize": 15, "DeleteOnTermination": True, "VolumeType": "gp3",
            "Encrypted": bool(snapshot.encrypted)}
    return [{"DeviceName": image.root_device_name, "Ebs": root}] + getattr(image, "other_volumes", [])


def copy_image(self):
    """An image of the account's own, or one that it may start and whose snapshots it may use."""
    backend = self.ec2_backend
    wanted, region = self._get_param("SourceImageId"), self._get_param("SourceRegion")
    found = None
    for owner in ec2_backends:
        image = ec2_backends[owner][region].amis.get(wanted)
        allowed = image is not None and (owner == backend.account_id or (
            {"UserId": backend.account_id} in image.launch_permissions
            and backend.account_id in image.ebs_snapshot.create_volume_permission_userids))
        found = image if allowed else found
    if found is None:
        raise InvalidAMIIdError([wanted])
    image = backend.register_image(self._get_param("Name"), self._get_param("Description"))
    image.architecture, image.boot_mode = found.architecture, found.boot_mode
    image.root_device_name = found.root_device_name
    image.other_volumes = getattr(found, "other_volumes", [])
    image.ebs_snapshot.encrypted = bool(found.ebs_snapshot.encrypted or self._get_param("Encrypted"))
    image.add_tags(tags_of(self, "image"))
    image.ebs_snapshot.add_tags(tags_of(self, "snapshot"))
    return ActionResult({"ImageId": image.id})


def enable_image_deprecation(self):
    self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0].deprecation_time = self._get_param("DeprecateAt")
    return ActionResult({"Return": True})


def modify_snapshot_attribute(self):
    asked = self._get_param("CreateVolumePermission", {}).get("Add", [])
    accounts = [one["UserId"] for one in asked]
    self.ec2_backend.add_create_volume_permission(self._get_param("SnapshotId"), user_ids=accounts, groups=[])
    return EmptyResult()


run_instances_of_moto = InstanceResponse.run_instances


def run_instances(self):
    key = (self.region, self._get_param("ClientToken"))
    if key not in tokens:
        tokens[key] = run_instances_of_moto(self)
    return tokens[key]


key_init = AccessKey.__init__


def access_key(self, *words, **named):
    key_init(self, *words, **named)
    self.secret_access_key = sys.argv[1]


kms_init = KmsBackend.__init__


def kms_backend(self, *words, **named):
    kms_init(self, *words, **named)
    key = self.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
    self.create_alias(key.id, "alias/images")


responses.EBSResponse.start_snapshot = start_snapshot
responses.EBSResponse.complete_snapshot = complete_snapshot
models.EBSBackend.put_snapshot_block = put_block
AmisResponse.register_image = register_image
AmisResponse.copy_image = copy_image
AmisResponse.enable_image_deprecation = enable_image_deprecation
Ami.block_device_mappings = property(volumes)
ElasticBlockStore.modify_snapshot_attribute = modify_snapshot_attribute
InstanceResponse.run_instances = run_instances
filter_dict_attribute_mapping["client-token"] = "client_token"
AccessKey.__init__ = access_key
KmsBackend.__init__ = kms_backend

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
# Until whoever started it closes the other end.
sys.stdin.read()
server.stop()
