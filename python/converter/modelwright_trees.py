"""Trees as nodes of ONNX, each compared in the very number format in which its library compares.

LightGBM and scikit-learn's histogram boosting compare doubles, XGBoost floats, scikit-learn's other trees floats with doubles. A converter that rounds thresholds to floats sends
rows that lie on a threshold the other way, which is why these are written out here; everything else is skl2onnx's.
"""

import json
import math

import numpy

TRUE_IF_AT_MOST, TRUE_IF_LESS, TRUE_IF_EQUAL, LEAF = "BRANCH_LEQ", "BRANCH_LT", "BRANCH_EQ", "LEAF"


class NotConvertible(Exception):
    """Why a model cannot become a graph, in words for its owner."""


class Forest:
    """The rows of a TreeEnsembleRegressor. One leaf adds to one target."""

    def __init__(self, dtype, targets):
        self.dtype, self.targets = dtype, targets
        self.nodes, self.leaves, self.trees = [], [], 0
        self.base = [0.0] * targets
        self.link = "identity"
        self.scale = 1.0
        self.truncated = set()
        self.rounds_input = False
        self.zero_is_missing = False

    def new_tree(self):
        self.trees += 1
        return TreeRows(self, self.trees - 1)

    def thresholds(self):
        """(feature, threshold) of each comparison, in the library's number format."""
        return [(row[2], row[4]) for row in self.nodes if row[3] in (TRUE_IF_AT_MOST, TRUE_IF_LESS)]

    def attributes(self):
        from onnx import TensorProto, helper

        kind = TensorProto.DOUBLE if self.dtype == numpy.float64 else TensorProto.FLOAT
        # ONNX Runtime takes a tree's first row for its root.
        tree, node, feature, mode, value, yes, no, missing, cover = zip(*sorted(self.nodes, key=lambda row: row[:2]))
        leaf_tree, leaf_node, target, weight = zip(*self.leaves)
        numbers = {"nodes_values": value, "target_weights": weight}
        if kind == TensorProto.DOUBLE:
            tensors = {
                name + "_as_tensor": helper.make_tensor(name, kind, [len(values)], list(values)) for name, values in numbers.items()
            }
        else:
            tensors = {name: [float(one) for one in values] for name, values in numbers.items()}
        # What came through each node in training: explanations need it, ONNX Runtime does not look at it. A chain of categories has none.
        if not self.truncated and all(one is not None and one > 0 for one in cover):
            tensors["nodes_hitrates"] = [float(one) for one in cover]
        return {
            "n_targets": self.targets, "aggregate_function": "SUM", "post_transform": "NONE",
            "nodes_treeids": list(tree), "nodes_nodeids": list(node), "nodes_featureids": list(feature), "nodes_modes": list(mode),
            "nodes_truenodeids": list(yes), "nodes_falsenodeids": list(no), "nodes_missing_value_tracks_true": list(missing),
            "target_treeids": list(leaf_tree), "target_nodeids": list(leaf_node), "target_ids": list(target), **tensors,
        }  # fmt: skip


class TreeRows:
    def __init__(self, forest, tree):
        self.forest, self.tree, self.count = forest, tree, 0

    def reserve(self):
        self.count += 1
        return self.count - 1

    def branch(self, node, feature, mode, value, yes, no, missing_goes_to_yes, cover=None):
        self.forest.nodes.append((self.tree, node, int(feature), mode, float(value), yes, no, int(missing_goes_to_yes), cover))

    def leaf_of_several(self, node, values, cover=None):
        self.forest.nodes.append((self.tree, node, 0, LEAF, 0.0, 0, 0, 0, cover))
        self.forest.leaves += [(self.tree, node, target, float(value)) for target, value in enumerate(values)]

    def leaf(self, node, target, value, cover=None):
        self.forest.nodes.append((self.tree, node, 0, LEAF, 0.0, 0, 0, 0, cover))
        self.forest.leaves.append((self.tree, node, target, float(value)))


# LightGBM

LIGHTGBM_ZERO = float(numpy.float32(1e-35))


