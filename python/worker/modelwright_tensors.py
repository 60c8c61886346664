"""Tensors of the Open Inference Protocol -> what a model takes, and what it answers -> tensors.

A tensor travels as its bytes, little endian and row major; each element of BYTES as its length (4 bytes) and its bytes. How the tensors
of a request are laid out (`layout`) was decided before, by the signature: src/serving/decide/bind-inputs.ts.
"""

import json
import struct

NUMPY_TYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = {"b1": "BOOL", "f2": "FP16", "f4": "FP32", "f8": "FP64"}
DATATYPES.update({sign + str(size): name + str(8 * size) for sign, name in (("u", "UINT"), ("i", "INT")) for size in (1, 2, 4, 8)})
PLAIN_COLUMNS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


def read_infer(model, header, body, plain):
    """plain: makes JSON of what json knows no form for."""
    tensors, at = {}, 0
    for facts in header["inputs"]:
        tensors[facts["name"]] = read_tensor(facts, body[at : at + facts["length"]])
        at += facts["length"]
    parameters = header.get("parameters") or {}
    data = INPUT_OF[header["layout"]](model, tensors, content_type(header))
    schema = getattr(model.metadata, "get_params_schema", lambda: None)()
    params = {param.name: parameters[param.name] for param in schema.params if param.name in parameters} if schema else None
    # Columns come back in the shape in which they came: [n] or [n, 1].
    flat = any(len(facts["shape"]) == 1 for facts in header["inputs"])
    return data, params, lambda predicted: write_tensors(model, predicted, flat, plain)


def content_type(header):
    named = [(header.get("parameters") or {}).get("content_type")]
    named += [(facts.get("parameters") or {}).get("content_type") for facts in header["inputs"]]
    return next((one for one in named if one), None)


