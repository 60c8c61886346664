"""Holds a graph against the model that it was made of: on real rows, on the thresholds of its trees, and on what the model refuses."""

import random
import sys

import numpy

MOST_ROWS = 20_000
MOST_THRESHOLDS = 1_000
TIE = 1e-6
# No float of single precision, which trees compare, holds it.
LARGE = 1e39
# A graph's texts know no missing value: this one stands for it. The door writes it: src/serving/decide/graph-feeds.ts.
MISSING_TEXT = "modelwright: missing"


class Unequal(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def prove(graph, original, native, inputs, answer, *, real, data, tolerance):
    """
    @param real the rows, as the signature casts them, and where they are from
    @param data tables of further ones
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    real, source = real
    check = Check(session, original, native, inputs, answer, tolerance)
    check.hold(real, source)
    answered = [table for table in data if is_answered(original, table)]
    for table in answered:
        check.hold(table, "the data that the version was made of")
    at_thresholds = threshold_rows(native, real, inputs)
    if len(at_thresholds):
        check.hold(at_thresholds, "the thresholds of its trees")
    refuses = refusals(original, real, inputs)
    for table in kept_rows(real, inputs, refuses):
        check.hold(table, "missing and infinite values")
    refuses["large"] += unlike_when_large(check, real, inputs, refuses)
    return {
        "rows": len(real), "rowsFrom": source, "dataRows": sum(map(len, answered)), "thresholdRows": len(at_thresholds), "largestDifference": check.largest, "ties": check.ties,
        "tolerance": tolerance, "refuses": refuses, "categories": categories(original, native, real, inputs),
    }  # fmt: skip


def real_rows(metadata, folder, path, inputs):
    """As the original's signature casts them: a table, or an array where it has no columns."""
    import pandas

    if path is not None:
        table = read_table(path)
        missing = [name for name, _ in inputs.columns if name not in table.columns]
        if missing:
            raise Unequal("rows", "The rows lack the column %s." % ", ".join(missing[:10]))
        source = "file"
    else:
        table, source = metadata.load_input_example(folder), "input example"
        if table is None:
            raise Unequal("rows", "The model has no input example, and no other rows to compare on were given.")
    if len(table) == 0:
        raise Unequal("rows", "There are no rows to compare on.")
    return enforced(metadata, at_most(table), inputs), source


def read_table(path):
    import pandas

    if path.endswith(".parquet"):
        return pandas.read_parquet(path)
    return pandas.read_csv(path, sep="\t" if path.endswith(".tsv") else ",")


def at_most(table):
    if len(table) <= MOST_ROWS:
        return table
    step = len(table) / MOST_ROWS
    chosen = [int(index * step) for index in range(MOST_ROWS)]
    return table.iloc[chosen] if hasattr(table, "iloc") else table[chosen]


def data_tables(metadata, paths, inputs):
    """
    Of files, those that hold the model's columns: without rows in which a value is missing, which are tried elsewhere. What the model is
    given is often made of its data first: such a file says nothing of it and is passed over.
    """
    names, schema = [name for name, _ in inputs.columns], metadata.get_input_schema()
    tables = []
    for path in paths if names else []:
        try:
            table = at_most(read_table(path)[names].dropna())
            table = table.astype(dict(zip(names, schema.pandas_types())))
            tables += [enforced(metadata, table, inputs)] if len(table) else []
        except Exception as error:
            print("%s is no table of the model's rows: %s" % (path, error), file=sys.stderr)
    return tables


def is_answered(original, table):
    try:
        original.predict(table)
        return True
    except Exception as error:
        print("The original refuses what it was made of: %s" % error, file=sys.stderr)
        return False


def enforced(metadata, table, inputs):
    import pandas
    from mlflow.models.utils import _enforce_schema

    schema = metadata.get_input_schema()
    if not inputs.columns:
        array = numpy.asarray(table.iloc[:, : inputs.width] if isinstance(table, pandas.DataFrame) else table)
        return array.astype(inputs.matrix_type())
    if not isinstance(table, pandas.DataFrame):
        table = pandas.DataFrame(table, columns=[name for name, _ in inputs.columns])
    return _enforce_schema(table, schema).reset_index(drop=True)


class Check:
    def __init__(self, session, original, native, inputs, answer, tolerance):
        self.session, self.original, self.native, self.inputs, self.answer = session, original, native, inputs, answer
        self.tolerance, self.largest, self.ties = tolerance, 0.0, 0

    def hold(self, table, where):
        expected = flat_answer(self.original.predict(table))
        got = dict(zip([one.name for one in self.session.get_outputs()], self.session.run(None, feeds(self.session, table, self.inputs))))
        self.compare(self.answer.name, expected, got[self.answer.name], table, where)
        if self.answer.further:
            each = self.native.predict_proba(table)
            for index, name in enumerate(self.answer.further):
                self.compare(name, each[:, index], got[name], table, where)

    def compare(self, name, expected, got, table, where):
        expected, got = numpy.asarray(expected), numpy.asarray(got)
        if expected.shape != got.shape:
            raise Unequal("parity", 'On %s, "%s" has the shape %s; the original\'s answer has %s.' % (where, name, got.shape, expected.shape))
        if expected.dtype.kind == "f":
            difference = numpy.abs(expected - got.astype(float))
            both_missing = numpy.isnan(expected) & numpy.isnan(got.astype(float))
            same_infinity = expected == got
            difference = numpy.where(both_missing | same_infinity, 0.0, difference)
            # Absolute for small values, relative for large ones.
            scaled = difference / numpy.maximum(1.0, numpy.abs(numpy.where(numpy.isfinite(expected), expected, 0.0)))
            wrong = ~(scaled <= self.tolerance)
            right = scaled[~wrong]
            self.largest = max(self.largest, float(right.max()) if right.size else 0.0)
        else:
            if got.dtype.kind != expected.dtype.kind and {got.dtype.kind, expected.dtype.kind} & set("b"):
                raise Unequal("parity", '"%s" is of %s; the original answers %s.' % (name, got.dtype, expected.dtype))
            wrong = numpy.asarray(expected != got)
            wrong = wrong & ~self.tied(table, wrong)
        if wrong.any():
            row = int(numpy.argwhere(wrong.reshape(len(wrong), -1).any(axis=1))[0][0])
            raise Unequal(
                "parity",
                'On %s, %d of %d rows differ in "%s". The first is row %d (%s): the original answers %s, the graph %s.'
                % (where, int(wrong.reshape(len(wrong), -1).any(axis=1).sum()), len(wrong), name, row, row_text(table, row), expected[row], got[row]),
            )


    def tied(self, table, wrong):
        """Where the original's own two best probabilities are equal but for the last digits, the order of its sums decides, not the model."""
        if not wrong.any() or wrong.ndim != 1 or not hasattr(self.native, "predict_proba"):
            return numpy.zeros_like(wrong)
        best = numpy.sort(self.native.predict_proba(table), axis=1)[:, -2:]
        tied = wrong & (best[:, 1] - best[:, 0] <= TIE)
        self.ties += int(tied.sum())
        return tied


def flat_answer(predicted):
    return predicted.to_numpy() if hasattr(predicted, "to_numpy") else numpy.asarray(predicted)


def row_text(table, row):
    if hasattr(table, "iloc"):
        text = ", ".join("%s=%s" % (name, value) for name, value in list(table.iloc[row].items())[:8])
    else:
        text = ", ".join(repr(float(value)) for value in table[row][:8])
    return text[:300]


def feeds(session, table, inputs):
    if inputs.as_matrix:
        (one,) = session.get_inputs()
        return {one.name: numpy.ascontiguousarray(numpy.asarray(table, dtype=inputs.matrix_type()))}
    return {
        name: texts(table[name]) if kind == "string" else table[name].to_numpy()
        for name, kind in inputs.columns
        if any(one.name == name for one in session.get_inputs())
    }


def unlike_when_large(check, real, inputs, refuses):
    """Columns in which sums overflow otherwise: no real value is so large, and the door refuses it."""
    found = []
    for column in float_columns(real, inputs):
        if column in refuses["large"] or not holds_large(real, column):
            continue
        try:
            for value in (LARGE, -LARGE):
                check.hold(with_value(real, column, value, 20), "very large values")
        except Unequal:
            found.append(column)
    return found


def texts(column):
    return column.astype(object).where(column.notna(), MISSING_TEXT).to_numpy(dtype=object)


def threshold_rows(native, real, inputs):
    """Real rows with one value moved onto a threshold of a tree, and to the nearest numbers on both sides of it."""
    # A split between missing and present values has an infinite threshold.
    found = [(feature, threshold) for feature, threshold in thresholds(native) if numpy.isfinite(threshold)]
    if not found or not inputs.as_matrix:
        return []
    chosen = random.Random(7).sample(found, min(len(found), MOST_THRESHOLDS))
    kind = inputs.matrix_type()
    if kind.kind != "f":
        return []
    base, rows = numpy.asarray(real, dtype=kind), []
    for index, (feature, threshold) in enumerate(chosen):
        single = numpy.float32(threshold)
        near = [threshold, single] + [numpy.nextafter(one, numpy.array(side, one.dtype)) for one in (numpy.float64(threshold), single) for side in (-numpy.inf, numpy.inf)]
        for value in near:
            row = base[index % len(base)].copy()
            row[feature] = value
            rows.append(row)
    return like(real, numpy.stack(rows))


def like(real, array):
    import pandas

    if not hasattr(real, "columns"):
        return array
    return pandas.DataFrame(array, columns=real.columns).astype(real.dtypes.to_dict())


def thresholds(native):
    from modelwright_trees import Boosted, forest_of

    if isinstance(native, Boosted) or hasattr(native, "_predictors") or type(native).__module__.split(".")[0] in ("lightgbm", "xgboost"):
        return forest_of(native).thresholds()
    trees = [one.tree_ for one in [native, *numpy.ravel(getattr(native, "estimators_", [])).tolist()] if hasattr(one, "tree_")]
    return [
        (int(feature), float(threshold)) for tree in trees for feature, threshold in zip(tree.feature, tree.threshold) if feature >= 0
    ]


def refusals(original, real, inputs):
    """Columns in which the original raises an error on a missing, an infinite or a very large value, and whether it does of no rows at all. A graph would
    answer something: the door refuses for it."""
    found = {"missing": [], "infinite": [], "large": [], "empty": False}
    for name, value in (("missing", numpy.nan), ("infinite", numpy.inf), ("large", LARGE)):
        for column in float_columns(real, inputs):
            if name == "large" and not holds_large(real, column):
                continue
            try:
                original.predict(with_value(real, column, value))
            except Exception:
                found[name].append(column)
    for column in [column for column, kind in inputs.columns if kind == "string"]:
        try:
            for value in (None, numpy.nan):
                original.predict(with_text(real, column, value))
        except Exception:
            found["missing"].append(column)
    try:
        original.predict(real[:0])
    except Exception:
        found["empty"] = True
    return found


def holds_large(real, column):
    return (real[column] if hasattr(real, "columns") else real).dtype.itemsize > 4


def float_columns(real, inputs):
    if hasattr(real, "columns"):
        return [name for name, kind in inputs.columns if kind in ("float", "double")]
    return list(range(inputs.width)) if inputs.matrix_type().kind == "f" else []


def with_value(real, column, value, rows=1):
    table = real[:rows].copy()
    if hasattr(table, "columns"):
        table[column] = numpy.array([value] * len(table), dtype=table[column].dtype)
    else:
        table[:, column] = value
    return table


def kept_rows(real, inputs, refuses):
    """What the original answers, the graph must answer alike."""
    for name, value in (("missing", numpy.nan), ("infinite", numpy.inf), ("infinite", -numpy.inf)):
        for column in float_columns(real, inputs):
            if column not in refuses[name]:
                yield with_value(real, column, value, 20)
    for column, kind in inputs.columns:
        if kind == "string" and column not in refuses["missing"]:
            for value in (None, numpy.nan):
                yield with_text(real, column, value, 20)


def categories(original, native, real, inputs):
    """For each column of texts whose unknown values the original refuses: the known ones."""
    refused = {}
    for name, kind in inputs.columns:
        if kind != "string":
            continue
        try:
            original.predict(with_text(real, name, "modelwright: no such category"))
        except Exception:
            refused[name] = None
    if not refused:
        return {}
    for transformer, columns in encoders(native):
        for column, known in zip(columns, transformer.categories_):
            if column in refused:
                refused[column] = [one for one in known.tolist() if isinstance(one, str)]
    unknown = next((name for name, known in refused.items() if known is None), None)
    if unknown is not None:
        raise Unequal("parity", 'The original refuses unknown values of the column "%s", and which it knows is not found in the pipeline.' % unknown)
    return refused


def with_text(real, column, text, rows=1):
    table = real[:rows].copy()
    table[column] = numpy.array([text] * len(table), dtype=object)
    return table


def encoders(native):
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    first = native.steps[0][1] if isinstance(native, Pipeline) else native
    if not isinstance(first, ColumnTransformer):
        return
    for _, transformer, columns in first.transformers_:
        steps = [one for _, one in transformer.steps] if isinstance(transformer, Pipeline) else [transformer]
        for one in steps:
            if hasattr(one, "categories_"):
                yield one, columns