def lightgbm_forest(booster):
    dump = booster.dump_model()
    if booster.pandas_categorical and any(booster.pandas_categorical):
        raise NotConvertible("it was trained on columns of pandas' type category, whose codes no request carries")
    targets = int(dump["num_tree_per_iteration"])
    forest = Forest(numpy.float64, targets)
    for index, one in enumerate(dump["tree_info"]):
        add_lightgbm_node(forest.new_tree(), one["tree_structure"], index % targets)
    forest.link, forest.scale = lightgbm_link(dump.get("objective", ""))
    if dump.get("average_output"):
        share = len(dump["tree_info"]) / targets
        forest.leaves = [(tree, node, target, weight / share) for tree, node, target, weight in forest.leaves]
    return forest


def add_lightgbm_node(tree, node, target):
    here = tree.reserve()
    if "leaf_value" in node:
        # A tree of one leaf says no number of rows; any does.
        tree.leaf(here, target, node["leaf_value"], node.get("leaf_count", 1))
        return here
    yes = add_lightgbm_node(tree, node["left_child"], target)
    no = add_lightgbm_node(tree, node["right_child"], target)
    feature, kind = node["split_feature"], node["decision_type"]
    if kind == "==":
        # Membership is a chain of comparisons that all lead to the same child.
        tree.forest.truncated.add(int(feature))
        members = [int(one) for one in str(node["threshold"]).split("||")]
        links = [here] + [tree.reserve() for _ in members[1:]]
        for place, (link, member) in enumerate(zip(links, members)):
            tree.branch(link, feature, TRUE_IF_EQUAL, member, yes, links[place + 1] if place + 1 < len(links) else no, False)
        return here
    if kind != "<=":
        raise NotConvertible("LightGBM compares by %s, which is not known here" % kind)
    threshold, missing = float(node["threshold"]), node["missing_type"]
    if threshold == -LIGHTGBM_ZERO:
        # What is as near to 0 as this, LightGBM takes for 0 before it compares.
        threshold = float(numpy.nextafter(threshold, -math.inf))
    if missing == "Zero":
        raise NotConvertible("it takes zeros for missing values (zero_as_missing), which a graph of trees cannot")
    # Where training met no missing value, LightGBM takes one for 0.
    goes_left = node["default_left"] if missing == "NaN" else 0.0 <= threshold
    tree.branch(here, feature, TRUE_IF_AT_MOST, threshold, yes, no, goes_left, node.get("internal_count"))
    return here


def lightgbm_link(objective):
    name, *settings = objective.split(" ")
    facts = dict(one.split(":", 1) for one in settings if ":" in one)
    if name == "binary":
        return "sigmoid", float(facts.get("sigmoid", 1))
    if name == "multiclass":
        return "softmax", 1.0
    if name == "multiclassova":
        return "each-sigmoid", float(facts.get("sigmoid", 1))
    if name in ("poisson", "gamma", "tweedie"):
        return "exp", 1.0
    plain = ("", "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg")
    if name in plain and "sqrt" not in settings:
        return "identity", 1.0
    raise NotConvertible('LightGBM\'s objective "%s" has an output that is not known here' % objective)


# XGBoost


def xgboost_forest(booster):
    learner = json.loads(booster.save_raw("json"))["learner"]
    kind = learner["gradient_booster"]["name"]
    if kind != "gbtree":
        raise NotConvertible("XGBoost's booster %s is not carried out; gbtree is" % kind)
    model, facts = learner["gradient_booster"]["model"], learner["learner_model_param"]
    targets = max(1, int(facts["num_class"]))
    if int(facts.get("num_target", 1)) > 1:
        raise NotConvertible("XGBoost models of several targets are not carried out")
    forest = Forest(numpy.float32, targets)
    for one, target in zip(model["trees"], model["tree_info"]):
        add_xgboost_tree(forest.new_tree(), one, int(target))
    forest.scale = 1.0
    forest.link, base_of = xgboost_link(learner["objective"]["name"])
    base = [float(one) for one in str(facts["base_score"]).strip("[]").split(",")]
    forest.base = [base_of(one) for one in (base if len(base) == targets else base * targets)]
    return forest


