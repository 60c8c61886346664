"""Converts one MLflow model of scikit-learn, XGBoost or LightGBM to ONNX, and proves on real rows that both answer alike.

    python modelwright_convert.py REQUEST.json RESULT.json

REQUEST  {"model": folder, "output": folder that is not there yet, "rows": a .csv or .parquet file or null, "tolerance": 1e-5,
          "data": [further files, as far as they hold the model's columns; .tsv too],
          "answerOnly": true}  leaves a classifier's probabilities out once they are proved: it answers what the original answers, no more
RESULT   {"ok": true, "record": {...}}  the record is also written to the folder as modelwright-conversion.json
         {"ok": false, "kind": "unsupported" | "rows" | "parity" | "packages", "message": "..."}

The graph takes what the signature says: one matrix where all columns are numbers, else an input per column. Its first output has the
form and the type of the original's answer (under `output-0`, or the signature's own name); a classifier's probabilities follow, one
output per class.
Runs in the model's own environment with the converters beside its packages. A model is code: the process that runs this has no secrets, no network and sees no other.
"""

import importlib.metadata
import json
import os
import shutil
import sys
import threading
import time
import traceback

if __name__ == "__main__":
    # As the worker that would serve it, and before numpy begins its threads.
    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "worker"))
    import modelwright_apart

    sys.path.pop()
    modelwright_apart.stand_apart(network=False, tell=lambda **told: None)

from modelwright_parity import Unequal, data_tables, prove, real_rows
from modelwright_trees import Boosted, NotConvertible, lightgbm_forest, register, xgboost_forest

OPSET = {"": 17, "ai.onnx.ml": 3}
PACKAGES = ("scikit-learn", "lightgbm", "xgboost", "xgboost-cpu", "skl2onnx", "onnx", "onnxruntime", "numpy")
MOST_CLASSES = 64
NUMBERS = ("boolean", "integer", "long", "float", "double")


def end_with_parent():
    """Where whoever asked was killed nobody takes what this makes."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main():
    end_with_parent()
    with open(sys.argv[1]) as file:
        request = json.load(file)
    try:
        told = {"ok": True, "record": convert(request)}
    except NotConvertible as error:
        told = {"ok": False, "kind": "unsupported", "message": str(error)}
    except Unequal as error:
        told = {"ok": False, "kind": error.kind, "message": str(error)}
    except ImportError as error:
        told = {"ok": False, "kind": "packages", "message": str(error)}
    with open(sys.argv[2], "w") as file:
        json.dump(told, file)


def convert(request):
    import mlflow.models
    import mlflow.pyfunc

    folder = request["model"]
    metadata = mlflow.models.Model.load(folder)
    native, predict_fn = load_native(folder, metadata)
    original = mlflow.pyfunc.load_model(folder)
    inputs = Inputs(metadata, native)
    register()
    real, problems = None, []
    data = data_tables(metadata, request.get("data") or [], inputs)
    for number_type in ("double", "float"):
        try:
            graph = to_graph(native, inputs, number_type)
            real = real or real_rows(metadata, folder, request["rows"], inputs)
            graph, answer = shape_graph(graph, native, inputs, metadata, predict_fn, answer_type(original, real[0]))
            record = prove(graph, original, native, inputs, answer, real=real, data=data, tolerance=request["tolerance"])
            if request.get("answerOnly"):
                del graph.graph.output[1:]
        except (NotConvertible, Unequal) as error:
            problems.append(error)
            if isinstance(error, Unequal) and error.kind == "rows":
                raise
            continue
        except Exception as error:
            # The converters raise whatever their authors came across; which operator it is stands in the words.
            traceback.print_exc()
            problems.append(NotConvertible(words_of(error)))
            continue
        return write(request["output"], graph, metadata, folder, {**record, "computes": number_type, "answer": answer.name})
    # A graph that was made and answers otherwise says more than one that could not be made.
    raise next((one for one in problems if isinstance(one, Unequal)), problems[0])


def answer_type(original, real):
    """ONNX's number for the type of what the original answers."""
    import numpy
    from onnx import TensorProto, helper

    answered = original.predict(real[:1])
    if hasattr(answered, "index") and hasattr(answered, "to_numpy"):
        raise NotConvertible("it answers with a table, not with an array")
    dtype = numpy.asarray(answered).dtype
    return helper.np_dtype_to_tensor_dtype(dtype) if dtype.kind in "biuf" else TensorProto.STRING


def words_of(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:3]) if lines else ""
    return ("%s: %s" % (type(error).__name__, text))[:600]


def load_native(folder, metadata):
    """The library's own object, and which of its functions answers."""
    flavors = metadata.flavors
    predict_fn = flavors.get("python_function", {}).get("predict_fn", "predict")
    if "sklearn" in flavors:
        import mlflow.sklearn

        return mlflow.sklearn.load_model(folder), predict_fn
    if "lightgbm" in flavors:
        import mlflow.lightgbm

        model = mlflow.lightgbm.load_model(folder)
        return (Boosted(lightgbm_forest(model)) if type(model).__name__ == "Booster" else model), predict_fn
    if "xgboost" in flavors:
        import mlflow.xgboost

        model = mlflow.xgboost.load_model(folder)
        return (Boosted(xgboost_forest(model)) if type(model).__name__ == "Booster" else model), predict_fn
    names = ", ".join(name for name in flavors if name != "python_function") or "python_function"
    raise NotConvertible("its flavour is %s; sklearn, lightgbm and xgboost are converted" % names)


