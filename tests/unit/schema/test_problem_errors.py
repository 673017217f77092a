"""Every mistake in a problem file says where it is and what to do."""

import copy
import re
from typing import Any

import pytest

from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    NumericFeature,
    Problem,
    ProblemError,
    SequenceFeature,
)

GOOD: dict[str, Any] = {
    "name": "shop",
    "keys": {"user": "user", "time": "ts"},
    "features": [
        {"kind": "categorical", "name": "item"},
        {"kind": "categorical", "name": "tags", "multi_valued": True},
        {"kind": "numeric", "name": "price"},
        {"kind": "numeric", "name": "age", "transform": "z_score"},
    ],
    "sequences": [{"name": "bought", "columns": ["item", "price"], "when": "buy == 1"}],
    "tasks": [
        {"kind": "binary", "name": "click"},
        {"kind": "binary", "name": "buy", "parent": "click"},
        {"kind": "regression", "name": "watch", "label": "seconds"},
    ],
    "split": {"by": "time"},
}


def _changed(place: str, value: object) -> dict[str, Any]:
    """`GOOD` with the value at a place such as `tasks.0.name` replaced; `...` removes it."""
    mapping = copy.deepcopy(GOOD)
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    target: Any = mapping
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    elif isinstance(target, list):
        target[last : last + 1] = [value]
    else:
        target[last] = value
    return mapping


def test_the_good_problem_is_good() -> None:
    assert [task.name for task in Problem.from_dict(GOOD).tasks] == ["click", "buy", "watch"]


WRONG_KEYS = [
    ("feature", [], "Problem: unknown key 'feature'. Known keys: ['dialect', 'examples', 'features', 'keys', "
     "'missing', 'name', 'plugins', 'sequences', 'split', 'tasks']. Did you mean 'features'?"),
    ("keys.usr", "u", "keys: unknown key 'usr'. Known keys: ['group', 'order', 'time', 'time_unit', 'user', "
     "'weight']. "
     "Did you mean 'user'?"),
    ("features.0.dimension", 8, "features[0]: unknown key 'dimension'. Known keys: ['column', 'dim', 'format',"),
    ("features.2.bukets", 8, "features[2]: unknown key 'bukets'. Known keys: ['buckets', 'column', 'dim', 'missing', "
     "'name', 'side', 'transform']. Did you mean 'buckets'?"),
    ("sequences.0.max_len", 8, "sequences[0]: unknown key 'max_len'. "),
    ("tasks.1.parents", "click", "tasks[1]: unknown key 'parents'. Known keys: ['known_at_event', 'label', "
     "'label_window', 'name', 'parent', 'positive', 'sample_space', 'weight', 'weight_column', 'weight_offset', "
     "'weighted_metrics']. Did you mean 'parent'?"),
    ("split.valid_form", 3, "split: unknown key 'valid_form'. "),
    ("name", ..., "Problem: key 'name' is missing. Add it."),
    ("features", ..., "Problem: key 'features' is missing. Add it."),
    ("tasks", ..., "Problem: key 'tasks' is missing. Add it."),
    ("features.1.name", ..., "features[1]: key 'name' is missing. Add it."),
    ("sequences.0.columns", ..., "sequences[0]: key 'columns' is missing. Add it."),
    ("tasks.2.name", ..., "tasks[2]: key 'name' is missing. Add it."),
    ("tasks.2.kind", ..., "tasks[2]: must be a mapping with the key 'kind', one of ['binary', 'regression', "),
    ("features.0", "item", "features[0]: must be a mapping with the key 'kind', one of ['categorical', 'numeric', "),
    ("features.0.kind", "categoric", "features[0]: `kind` must be one of ['categorical', 'numeric', "),
    ("tasks.0.kind", ["binary"], "tasks[0]: `kind` must be one of ['binary', 'regression', "),
    ("features", {"item": {}}, "features: must be a list. Received: {'item': {}}."),
    ("tasks", None, "tasks: must be a list. Received: None."),
    ("sequences", "bought", "sequences: must be a list. Received: 'bought'."),
    ("tasks.0.label_window", {"when": "buy == 1", "hour": 2}, "tasks[0].label_window: unknown key 'hour'. "
     "Known keys: ['hours', 'same', 'when']. Did you mean 'hours'?"),
    ("tasks.0.label_window", {"when": "buy == 1"}, "tasks[0].label_window: key 'hours' is missing. Add it."),
    ("keys", ["user"], "keys: must be a mapping of keys to values. Received: ['user']."),
    ("split", "time", "split: must be a mapping of keys to values. Received: 'time'."),
    ("sequences.0", None, "sequences[0]: must be a mapping of keys to values. Received: None."),
]  # fmt: skip