def add_xgboost_tree(tree, written, target):
    if any(written.get("split_type", [])):
        raise NotConvertible("it splits by categories (enable_categorical), whose codes no request carries")
    left, right, value = written["left_children"], written["right_children"], written["split_conditions"]
    cover = written.get("sum_hessian") or [None] * len(left)
    tree.count = len(left)
    for node in range(len(left)):
        if left[node] < 0:
            tree.leaf(node, target, value[node], cover[node])
        else:
            threshold = float(numpy.float32(value[node]))
            missing_goes_left = bool(written["default_left"][node])
            tree.branch(node, written["split_indices"][node], TRUE_IF_LESS, threshold, left[node], right[node], missing_goes_left, cover[node])


def xgboost_link(objective):
    same = float
    if objective in ("binary:logistic", "reg:logistic"):
        return "sigmoid", lambda base: math.log(base / (1 - base))
    if objective == "multi:softprob":
        return "softmax", same
    if objective == "multi:softmax":
        return "argmax", same
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie"):
        return "exp", math.log
    if objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "binary:logitraw") or objective.startswith("rank:"):
        return "identity", same
    raise NotConvertible('XGBoost\'s objective "%s" has an output that is not known here' % objective)


# scikit-learn's histogram boosting


def histogram_forest(model):
    predictors, baseline = model._predictors, numpy.ravel(model._baseline_prediction)
    targets = len(predictors[0]) if predictors else 1
    if getattr(model, "is_categorical_", None) is not None and numpy.any(model.is_categorical_):
        raise NotConvertible("it splits by categories, whose encoding scikit-learn keeps to itself; encode them in the pipeline")
    forest = Forest(numpy.float64, targets)
    for iteration in predictors:
        for target, one in enumerate(iteration):
            add_histogram_tree(forest.new_tree(), one.nodes, target)
    loss = type(model._loss).__name__
    links = {"HalfBinomialLoss": "sigmoid", "HalfMultinomialLoss": "softmax", "HalfPoissonLoss": "exp", "HalfGammaLoss": "exp"}
    plain = ("HalfSquaredError", "AbsoluteError", "PinballLoss")
    if loss not in links and loss not in plain:
        raise NotConvertible("its loss %s has an output that is not known here" % loss)
    forest.link, forest.scale, forest.base = links.get(loss, "identity"), 1.0, [float(one) for one in baseline]
    return forest


def add_histogram_tree(tree, nodes, target):
    tree.count = len(nodes)
    for index, node in enumerate(nodes):
        if node["is_leaf"]:
            tree.leaf(index, target, node["value"], node["count"])
        else:
            yes, no = int(node["left"]), int(node["right"])
            missing_goes_left = bool(node["missing_go_to_left"])
            tree.branch(index, node["feature_idx"], TRUE_IF_AT_MOST, node["num_threshold"], yes, no, missing_goes_left, node["count"])


# scikit-learn's trees, alone and in forests


def plain_forest(model):
    """The mean of trees. What they are given is rounded to floats first, what it is compared with are doubles."""
    trees = [one.tree_ for one in getattr(model, "estimators_", [model])]
    classifies = hasattr(model, "classes_")
    if classifies and isinstance(model.classes_, list):
        raise NotConvertible("it has several targets of classes, which are not carried out")
    width = len(model.classes_) if classifies else trees[0].n_outputs
    forest = Forest(numpy.float64, width)
    forest.link, forest.scale, forest.rounds_input = "identity", 1.0, True
    for tree in trees:
        values = tree.value[:, 0, :] / tree.value[:, 0, :].sum(axis=1, keepdims=True) if classifies else tree.value[:, :, 0]
        add_plain_tree(forest.new_tree(), tree, values / len(trees))
    return forest


def add_plain_tree(rows, tree, values):
    rows.count = tree.node_count
    missing_goes_left = getattr(tree, "missing_go_to_left", numpy.zeros(tree.node_count))
    cover = tree.weighted_n_node_samples
    for node in range(tree.node_count):
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            rows.leaf_of_several(node, values[node], cover[node])
        else:
            rows.branch(node, tree.feature[node], TRUE_IF_AT_MOST, tree.threshold[node], left, right, bool(missing_goes_left[node]), cover[node])


# Into a graph


class Boosted:
    """A booster that is no estimator of scikit-learn; its one output is what it predicts."""

    def __init__(self, forest):
        self.forest = forest


