"""Hypothesis strategies for valid problems."""

import string

from hypothesis import strategies as st

from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    LabelWindow,
    NumericFeature,
    Problem,
    RegressionTask,
    SequenceFeature,
    Split,
)

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9]{0,5}(_[a-z0-9]{1,3})?", fullmatch=True).filter(
    lambda name: "__" not in name and not name.endswith("_") and name not in ("time", "gap")
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
sides = st.sampled_from(["user", "item", "context"])
literals = st.one_of(
    st.integers(-1000, 1000).map(str),
    # A process that has run TensorFlow may take subnormal numbers for 0.
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False).map(repr),
    st.text(string.ascii_letters + "äß日 &|%", max_size=5).map(lambda text: f"'{text}'"),
)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """A row condition of one to three comparisons."""
    clauses = []
    for _ in range(draw(st.integers(1, 3))):
        literal = draw(literals)
        operators = ["==", "!="] if literal.startswith("'") else ["==", "!=", ">=", "<=", ">", "<"]
        clauses.append(f"{draw(names)} {draw(st.sampled_from(operators))} {literal}")
    return " and ".join(clauses)


@st.composite
def categorical_features(draw: st.DrawFn, name: str) -> CategoricalFeature:
    """A categorical feature, hashed or with a vocabulary."""
    hash_buckets = draw(st.none() | st.integers(1, 50))
    return CategoricalFeature(
        name,
        dim=draw(st.integers(1, 64)),
        min_count=1 if hash_buckets else draw(st.integers(1, 9)),
        max_size=None if hash_buckets else draw(st.none() | st.integers(1, 9)),
        hash_buckets=hash_buckets,
        multi_valued=draw(st.booleans()),
        separator=draw(texts.filter(bool)),
        max_values=draw(st.integers(1, 9)),
        side=draw(sides),
    )


@st.composite
def numeric_features(draw: st.DrawFn, name: str) -> NumericFeature:
    """A numeric feature of any transform."""
    return NumericFeature(
        name,
        transform=draw(st.sampled_from(["quantiles", "z_score", "log_z_score"])),
        buckets=draw(st.integers(2, 64)),
        dim=draw(st.integers(1, 64)),
        side=draw(sides),
    )


@st.composite
def late_tasks(draw: st.DrawFn, name: str) -> BinaryTask:
    """A task whose label later events tell."""
    window = LabelWindow(draw(conditions()), draw(st.integers(1, 999) | st.floats(0.5, 999.0)), draw(st.none() | names))
    return BinaryTask(name, sample_space=draw(st.none() | conditions()), label_window=window)


@st.composite
def splits(draw: st.DrawFn, column: str) -> Split:
    """A split of any kind."""
    by = draw(st.sampled_from(["time", "user", "column"]))
    if by == "column":
        return Split(by="column", column=column)
    if by == "time" and draw(st.booleans()):
        valid_from, test_from = sorted(draw(st.tuples(st.integers(), st.integers())))
        return Split(valid_from=valid_from, test_from=test_from)
    shares = st.floats(0.0, 0.49, allow_subnormal=False)
    return Split(by=by, valid=draw(shares), test=draw(shares))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A problem with every kind of part, names drawn too."""
    user, time, column, *free = draw(st.lists(names, min_size=8, max_size=14, unique=True))
    num_tasks, num_late = draw(st.integers(1, 3)), draw(st.integers(0, 1))
    free_for_late, free = free[:num_late], free[num_late:]
    task_names, feature_names = free[:num_tasks], free[num_tasks:]
    kinds = st.sampled_from([categorical_features, numeric_features])
    features = tuple(draw(draw(kinds)(name)) for name in feature_names)
    tasks: list[BinaryTask | RegressionTask] = []
    for name in task_names:
        parents = [task.name for task in tasks if isinstance(task, BinaryTask)]
        tasks.append(
            draw(st.sampled_from([BinaryTask, RegressionTask]))(
                name,
                label=draw(st.none() | texts.filter(lambda text: text and text not in feature_names)),
                parent=draw(st.sampled_from([None, *parents])),
                sample_space=draw(st.none() | conditions()),
                weight=draw(st.floats(1e-3, 1e3) | st.integers(1, 9)),
            )
        )
    multi_valued = {feature.name for feature in features if isinstance(feature, CategoricalFeature)}
    for name in free_for_late:
        task = draw(late_tasks(name))
        if task.label_window is not None and task.label_window.same not in multi_valued:
            tasks.append(task)
    events = [
        feature.name
        for feature in features
        if (feature.is_bucketized if isinstance(feature, NumericFeature) else not feature.multi_valued)
    ]
    sequences = []
    for name in draw(st.lists(names, max_size=2, unique=True)) if events else []:
        columns = tuple(draw(st.lists(st.sampled_from(events), min_size=1, max_size=3, unique=True)))
        lengths, gaps = draw(st.integers(1, 99)), draw(st.integers(0, 64))
        sequences.append(SequenceFeature(name, columns, draw(st.none() | conditions()), lengths, gaps))
    return Problem(
        draw(names),
        features=features,
        tasks=tuple(tasks),
        keys=Keys(user, time, draw(st.none() | names), draw(st.sampled_from(["s", "ms"]))),
        sequences=tuple(sequences),
        split=draw(splits(column)),
        examples=draw(st.none() | conditions()),
    )