WRONG_TYPES = [
    ("name", 3, "Problem: `name` must be text. Received: name=3 (int)."),
    ("examples", 3, "Problem: `examples` must be text or nothing. Received: examples=3 (int)."),
    ("features.0.name", True, "features[0]: CategoricalFeature 'True': `name` must be text. "
     "Received: name=True (bool)."),
    ("features.0.dim", "8", "features[0]: CategoricalFeature 'item': `dim` must be an int. Received: dim='8' (str)."),
    ("features.0.dim", 8.0, "features[0]: CategoricalFeature 'item': `dim` must be an int. Received: dim=8.0 (float)."),
    ("features.0.dim", True, "`dim` must be an int. Received: dim=True (bool)."),
    ("features.0.dim", 0, "features[0]: CategoricalFeature 'item': `dim` must be an int of at least 1. "
     "Received: dim=0."),
    ("features.0.max_size", "all", "`max_size` must be an int or nothing. Received: max_size='all' (str)."),
    ("features.0.min_count", 0, "`min_count` must be an int of at least 1. Received: min_count=0."),
    ("features.0.hash_buckets", 0, "`hash_buckets` must be an int of at least 1. Received: hash_buckets=0."),
    ("features.0.table", "a b", "CategoricalFeature 'item': `table` must be letters, digits and single underscores"),
    ("features.0.side", "users", "`side` must be one of ['user', 'item', 'context']. Received: side='users'. "
     "Did you mean 'user'?"),
    ("features.1.multi_valued", "yes", "`multi_valued` must be true or false. Received: multi_valued='yes' (str)."),
    ("features.1.separator", "", "CategoricalFeature 'tags': `separator` must not be empty. Received: separator=''."),
    ("features.1.max_values", 0, "`max_values` must be an int of at least 1. Received: max_values=0."),
    ("features.2.buckets", 1, "features[2]: NumericFeature 'price': `buckets` must be an int of at least 2. "
     "Received: buckets=1."),
    ("features.2.transform", "zscore", "`transform` must be one of ['quantiles', 'z_score', 'log_z_score', 'both']. "
     "Received: transform='zscore'. Did you mean 'z_score'?"),
    ("sequences.0.columns", "item", "sequences[0]: SequenceFeature 'bought': `columns` must be a list of text. "
     "Received: columns='item' (str)."),
    ("sequences.0.columns", ["item", 3], "`columns[1]` must be text. Received: columns[1]=3 (int)."),
    ("sequences.0.columns", [], "`columns` must name at least one feature. Received: columns=()."),
    ("sequences.0.columns", ["item", "item"], "`columns` must be distinct. Received: columns=('item', 'item')."),
    ("sequences.0.max_length", 0, "`max_length` must be an int of at least 1. Received: max_length=0."),
    ("sequences.0.time_gap_buckets", -1, "`time_gap_buckets` must be an int of at least 0. "
     "Received: time_gap_buckets=-1."),
    ("sequences.0.time_gap_buckets", 65, "`time_gap_buckets` must be at most 64. Received: time_gap_buckets=65."),
    ("tasks.0.weight", "2", "tasks[0]: BinaryTask 'click': `weight` must be a number. Received: weight='2' (str)."),
    ("tasks.0.weight", 0, "BinaryTask 'click': `weight` must be positive and finite. Received: weight=0.0. "
     "Remove the task to switch it off."),
    ("tasks.0.weight", float("nan"), "`weight` must be positive and finite. Received: weight=nan."),
    ("tasks.0.weight", float("inf"), "`weight` must be positive and finite. Received: weight=inf."),
    ("tasks.2.label", "", "RegressionTask 'watch': `label` must not be empty. Received: label=''. "
     "Leave it out for the name."),
    ("tasks.2.label", 4, "`label` must be text or nothing. Received: label=4 (int)."),
    ("tasks.0.label_window", 24, "tasks[0]: BinaryTask 'click': `label_window` must be LabelWindow or nothing. "
     "Received: label_window=24 (int)."),
    ("tasks.0.label_window", {"when": "buy == 1", "hours": 0}, "tasks[0].label_window: LabelWindow: `hours` must be "
     "positive and at most 1,000,000. Received: hours=0.0."),
    ("tasks.0.label_window", {"when": "buy == 1", "hours": float("nan")}, "Received: hours=nan."),
    ("tasks.0.label_window", {"when": "buy == 1", "hours": 2, "same": ""}, "LabelWindow: `same` must not be "
     "empty. Received: same=''. Leave it out."),
    ("features.0.column", "", "CategoricalFeature 'item': `column` must not be empty. Received: column=''."),
    ("features.2.column", "", "NumericFeature 'price': `column` must not be empty. Received: column=''."),
    ("keys.user", "", "keys: Keys: `user` must not be empty. Received: user=''. Leave it out."),
    ("keys.group", "", "keys: Keys: `group` must not be empty. Received: group=''. Leave it out."),
    ("tasks.0.label_window", {"when": "buy", "hours": 2}, "tasks[0].label_window: Condition: cannot read"),
    ("keys.time_unit", "mss", "keys: Keys: `time_unit` must be one of ['s', 'ms', 'us', 'ns', 'd']. Received: "
     "time_unit='mss'. Did you mean 'ms'?"),
    ("missing", ["NULL", ""], "Problem: `missing` must be distinct texts that are not empty. Received: "
     "missing=['NULL', '']."),
    ("features.0.missing", ["-", "-"], "`missing` must be distinct texts that are not empty."),
    ("features.0.format", "json", "`format` must be 'text' where a row holds one value. Received: format='json'."),
    ("tasks.0.positive", True, "`positive` must be text. Received: positive=True. YAML reads yes, no, on, off"),
    ("keys.user", 5, "keys: Keys: `user` must be text or nothing. Received: user=5 (int)."),
    ("split.valid", "a tenth", "split: Split: `valid` must be a number. Received: valid='a tenth' (str)."),
    ("split.valid_from", 1.5, "`valid_from` must be an int or nothing. Received: valid_from=1.5 (float)."),
]  # fmt: skip