def forest_of(model):
    if isinstance(model, Boosted):
        return model.forest
    package = type(model).__module__.split(".")[0]
    if package == "lightgbm":
        return lightgbm_forest(model.booster_)
    if package == "xgboost":
        booster = model.get_booster()
        # Of a training that was stopped early the estimator uses the best trees only, a bare booster all.
        best = getattr(model, "best_iteration", None)
        forest = xgboost_forest(booster if best is None else booster[: best + 1])
        forest.zero_is_missing = getattr(model, "modelwright_zero_is_missing", False)
        return forest
    return histogram_forest(model) if hasattr(model, "_predictors") else plain_forest(model)


def register():
    """Teaches skl2onnx the boosters, so that they convert inside pipelines too."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes
    from sklearn import ensemble, tree

    kinds = ("HistGradientBoosting", "RandomForest", "ExtraTrees", "DecisionTree", "ExtraTree")
    both = [[getattr(ensemble, kind + what, None) or getattr(tree, kind + what) for kind in kinds] for what in ("Classifier", "Regressor")]
    classifiers, regressors = both
    try:
        import lightgbm

        classifiers.append(lightgbm.LGBMClassifier)
        regressors += [lightgbm.LGBMRegressor, lightgbm.LGBMRanker]
    except ImportError:
        pass
    try:
        import xgboost

        classifiers += [xgboost.XGBClassifier, xgboost.XGBRFClassifier]
        regressors += [xgboost.XGBRegressor, xgboost.XGBRFRegressor, xgboost.XGBRanker]
    except ImportError:
        pass
    for one in classifiers:
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True], "raw_scores": [True, False]}
        update_registered_converter(
            one, "Modelwright" + one.__name__, calculate_linear_classifier_output_shapes, add_classifier, overwrite=True, options=options
        )
    for one in regressors:
        update_registered_converter(one, "Modelwright" + one.__name__, calculate_linear_regressor_output_shapes, add_regressor, overwrite=True)
    register_imputer()
    update_registered_converter(Boosted, "ModelwrightBooster", booster_shape, add_regressor, overwrite=True)


def register_imputer():
    """skl2onnx fills missing values in floats only; numbers are filled in their own format here, everything else is left to it."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.impute import SimpleImputer

    usual = get_converter("SklearnSimpleImputer")

    def add_imputer(scope, operator, container):
        from onnx import TensorProto

        model, variable = operator.raw_operator, operator.inputs[0]
        kind = type_of(variable)
        fills = numpy.asarray(model.statistics_)
        # A NaN that was pickled is another NaN.
        fills_nan = isinstance(model.missing_values, float) and math.isnan(model.missing_values)
        plain = kind in (TensorProto.DOUBLE, TensorProto.FLOAT) and fills_nan and len(operator.inputs) == 1
        if not plain or model.indicator_ is not None or fills.dtype.kind not in "fi" or numpy.isnan(fills.astype(float)).any():
            return usual(scope, operator, container)
        graph = Nodes(scope, container)
        is_missing = graph.node("IsNaN", [variable.full_name])
        graph.named("Where", [is_missing, graph.constant(kind, [float(one) for one in fills]), variable.full_name], operator.outputs[0].full_name)

    update_registered_converter(SimpleImputer, "SklearnSimpleImputer", get_shape_calculator("SklearnSimpleImputer"), add_imputer, overwrite=True)


def booster_shape(operator):
    from skl2onnx.common.data_types import DoubleTensorType

    forest = operator.raw_operator.forest
    columns = 1 if forest.link == "argmax" else forest.targets
    operator.outputs[0].type = DoubleTensorType([operator.inputs[0].get_first_dimension(), columns])


def add_regressor(scope, operator, container):
    graph = Nodes(scope, container)
    forest = forest_of(operator.raw_operator)
    answer = probabilities(graph, forest, raw_scores(graph, forest, operator.inputs[0].full_name), both=False)
    graph.named("Cast", [answer], operator.outputs[0].full_name, to=type_of(operator.outputs[0]))


