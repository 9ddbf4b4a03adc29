"""Holds recorded requests against what AWS publishes: the models of its services and its own signer, in botocore.

Reads lines of JSON and prints what is wrong, a line each. Every parameter has to be one of the operation's, every value
of an enumeration one of its values, whatever is required there, and the signature the one that botocore makes.
"""

import base64
import datetime
import json
import sys
from urllib.parse import parse_qsl

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SECRET = sys.argv[1]
session = botocore.session.get_session()
models = {name: session.get_service_model(name) for name in ("ec2", "sts", "ssm", "ebs", "kms")}


def wrong(request, text):
    print(f"{request['service']} {request['operation']}: {text}")


def check_value(request, shape, name, value):
    if shape.type_name in ("structure", "list", "map"):
        return wrong(request, f"`{name}` is a {shape.type_name}")
    enum = getattr(shape, "enum", None)
    if enum and value not in enum:
        wrong(request, f"`{name}` is `{value}`, expected one of {enum}")
    if shape.type_name in ("integer", "long") and not str(value).lstrip("-").isdigit():
        wrong(request, f"`{name}` is `{value}`, expected a number")
    if shape.type_name == "boolean" and str(value).lower() not in ("true", "false"):
        wrong(request, f"`{name}` is `{value}`, expected true or false")
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "string" and not (least or 0) <= len(value) <= (most or 1 << 30):
        wrong(request, f"`{name}` has {len(value)} letters")


def serialized(service, name, shape):
    """The name of a member in a query: as botocore writes it for `ec2` and for `query`."""
    if service == "ec2":
        queried = shape.serialization.get("queryName")
        if queried:
            return queried
        named = shape.serialization.get("name")
        return named[0].upper() + named[1:] if named else name
    return shape.serialization.get("name", name)


def check_query(request, shape, path, value, name):
    if not path:
        return check_value(request, shape, name, value)
    if shape.type_name == "list":
        if not path[0].isdigit() or path[0] == "0":
            return wrong(request, f"`{name}` is a list")
        return check_query(request, shape.member, path[1:], value, name)
    if shape.type_name != "structure":
        return wrong(request, f"`{name}` goes into a {shape.type_name}")
    for member, inner in shape.members.items():
        if serialized(request["service"], member, inner) == path[0]:
            return check_query(request, inner, path[1:], value, name)
    wrong(request, f"there is no parameter `{name}`")


def check_json(request, shape, value, name):
    if shape.type_name == "structure":
        for member in value:
            if member in shape.members:
                check_json(request, shape.members[member], value[member], f"{name}.{member}")
            else:
                wrong(request, f"there is no parameter `{name}.{member}`")
        for member in shape.required_members:
            inner = shape.members[member]
            if member not in value and "location" not in inner.serialization:
                wrong(request, f"`{name}.{member}` is missing")
    elif shape.type_name == "list":
        for one in value:
            check_json(request, shape.member, one, name)
    else:
        check_value(request, shape, name, value)


def check_parameters(request, body):
    model = models[request["service"]].operation_model(request["operation"])
    shape = model.input_shape
    if request["service"] in ("ec2", "sts"):
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
        given = dict(pairs)
        if given.pop("Version") != model.service_model.api_version or given.pop("Action") != model.name:
            wrong(request, "its version or action is another one")
        for name, value in given.items():
            check_query(request, shape, name.split("."), value, name)
        for member in shape.required_members:
            name = serialized(request["service"], member, shape.members[member])
            if not any(key == name or key.startswith(name + ".") for key in given):
                wrong(request, f"`{name}` is missing")
        return
    if request["service"] == "ebs":
        if request["method"] != model.http["method"]:
            wrong(request, f"its method is {request['method']}")
        wanted = model.http["requestUri"].split("?")[0].split("/")
        found = request["path"].split("/")
        if len(wanted) != len(found) or any(a != b and not a.startswith("{") for a, b in zip(wanted, found)):
            wrong(request, f"its path is {request['path']}")
        located = {(inner.serialization.get("location"), inner.serialization.get("name", member).lower()): inner
                   for member, inner in shape.members.items()}
        headers = {name: value for name, value in request["headers"].items() if name.startswith("x-amz-")}
        for name, value in headers.items():
            if name in ("x-amz-date", "x-amz-security-token"):
                continue
            if ("header", name) not in located:
                wrong(request, f"there is no header `{name}`")
            else:
                check_value(request, located["header", name], name, value)
        for member in shape.required_members:
            inner = shape.members[member]
            if inner.serialization.get("location") == "header" and inner.serialization["name"].lower() not in headers:
                wrong(request, f"the header `{inner.serialization['name']}` is missing")
        for name, value in parse_qsl(request["query"]):
            if ("querystring", name.lower()) not in located:
                wrong(request, f"there is no `{name}` in its query")
            else:
                check_value(request, located["querystring", name.lower()], name, value)
        if shape.serialization.get("payload"):
            return
    if body:
        check_json(request, shape, json.loads(body), "")


def check_signature(request, body):
    header = request["headers"].get("authorization")
    if header is None:
        if request["operation"] != "AssumeRoleWithWebIdentity":
            wrong(request, "it is not signed")
        return
    fields = dict(part.strip().split("=", 1) for part in header.removeprefix("AWS4-HMAC-SHA256").split(","))
    key, day, region, service, _ = fields["Credential"].split("/")
    signed = fields["SignedHeaders"].split(";")
    if service != request["service"]:
        wrong(request, f"it is signed for {service}")
    for name in request["headers"]:
        if (name.startswith("x-amz-") or name in ("host", "content-type")) and name not in signed:
            wrong(request, f"`{name}` is not signed")
    query = f"?{request['query']}" if request["query"] else ""
    made = AWSRequest(method=request["method"], url=f"http://{request['headers']['host']}{request['path']}{query}", data=body)
    for name in signed:
        if name not in ("host", "x-amz-date"):
            made.headers[name] = request["headers"][name]
    made.context["timestamp"] = request["headers"]["x-amz-date"]
    if request["operation"] == "PutSnapshotBlock":
        made.context["payload_signing_enabled"] = False
    signer = SigV4Auth(Credentials(key, SECRET), service, region)
    canonical = signer.canonical_request(made_with_date(made, request))
    if request["operation"] == "PutSnapshotBlock":
        canonical = canonical.rsplit("\n", 1)[0] + "\nUNSIGNED-PAYLOAD"
    expected = signer.signature(signer.string_to_sign(made, canonical), made)
    if expected != fields["Signature"]:
        wrong(request, "its signature is another one than botocore's")


def made_with_date(made, request):
    made.headers["X-Amz-Date"] = request["headers"]["x-amz-date"]
    return made


count = 0
for line in sys.stdin:
    request = json.loads(line)
    body = base64.b64decode(request["body"])
    check_parameters(request, body)
    check_signature(request, body)
    count += 1
print(f"checked {count}")