class Inputs:
    """What the original takes, by its signature."""

    def __init__(self, metadata, native):
        schema = metadata.get_input_schema()
        self.columns, self.width, self.tensor_type = [], None, None
        if schema is not None and schema.is_tensor_spec():
            specs = schema.inputs
            if len(specs) != 1 or len(specs[0].shape) != 2 or specs[0].type.kind not in "fiu":
                raise NotConvertible("its signature is not one table of numbers: %s" % schema)
            self.tensor_type, self.width = specs[0].type, specs[0].shape[1]
        elif schema is not None:
            self.columns = [(one.name, getattr(one.type, "name", str(one.type))) for one in schema.inputs]
            if any(name is None for name, _ in self.columns):
                self.columns = [(str(index), kind) for index, (_, kind) in enumerate(self.columns)]
            other = next((kind for _, kind in self.columns if kind not in NUMBERS + ("string",)), None)
            if other:
                raise NotConvertible("a column of its signature is of %s; numbers, booleans and texts are converted" % other)
            self.width = len(self.columns)
        if self.width is None or self.width < 0:
            self.width = width_of(native)
        kinds = {kind for _, kind in self.columns}
        chooses_by_name = selects_columns(native)
        # pandas makes one array of numbers of it; of booleans beside numbers it does not.
        self.as_matrix = not chooses_by_name and "string" not in kinds and (kinds == {"boolean"} or "boolean" not in kinds)
        if not self.as_matrix and not self.columns:
            raise NotConvertible("it chooses columns by name and has no signature that says their types")

    def matrix_type(self):
        """What pandas makes of such columns together."""
        import numpy

        if self.tensor_type is not None:
            return self.tensor_type
        numpy_types = {"boolean": "?", "integer": "<i4", "long": "<i8", "float": "<f4", "double": "<f8"}
        return numpy.result_type(*(numpy_types[kind] for _, kind in self.columns)) if self.columns else numpy.dtype("<f8")


def selects_columns(native):
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    first = native.steps[0][1] if isinstance(native, Pipeline) else native
    return isinstance(first, ColumnTransformer)


def width_of(native):
    if isinstance(native, Boosted):
        return 1 + max(row[2] for row in native.forest.nodes)
    width = getattr(native, "n_features_in_", None)
    if width is None:
        raise NotConvertible("neither a signature nor the model says how many columns it takes")
    return int(width)


def to_graph(native, inputs, number_type):
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    mark_sparse(native)
    number = DoubleTensorType if number_type == "double" else FloatTensorType
    if inputs.as_matrix:
        types = [("X", number([None, inputs.width]))]
    else:
        types = [(name, (StringTensorType if kind == "string" else number)([None, 1])) for name, kind in inputs.columns]
    model = native if number_type == "float" else with_casts(native)
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") and hasattr(model, "predict_proba") else None
    return convert_sklearn(model, initial_types=types, target_opset=OPSET, options=options)


def mark_sparse(native):
    """XGBoost takes what a sparse matrix does not hold for missing values; a graph's matrices hold all their zeros."""
    from sklearn.pipeline import Pipeline

    if not isinstance(native, Pipeline) or len(native.steps) < 2 or type(native.steps[-1][1]).__module__.split(".")[0] != "xgboost":
        return
    before = native.steps[-2][1]
    native.steps[-1][1].modelwright_zero_is_missing = bool(getattr(before, "sparse_output_", getattr(before, "sparse_output", False)))


def with_casts(native):
    """scikit-learn's trees round what they are given to floats; a graph of doubles must do so as well."""
    import numpy
    from sklearn.ensemble import BaseEnsemble
    from sklearn.pipeline import Pipeline
    from sklearn.tree import BaseDecisionTree
    from skl2onnx.sklapi import CastTransformer

    last = native.steps[-1][1] if isinstance(native, Pipeline) else native
    members = numpy.ravel(getattr(last, "estimators_", [])).tolist() if isinstance(last, BaseEnsemble) else []
    if not isinstance(last, BaseDecisionTree) and not (members and isinstance(members[0], BaseDecisionTree)):
        return native
    before = native.steps[:-1] if isinstance(native, Pipeline) else []
    cast = CastTransformer(dtype=numpy.float32)
    cast.n_features_in_ = last.n_features_in_
    return Pipeline([*before, ("modelwright-cast", cast), ("model", last)])


class Answer:
    def __init__(self, name, further):
        self.name, self.further = name, further