def add_classifier(scope, operator, container):
    from onnx import TensorProto

    graph, model = Nodes(scope, container), operator.raw_operator
    forest = forest_of(model)
    raw = raw_scores(graph, forest, operator.inputs[0].full_name)
    each = probabilities(graph, forest, raw, both=True)
    at = graph.node("ArgMax", [each], axis=1, keepdims=0)
    classes = numpy.asarray(model.classes_)
    if classes.dtype.kind in "biu":
        labels = graph.constant(TensorProto.INT64, [int(one) for one in classes])
    elif classes.dtype.kind in "UO" and all(isinstance(one, str) for one in classes.tolist()):
        labels = graph.constant(TensorProto.STRING, [one.encode() for one in classes.tolist()])
    else:
        raise NotConvertible("its classes are of %s; numbers and texts are carried out" % classes.dtype)
    graph.named("Gather", [labels, at], operator.outputs[0].full_name)
    graph.named("Cast", [each], operator.outputs[1].full_name, to=type_of(operator.outputs[1]))


def type_of(variable):
    from skl2onnx.common.data_types import guess_proto_type

    return guess_proto_type(variable.type)


def raw_scores(graph, forest, name):
    from onnx import TensorProto

    if not forest.leaves:
        raise NotConvertible("it has no trees")
    kind = TensorProto.DOUBLE if forest.dtype == numpy.float64 else TensorProto.FLOAT
    values = graph.node("Cast", [name], to=TensorProto.FLOAT) if forest.rounds_input else name
    values = graph.node("Cast", [values], to=kind)
    if forest.zero_is_missing:
        is_zero = graph.node("Equal", [values, graph.constant(kind, [0.0])])
        values = graph.node("Where", [is_zero, graph.constant(kind, [float("nan")]), values])
    if forest.truncated:
        values = truncated(graph, forest, values)
    scores = graph.node("TreeEnsembleRegressor", [values], op_domain="ai.onnx.ml", op_version=3, **forest.attributes())
    return graph.node("Add", [scores, graph.constant(TensorProto.FLOAT, forest.base)]) if any(forest.base) else scores


def truncated(graph, forest, values):
    """LightGBM cuts the fraction off a category's number. Only those columns: the others keep theirs."""
    from onnx import TensorProto

    # Columns beyond the last that any tree looks at need no mask.
    width = 1 + max(row[2] for row in forest.nodes)
    is_category = graph.constant(TensorProto.BOOL, [index in forest.truncated for index in range(width)], "mask")
    bounds = [graph.constant(TensorProto.INT64, [one]) for one in (0, width, 1)]
    first = graph.node("Slice", [values, *bounds])
    whole = graph.node("Mul", [graph.node("Sign", [first]), graph.node("Floor", [graph.node("Abs", [first])])])
    return graph.node("Where", [is_category, whole, first])


def probabilities(graph, forest, raw, both):
    """What the library makes of the sums of leaves. @param both of two classes the first one's probability as well"""
    from onnx import TensorProto

    link = forest.link
    if link == "identity":
        return raw
    if link == "exp":
        return graph.node("Exp", [raw])
    if link == "softmax":
        return graph.node("Softmax", [raw], axis=1)
    if link == "argmax":
        # A booster tells it as a number.
        return graph.node("Cast", [graph.node("ArgMax", [raw], axis=1, keepdims=1)], to=TensorProto.FLOAT)
    scaled = graph.node("Mul", [raw, graph.constant(TensorProto.FLOAT, [forest.scale])]) if forest.scale != 1 else raw
    positive = graph.node("Sigmoid", [scaled])
    if not both or link == "each-sigmoid":
        return positive
    # Not 1 − p: of a probability near 0 that would keep no digit.
    negative = graph.node("Sigmoid", [graph.node("Neg", [scaled])])
    return graph.node("Concat", [negative, positive], axis=1)


class Nodes:
    """Nodes one after the other, under names that nobody else has."""

    def __init__(self, scope, container):
        self.scope, self.container = scope, container

    def node(self, kind, inputs, op_domain="", op_version=None, **attributes):
        output = self.scope.get_unique_variable_name(kind.lower())
        self.container.add_node(
            kind, inputs, output, op_domain=op_domain, op_version=op_version or self.version(), name=self.scope.get_unique_operator_name(kind), **attributes
        )
        return output

    def named(self, kind, inputs, output, **attributes):
        self.container.add_node(kind, inputs, output, op_version=self.version(), name=self.scope.get_unique_operator_name(kind), **attributes)

    def constant(self, kind, values, name="constant"):
        unique = self.scope.get_unique_variable_name(name)
        self.container.add_initializer(unique, kind, [len(values)], values)
        return unique

    def version(self):
        return self.container.target_opset
