"""What others' tools say of a version's signature and bills of materials: python checks.py FOLDER

The folder holds model/, model.sig, making.sig, key.pem, other-key.pem, bom.json and bom.spdx.json, as the server gives them.
"""

import json
import pathlib
import shutil
import subprocess
import sys

folder = pathlib.Path(sys.argv[1])


def verified(model, signature="model.sig", key="key.pem"):
    words = ["verify", "key", str(model), "--signature", str(folder / signature), "--public_key", str(folder / key)]
    return subprocess.run([pathlib.Path(sys.executable).parent / "model_signing", *words], capture_output=True, text=True)


def copied(name):
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "model", target)
    return target


def a_model_folder_is_verified():
    done = verified(folder / "model")
    assert done.returncode == 0, done.stdout + done.stderr


def a_folder_downloaded_by_mlflow_is_verified():
    model = copied("downloaded")
    (model / "registered_model_meta").write_text("model_name: m\nmodel_version: '3'\n")
    done = verified(model)
    assert done.returncode == 0, done.stdout + done.stderr


def a_changed_file_is_noticed():
    model = copied("changed")
    (model / "MLmodel").write_text("other")
    assert verified(model).returncode != 0


def a_file_more_is_noticed():
    model = copied("more")
    (model / "more.bin").write_text("x")
    assert verified(model).returncode != 0


def a_file_less_is_noticed():
    model = copied("less")
    (model / "data" / "weights.bin").unlink()
    assert verified(model).returncode != 0


def another_key_does_not_verify():
    assert verified(folder / "model", key="other-key.pem").returncode != 0


def the_statement_on_its_making_is_signed_with_the_same_key():
    import base64

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    envelope = json.loads((folder / "making.sig").read_text())["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(envelope["payloadType"]), envelope["payloadType"].encode(), len(payload), payload)
    key = serialization.load_pem_public_key((folder / "key.pem").read_bytes())
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed, ec.ECDSA(hashes.SHA256()))
    assert json.loads(payload)["predicateType"] == "https://slsa.dev/provenance/v1"


def cyclonedx_is_valid_by_its_schema():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str((folder / "bom.json").read_text())
    assert problem is None, problem


def spdx_is_valid_by_its_tools():
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    problems = validate_full_spdx_document(parse_file(str(folder / "bom.spdx.json")))
    assert not problems, [problem.validation_message for problem in problems]


failed = 0
for name, check in list(globals().items()):
    if not callable(check) or name in ("verified", "copied"):
        continue
    try:
        check()
        print("ok", name.replace("_", " "))
    except Exception as error:
        failed += 1
        print("failed", name.replace("_", " ") + ":", repr(error)[:2000])
sys.exit(1 if failed else 0)