def read_tensor(facts, raw):
    import numpy

    if facts["datatype"] == "BYTES":
        as_bytes = (facts.get("parameters") or {}).get("content_type") == "base64"
        array = numpy.empty(numpy.prod(facts["shape"], dtype=int), dtype=object)
        array[:] = [element if as_bytes else text_or_bytes(element) for element in bytes_elements(raw)]
    elif facts["datatype"] == "BF16":
        array = (numpy.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    else:
        # A copy: a model may write into its input.
        array = numpy.frombuffer(raw, NUMPY_TYPES[facts["datatype"]]).copy()
    return array.reshape(facts["shape"])


def bytes_elements(raw):
    elements, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        elements.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return elements


def text_or_bytes(element):
    try:
        return element.decode("utf-8")
    except UnicodeDecodeError:
        return element


def columns_input(model, tensors, _):
    import pandas

    specs = model.metadata.get_input_schema().inputs
    columns = {}
    for index, spec in enumerate(specs):
        name = spec.name if spec.name is not None else "input-%d" % index
        if name in tensors:
            columns[spec.name if spec.name is not None else index] = column_of(spec, tensors[name].reshape(-1))
    return pandas.DataFrame(columns)


def matrix_input(model, tensors, _):
    import pandas

    (array,) = tensors.values()
    specs = model.metadata.get_input_schema().inputs
    names = [spec.name if spec.name is not None else index for index, spec in enumerate(specs)]
    return pandas.DataFrame({name: column_of(spec, array[:, index]) for index, (name, spec) in enumerate(zip(names, specs))})


def column_of(spec, values):
    """Only casts that lose nothing: which datatypes come here was checked before."""
    import pandas

    kind = getattr(spec.type, "name", "")
    if kind not in PLAIN_COLUMNS:
        return [json.loads(value) for value in values]
    if kind == "datetime":
        return pandas.to_datetime(list(values), format="ISO8601")
    if kind == "binary":
        return [value.encode("utf-8") if isinstance(value, str) else value for value in values]
    if kind == "string":
        return list(values)
    return values.astype(spec.type.to_numpy())


def tensors_input(model, tensors, _):
    return {spec.name: tensor_of(spec, tensors[spec.name]) for spec in model.metadata.get_input_schema().inputs if spec.name in tensors}


def one_input(model, tensors, _):
    (array,) = tensors.values()
    return tensor_of(model.metadata.get_input_schema().inputs[0], array)


def tensor_of(spec, array):
    return array.astype(spec.type) if array.dtype == object and spec.type.kind in "USM" else array


def free_input(model, tensors, kind):
    """A model without a signature: one tensor is an array, several are a table where they are columns of one length."""
    import pandas

    arrays = list(tensors.values())
    if kind == "str" and len(arrays) == 1:
        return arrays[0].reshape(-1).tolist()
    if kind != "pd" and len(arrays) == 1:
        return arrays[0]
    are_columns = len({len(one) if one.ndim else -1 for one in arrays}) == 1 and all(
        one.ndim == 1 or (one.ndim == 2 and one.shape[1] == 1) for one in arrays
    )
    if kind == "pd" and len(arrays) == 1 and arrays[0].ndim == 2 and arrays[0].shape[1] != 1:
        return pandas.DataFrame(arrays[0])
    if kind != "np" and are_columns:
        return pandas.DataFrame({name: array.reshape(-1) for name, array in tensors.items()})
    return tensors


INPUT_OF = {
    "columns": columns_input, "matrix": matrix_input, "tensors": tensors_input, "one": one_input, "free": free_input,
}  # fmt: skip


def write_tensors(model, predicted, flat, plain):
    outputs, parts = [], []
    for name, value, is_column in named_outputs(model, predicted):
        datatype, shape, raw, more = tensor_parts(value, plain)
        if is_column and not flat and len(shape) == 1:
            shape = shape + [1]
        outputs.append({"name": name, "datatype": datatype, "shape": shape, "length": len(raw), **more})
        parts.append(raw)
    return {"outputs": outputs}, b"".join(parts)


def named_outputs(model, predicted):
    """What the model answered, as (name, values, whether it is a table's column)."""
    if hasattr(predicted, "toarray"):  # scipy's sparse matrices
        predicted = predicted.toarray()
    if hasattr(predicted, "columns") and hasattr(predicted, "to_dict"):
        return [(str(name), predicted.iloc[:, index], True) for index, name in enumerate(predicted.columns)]
    if isinstance(predicted, dict):
        return [(str(name), value, False) for name, value in predicted.items()]
    names = output_names(model)
    if hasattr(predicted, "index") and hasattr(predicted, "to_numpy"):
        return [(names[0] if len(names) == 1 else str(predicted.name or "output-0"), predicted, True)]
    if isinstance(predicted, tuple) and len(names) == len(predicted) > 1:
        return [(name, value, False) for name, value in zip(names, predicted)]
    return [(names[0] if len(names) == 1 else "output-0", predicted, False)]


def output_names(model):
    schema = getattr(model.metadata, "get_output_schema", lambda: None)()
    return ["output-%d" % index if spec.name is None else spec.name for index, spec in enumerate(schema.inputs)] if schema else []


def tensor_parts(value, plain):
    import numpy

    array = array_of(value)
    if array.dtype.kind == "M":
        array = numpy.datetime_as_string(array).astype(object)
    if array.dtype.kind == "O":
        array = settled(array)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype("<f8")
    shape = list(array.shape) or [1]
    datatype = DATATYPES.get("%s%d" % (array.dtype.kind, array.dtype.itemsize))
    if datatype:
        return datatype, shape, array.astype(array.dtype.newbyteorder("<")).tobytes(), {}
    elements, more = [], {}
    for element in array.reshape(-1).tolist():
        if not isinstance(element, (str, bytes, bytearray, type(None))):
            element, more = json.dumps(element, ensure_ascii=False, default=plain), {"parameters": {"content_type": "application/json"}}
        elements.append(element.encode("utf-8", "replace") if isinstance(element, str) else bytes(element or b""))
    return "BYTES", shape, b"".join(struct.pack("<I", len(element)) + element for element in elements), more


def array_of(value):
    import numpy

    if hasattr(value, "to_numpy"):
        return value.to_numpy()
    if hasattr(value, "detach"):  # torch
        value = value.detach().cpu()
    if isinstance(value, (dict, bytes)) or not (hasattr(value, "__array__") or isinstance(value, (list, tuple))):
        one = numpy.empty(1, dtype=object)
        one[0] = value
        return one
    try:
        array = numpy.asarray(value)
    except ValueError:  # Lists of different lengths are told one by one.
        array = None
    if array is None or (array.dtype == object and isinstance(value, (list, tuple))):
        array = numpy.empty(len(value), dtype=object)
        array[:] = list(value)
    return array


def settled(array):
    """An array of objects that are all numbers is one of numbers."""
    import numpy

    elements = array.reshape(-1).tolist()
    if elements and all(isinstance(one, bool) for one in elements):
        return array.astype(bool)
    if elements and all(isinstance(one, (int, numpy.integer)) and not isinstance(one, bool) for one in elements):
        return array.astype("<i8")
    if any(isinstance(one, (float, numpy.floating)) for one in elements) and all(
        one is None or (isinstance(one, (int, float, numpy.number)) and not isinstance(one, bool)) for one in elements
    ):
        return array.astype("<f8")
    return array