WRONG_NAMES = [
    ("name", "my shop"), ("name", ""), ("features.0.name", "item-id"), ("features.0.name", "1st"),
    ("features.0.name", "item.id"), ("features.0.name", "item\n"), ("features.0.name", "größe"),
    ("features.0.name", "../etc/passwd"), ("features.0.name", "item__id"), ("features.0.name", "item_"),
    ("tasks.0.name", "click rate"), ("sequences.0.name", "last bought"), ("keys.time", "a:b"),
]  # fmt: skip

WRONG_TOGETHER = [
    ("features.2.name", "item", "Problem: feature name 'item' is used twice. Rename one of them."),
    ("tasks.2.name", "buy", "Problem: task name 'buy' is used twice. Rename one of them."),
    ("features", [], "Problem: `features` must name at least one feature. Received: none."),
    ("tasks", [], "Problem: `tasks` must name at least one task. Received: none."),
    ("tasks.1.parent", "clik", "Problem: task 'buy' names parent 'clik', which is not a task. "
     "Known tasks: ['buy', 'click', 'watch']. Did you mean 'click'?"),
    ("tasks.1.parent", "watch", "Problem: task 'buy' names parent 'watch', which is not binary. "
     "Only a yes/no event can be a precondition."),
    ("tasks.1.parent", "buy", "Problem: the parents of task 'buy' form a cycle: buy -> buy. Cut it."),
    ("tasks.0.parent", "buy", "Problem: the parents of task 'click' form a cycle: click -> buy -> click. Cut it."),
    ("tasks.2.label", "price", "Problem: column 'price' is the label of task 'watch' and also a feature. "
     "A model that reads its label learns nothing: remove the feature."),
    ("features.0.column", "seconds", "Problem: column 'seconds' is the label of task 'watch' and also a feature."),
    ("features.0.column", "ts", "Problem: the time column 'ts' must not be a feature"),
    ("tasks.0.name", "item", "Problem: column 'item' is the label of task 'item' and also a feature."),
    ("keys.time", "age", "Problem: the time column 'age' must not be a feature"),
    ("sequences.0.columns", ["itm"], "Problem: sequence 'bought' names column 'itm', which is not a feature. "
     "Known features: ['age', 'item', 'price', 'tags']. Did you mean 'item'?"),
    ("sequences.0.columns", ["tags", "item"], "Problem: the first column of sequence 'bought' must have one id per "
     "event, since without it there is no event. Received: 'tags', a list or a scaled number. Begin with a name or a "
     "bucket."),
    ("sequences.0.columns", ["age"], "Problem: the first column of sequence 'bought' must have one id per event"),
    ("keys.user", ..., "Problem: sequence 'bought' needs `keys.user` and `keys.time`. "
     "Received: user=None, time='ts'."),
    ("keys.time", ..., "Problem: sequence 'bought' needs `keys.user` and `keys.time`. "
     "Received: user='user', time=None."),
    ("tasks.0", {**GOOD["tasks"][0], "label_window": {"when": "buy == 1", "hours": 2}}, "Problem: task 'buy' reads its "
     "label from column 'buy' and must not have the parent 'click', whose label is known only later. Give it a "
     "`label_window`, too."),
    ("tasks.0", {**GOOD["tasks"][0], "label": "c", "label_window": {"when": "buy == 1", "hours": 2}}, "BinaryTask "
     "'click': `label` must not be given with `label_window`, which needs no column. Received: label='c'."),
    ("tasks.1.label_window", {"when": "buy == 1", "hours": 2, "same": "tags"}, "Problem: the label_window of task "
     "'buy' names column 'tags' in `same`, which is multi-valued."),
    ("tasks.1.label_window", {"when": "buy == 1", "hours": 1e-4}, "Problem: the label_window of task 'buy' must be at "
     "least one step of the time column. Received: hours=0.0001, time_unit='s'."),
    ("split", {"by": "column", "column": "item"}, "Problem: the split's column 'item' must not be a feature. "
     "Remove the feature."),
]  # fmt: skip