def shape_graph(graph, native, inputs, metadata, predict_fn, answer_kind):
    """Inputs as the signature says them, outputs as the original answers them."""
    from onnx import TensorProto, checker, helper

    body = graph.graph
    inner = {one.name: one for one in body.input}
    before, taken = [], []
    for name, one in inner.items():
        kind = one.type.tensor_type.elem_type
        own = "modelwright_in_" + name
        rename_input(body, name, own)
        outer, shape = outer_type(inputs, name, TensorProto), ["rows", inputs.width] if inputs.as_matrix else ["rows"]
        last = name
        if outer != kind:
            before.append(helper.make_node("Cast", [last], [own + "_cast"], to=kind))
            last = own + "_cast"
        if inputs.as_matrix:
            before.append(helper.make_node("Identity", [last], [own]))
        else:
            body.initializer.append(helper.make_tensor(own + "_axis", TensorProto.INT64, [1], [1]))
            before.append(helper.make_node("Unsqueeze", [last, own + "_axis"], [own]))
        taken.append(helper.make_tensor_value_info(name, outer, shape))
    after, given, answer = outputs_of(body, native, metadata, predict_fn, answer_kind)
    nodes = before + list(body.node) + after
    del body.node[:], body.input[:], body.output[:]
    body.node.extend(nodes)
    body.input.extend(taken)
    body.output.extend(given)
    graph.producer_name = "modelwright"
    checker.check_model(graph)
    return graph, answer


def rename_input(body, name, own):
    for node in body.node:
        for index, one in enumerate(node.input):
            if one == name:
                node.input[index] = own


def outer_type(inputs, name, TensorProto):
    from onnx import helper

    if inputs.as_matrix:
        return helper.np_dtype_to_tensor_dtype(inputs.matrix_type())
    kinds = {"boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FLOAT", "double": "DOUBLE", "string": "STRING"}
    return getattr(TensorProto, kinds[dict(inputs.columns)[name]])


def outputs_of(body, native, metadata, predict_fn, kind):
    """@param kind ONNX's number for the type of the original's answer"""
    import numpy
    from onnx import TensorProto, helper

    inner = [one.name for one in body.output]
    name = answer_name(metadata)
    nodes, given = [], []

    def give(source, name, kind, shape):
        nodes.append(helper.make_node("Cast", [source], [name], to=kind))
        given.append(helper.make_tensor_value_info(name, kind, shape))

    def flat(source):
        axis = source + "_rows"
        body.initializer.append(helper.make_tensor(axis, TensorProto.INT64, [1], [-1]))
        nodes.append(helper.make_node("Reshape", [source, axis], [source + "_flat"]))
        return source + "_flat"

    classes = getattr(native, "classes_", None)
    if classes is None or isinstance(classes, list):
        wide = len(body.output[0].type.tensor_type.shape.dim) == 2 and body.output[0].type.tensor_type.shape.dim[1].dim_value != 1
        if predict_fn != "predict":
            raise NotConvertible("it answers by %s, which is converted of classifiers only" % predict_fn)
        give(inner[0] if wide else flat(inner[0]), name, kind, ["rows", "values"] if wide else ["rows"])
        return nodes, given, Answer(name, None)
    if predict_fn == "predict_proba" and len(inner) > 1:
        give(inner[1], name, kind, ["rows", len(classes)])
        return nodes, given, Answer(name, None)
    if predict_fn != "predict":
        raise NotConvertible("it answers by %s; predict and predict_proba are converted" % predict_fn)
    give(flat(inner[0]), name, kind, ["rows"])
    further = []
    if len(inner) > 1 and hasattr(native, "predict_proba") and len(classes) <= MOST_CLASSES:
        for index, one in enumerate(numpy.asarray(classes).tolist()):
            at = "modelwright_class_%d" % index
            body.initializer.append(helper.make_tensor(at, TensorProto.INT64, [], [index]))
            nodes.append(helper.make_node("Gather", [inner[1], at], [at + "_probability"], axis=1))
            further.append("probability_%s" % (one,))
            give(at + "_probability", further[-1], TensorProto.DOUBLE, ["rows"])
    return nodes, given, Answer(name, further or None)


def answer_name(metadata):
    """As the Python worker names it in the Open Inference Protocol."""
    schema = metadata.get_output_schema()
    return schema.inputs[0].name if schema is not None and len(schema.inputs) == 1 and schema.inputs[0].name else "output-0"


def write(output, graph, metadata, folder, record):
    import mlflow.models
    import mlflow.onnx

    record = {**record, "versions": versions(), "source": {"flavours": sorted(metadata.flavors), "modelUuid": metadata.model_uuid}}
    mlflow.onnx.save_model(
        graph, output, signature=metadata.signature, onnx_execution_providers=["CPUExecutionProvider"], pip_requirements=["mlflow", "onnxruntime", "numpy", "pandas"],
        metadata={**(metadata.metadata or {}), "modelwright_answer": record["answer"]},
    )  # fmt: skip
    examples = metadata.saved_input_example_info
    if examples:
        for name in [value for key, value in examples.items() if key.endswith("artifact_path")] + ["serving_input_example.json"]:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                shutil.copyfile(path, os.path.join(output, os.path.basename(name)))
        written = mlflow.models.Model.load(output)
        written.saved_input_example_info = examples
        written.save(os.path.join(output, "MLmodel"))
    with open(os.path.join(output, "modelwright-conversion.json"), "w") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    return record


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


if __name__ == "__main__":
    main()