WRONG_SPLITS = [
    ({"by": "date"}, "split: Split: `by` must be one of ['time', 'user', 'row', 'column']. Received: by='date'."),
    ({"by": "column"}, "Split: `column` must be given with by='column'. Received: column=None."),
    ({"column": "part"}, "Split: `column` goes with by='column' only. Received: by='time'."),
    ({"valid": -0.1}, "Split: `valid` must be in [0, 1). Received: valid=-0.1."),
    ({"test": 1}, "Split: `test` must be in [0, 1). Received: test=1.0."),
    ({"test": float("nan")}, "Split: `test` must be in [0, 1). Received: test=nan."),
    ({"valid": 0.5, "test": 0.5}, "Split: `valid` + `test` must leave training rows. Received: 0.5 + 0.5."),
    ({"valid_from": 5}, "Split: `valid_from` and `test_from` must be given together."),
    ({"test_from": 5}, "Split: `valid_from` and `test_from` must be given together."),
    ({"valid_from": 6, "test_from": 5}, "Split: `valid_from` must not be after `test_from`. "
     "Received: valid_from=6, test_from=5."),
    ({"by": "user", "valid_from": 5, "test_from": 6}, "Split: `valid_from` goes with by='time' only. "
     "Received: by='user'."),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "text"), WRONG_KEYS)
def test_wrong_keys_and_shapes(place: str, value: object, text: str) -> None:
    _refused(_changed(place, value), text)


def test_a_key_that_is_no_text() -> None:
    _refused({**GOOD, 7: 3}, "Problem: unknown key 7. Known keys: ")


@pytest.mark.parametrize(("place", "value", "text"), WRONG_TYPES)
def test_wrong_types_and_ranges(place: str, value: object, text: str) -> None:
    _refused(_changed(place, value), text)


@pytest.mark.parametrize(("place", "value"), WRONG_NAMES)
def test_names_are_plain_identifiers(place: str, value: str) -> None:
    argument = place.rpartition(".")[2]
    rule = "must be letters, digits and single underscores, not starting with a digit nor ending with an underscore"
    _refused(
        _changed(place, value),
        f"`{argument}` {rule}. Received: {argument}={value!r}. Use another one; a feature's `column`",
    )


@pytest.mark.parametrize("name", ["class", "from", "self", "None"])
def test_words_of_python_are_no_features(name: str) -> None:
    """The export would fail on them, after all the work."""
    text = (
        f"`name` must not be a word of Python's own: it is an argument of the exported model. Received: name='{name}'"
    )
    _refused(_changed("features.0.name", name), f"{text}. Use another one; a feature")
    _refused(_changed("keys.time", name), "`time` must not be a word of Python's own: it is an argument")


def test_names_fit_into_files_names() -> None:
    _refused(
        _changed("features.0.name", "x" * 260), "`name` must have at most 200 characters, since it becomes a file's"
    )


@pytest.mark.parametrize(("place", "value", "text"), WRONG_TOGETHER)
def test_parts_that_do_not_fit_together(place: str, value: object, text: str) -> None:
    _refused(_changed(place, value), text)


@pytest.mark.parametrize(("split", "text"), WRONG_SPLITS)
def test_splits(split: dict[str, object], text: str) -> None:
    _refused({**GOOD, "split": split}, text)


@pytest.mark.parametrize(
    ("by", "text"),
    [
        ("time", "Problem: a split by time needs `keys.time`. Received: time=None. Use by: user, row or column."),
        ("user", "Problem: a split by user needs `keys.user`. Received: user=None. Use by: row or column."),
    ],
)
def test_a_split_needs_its_key(by: str, text: str) -> None:
    _refused({**GOOD, "sequences": [], "keys": {}, "split": {"by": by}}, text)


@pytest.mark.parametrize("keys", [{}, {"user": "user"}, {"time": "ts"}])
def test_a_label_window_needs_user_and_time(keys: dict[str, str]) -> None:
    task = {"kind": "binary", "name": "later", "label_window": {"when": "buy == 1", "hours": 2}}
    mapping = {**GOOD, "sequences": [], "keys": keys, "tasks": [task], "split": {"by": "column", "column": "part"}}
    _refused(mapping, "Problem: the label_window of task 'later' needs `keys.user` and `keys.time`. Received: user=")


@pytest.mark.parametrize(
    ("first", "second", "argument"),
    [
        ({}, {"dim": 8}, "dim"),
        ({}, {"min_count": 2}, "min_count"),
        ({"max_size": 5}, {}, "max_size"),
        ({"hash_buckets": 5}, {}, "hash_buckets"),
    ],
)
def test_features_of_one_table_must_agree(first: dict[str, int], second: dict[str, int], argument: str) -> None:
    features = (CategoricalFeature("item", **first), CategoricalFeature("last", table="item", **second))
    text = f"Problem: features 'item' and 'last' share table 'item' but differ in `{argument}`: "
    with pytest.raises(ProblemError, match=re.escape(text)):
        Problem("shop", features, (BinaryTask("click"),), Keys("user", "ts"))


@pytest.mark.parametrize("numeric_first", [True, False])
def test_a_table_cannot_be_numeric_and_categorical(numeric_first: bool) -> None:
    features = (NumericFeature("price", dim=16), CategoricalFeature("item", table="price"))
    with pytest.raises(ProblemError, match="table 'price'"):
        Problem("shop", features[:: 1 if numeric_first else -1], (BinaryTask("click"),), Keys("user", "ts"))


@pytest.mark.parametrize("change", [{"min_count": 2}, {"max_size": 5}])
def test_hashing_learns_no_vocabulary(change: dict[str, int]) -> None:
    with pytest.raises(ProblemError, match="CategoricalFeature 'item': `hash_buckets` must not be combined"):
        CategoricalFeature("item", hash_buckets=9, **change)


@pytest.mark.parametrize("column", ["time", "gap"])
def test_an_event_column_must_not_hide_the_events_time(column: str) -> None:
    features = (CategoricalFeature(column),)
    text = f"Problem: sequence 'seen' must not have a column '{column}'"
    with pytest.raises(ProblemError, match=re.escape(text)):
        Problem("p", features, (BinaryTask("y"),), Keys("u", "ts"), (SequenceFeature("seen", (column,)),))


def test_tensor_names_of_two_sequences_never_meet() -> None:
    assert SequenceFeature("a", ("_b",)).column_key("_b") == "a___b"
    with pytest.raises(ProblemError, match=r"nor ending with an underscore. Received: name='a_'"):
        SequenceFeature("a_", ("b",))  # would be a___b, too


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        ("features", (BinaryTask("x"),), "`features[0]` must be FeatureRecord."),
        ("tasks", ("click",), "`tasks[0]` must be TaskRecord. Received: tasks[0]='click' (str)."),
        ("keys", {"user": "u"}, "`keys` must be Keys. Received: keys={'user': 'u'} (dict)."),
        ("split", None, "`split` must be Split. Received: split=None (NoneType)."),
        ("sequences", SequenceFeature("s", ("item",)), "`sequences` must be a list of SequenceFeature."),
    ],
)
def test_wrong_objects_in_python(name: str, wrong: object, text: str) -> None:
    parts: dict[str, Any] = {
        "features": (CategoricalFeature("item"),), "tasks": (BinaryTask("click"),), "keys": Keys("user", "ts"),
    }  # fmt: skip
    with pytest.raises(ProblemError, match=re.escape(f"Problem: {text}")):
        Problem("shop", **{**parts, name: wrong})


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("sequences.0.when", "sequences[0]: Condition: cannot read"),
        ("tasks.2.sample_space", "tasks[2]: Condition: cannot read"),
        ("examples", "Problem: `examples`: Condition: cannot read"),
    ],
)
def test_a_condition_says_where_it_stands(place: str, where: str) -> None:
    _refused(_changed(place, "click is 1"), f"{where} 'click is 1' in 'click is 1'. Write `column operator constant`")


def _refused(mapping: dict[Any, Any], text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Problem.from_dict(mapping)
    assert text in str(caught.value)
