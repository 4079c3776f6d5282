# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placeholders and overrides in model configurations, checked with Triton's own protobuf message."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _model_config as model_config
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._model_config import ConfigError
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._model_repository import render
from ansible_collections.tritonops.trtllm.tests.unit.support import upstream

TEMPLATE = """\
# Somebody's licence
# in two lines

name: "one"
backend: "${backend}"
max_batch_size: ${batch}  # not ${dir}
dynamic_batching { preferred_batch_size: [ ${batch} ] }
parameters: {
  key: "path"
  value: { string_value: "${dir}/${name}" }
}
# parameters: { key: "old" value: { string_value: "${gone}" } }
parameters { key: "single" value { string_value: '${quoted}' } }
"""
VALUES = {"backend": "python", "batch": 4}
# Our own template with all peculiarities of upstream's: separators, indentation, and quotes, brackets,
# fields and placeholders in comments.
ODD = """\
# Somebody's licence, ``AS IS''
#  * with a list

name: "one"
backend: "${backend}"
max_batch_size: ${batch}
model_transaction_policy {}

input [
  # the "first" one: a, doesn't matter }
  {
    name: "a",
    data_type: ${type},
    dims: [ -1, 3 ]
  },
  # 'b' is scalar [ batch,
  #
  # "zero": 0   # the first
  {
      name: "b"
\tdata_type: TYPE_INT32
\tdims: [ 1 ]
    reshape: { shape: [ ] }
\toptional: true
  }
]
instance_group [
  {
    count: ${batch}
    kind : KIND_CPU
  }
]
# old is deprecated and doesn't have any effect
# parameters: {
#   key: "old"
#   value: {
#     string_value: "${old}"
#   }
# }
parameters: {
  key: "path"
    value: {
      string_value: "${dir}"
  }
}
parameters {
  key: "fixed"
  value: {
    string_value: "no"
  }
}
ensemble_scheduling {
  step [
    {
      model_name: "one"
      input_map {
          key: "a"
          value: "x"
      },
      input_map {
        key: "b"
        value: "y"
      }
    }
  ]
}
"""


def problems(template: str, values: dict[str, t.Any], required: t.Sequence[str] = ()) -> list[str]:
    with pytest.raises(ConfigError) as failed:
        render(template, values, {}, required)
    return failed.value.problems


def test_placeholders_with_their_lines_but_not_those_in_comments() -> None:
    assert model_config.placeholders(TEMPLATE) == [
        ("backend", 5, True),
        ("batch", 6, False),
        ("batch", 7, False),
        ("dir", 10, True),
        ("name", 10, True),
        ("quoted", 13, True),
    ]


def test_filling_changes_nothing_else() -> None:
    text = render(TEMPLATE, {**VALUES, "dir": "/x"}, {}, [])
    assert text == TEMPLATE.replace("${backend}", "python").replace("${batch}", "4").replace('"${dir}/', '"/x/')
    assert model_config.unfilled(text) == ["name", "quoted"]


def test_filling_text_with_upstreams_peculiarities() -> None:
    text = render(ODD, {"backend": "python", "batch": 4, "type": "TYPE_FP16", "dir": "/x"}, {}, ["dir"])
    # Lines without a placeholder, or with one in a comment, are unchanged.
    changed = [(old, new) for old, new in zip(ODD.splitlines(), text.splitlines()) if old != new]
    assert changed == [
        ('backend: "${backend}"', 'backend: "python"'),
        ("max_batch_size: ${batch}", "max_batch_size: 4"),
        ("    data_type: ${type},", "    data_type: TYPE_FP16,"),
        ("    count: ${batch}", "    count: 4"),
        ('      string_value: "${dir}"', '      string_value: "/x"'),
    ]
    assert len(text.splitlines()) == len(ODD.splitlines()) and model_config.unfilled(text) == []
    config = model_config.parse(text)
    assert [(tensor.name, list(tensor.dims), tensor.HasField("reshape")) for tensor in config.input] == [
        ("a", [-1, 3], False),
        ("b", [1], True),
    ]
    assert config.HasField("model_transaction_policy")
    assert config.ensemble_scheduling.step[0].input_map == {"a": "x", "b": "y"}
    assert {key: value.string_value for key, value in config.parameters.items()} == {"path": "/x", "fixed": "no"}


def test_an_override_of_text_with_upstreams_peculiarities() -> None:
    text = model_config.fill(ODD, {"backend": "python", "batch": 4, "type": "TYPE_FP16"})
    overrides = {"max_batch_size": 8, "instance_group": [{"count": 2}], "parameters": {"fixed": "yes"}}
    changed = model_config.apply_overrides(text, overrides)
    config = model_config.parse(changed)
    assert (config.instance_group[0].count, config.parameters["fixed"].string_value) == (2, "yes")
    group, comment, fixed, rest = (
        text.index(words) for words in ("instance_group", "# old is", "parameters {\n  key", "ensemble_scheduling")
    )
    assert changed.startswith(text[:group].replace("max_batch_size: 4", "max_batch_size: 8"))
    assert text[comment:fixed] in changed and changed.endswith(text[rest:])


@pytest.mark.parametrize(
    "value",
    [
        "a,b:c \"quoted\" 'single' \\ back",
        "tab\tnew\nline\r\x01",
        "${batch}",
        "ünïcode ✓",
        "C:\\new\\1",
        "# no comment",
        "",
    ],
)
def test_any_value_can_be_quoted(value: str) -> None:
    config = model_config.parse(render(TEMPLATE, {**VALUES, "dir": value, "name": "n", "quoted": value}, {}, []))
    assert config.parameters["path"].string_value == f"{value}/n"
    assert config.parameters["single"].string_value == value


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (0.85, "0.85"), (7, "7"), ("x", "x")])
def test_scalars_are_written_as_the_backend_reads_them(value: t.Any, text: str) -> None:
    assert (
        model_config.parse(render(TEMPLATE, {**VALUES, "quoted": value}, {}, [])).parameters["single"].string_value
        == text
    )


def test_all_problems_of_a_template_are_reported_at_once() -> None:
    found = problems(TEMPLATE, {"bakcend": "python", "gone": 1, "dir": ["/x"]}, ["dir", "quotde"])
    assert found[0] == (
        "the template has no placeholder 'bakcend', but the value 'python' was given for it (did you mean backend?)"
    )
    assert found[1].startswith("the template has no placeholder 'gone'")
    assert found[2] == "the template has no placeholder 'quotde', but it is listed as required (did you mean quoted?)"
    assert found[3] == "placeholder 'batch' (config.pbtxt line 6) needs a value, because it is not quoted"
    assert found[4] == "placeholder 'dir' (config.pbtxt line 10) must be a string, number or boolean, not ['/x']"
    assert len(found) == 5


def test_a_required_placeholder_in_quotes() -> None:
    assert problems(TEMPLATE, VALUES, ["dir"]) == [
        "placeholder 'dir' (config.pbtxt line 10) needs a value, because the server cannot run without it"
    ]
    assert problems(TEMPLATE, {**VALUES, "dir": None}, ["dir"])


@pytest.mark.parametrize("value", ["1 }", "4 max_batch_size: 5", "", '"4"', "1\n"])
def test_no_value_breaks_out_of_its_place(value: str) -> None:
    assert "must be one word or number" in problems(TEMPLATE, {**VALUES, "batch": value})[0]


def test_a_syntax_error_has_its_line_and_column() -> None:
    with pytest.raises(ConfigError) as failed:
        model_config.parse(render(TEMPLATE, {**VALUES, "batch": "many"}, {}, []))
    assert re.match(r"config.pbtxt line 6, column 17: .*many.* in: max_batch_size: many  # not", str(failed.value))


def test_overrides() -> None:
    text = render(
        TEMPLATE,
        {**VALUES, "dir": "/x"},
        {
            "max_batch_size": 1,
            "instance_group": [{"count": 2, "kind": "KIND_CPU"}],
            "dynamic_batching": {"max_queue_delay_microseconds": 100},
            "parameters": {"path": '/other "path"', "new": True, "single": None},
        },
        ["dir"],
    )
    config = model_config.parse(text)
    assert config.max_batch_size == 1
    assert [(group.count, group.kind) for group in config.instance_group] == [(2, 2)]
    # Messages merge, lists are replaced.
    assert list(config.dynamic_batching.preferred_batch_size) == [4]
    assert config.dynamic_batching.max_queue_delay_microseconds == 100
    assert {key: value.string_value for key, value in config.parameters.items()} == {
        "path": '/other "path"',
        "new": "true",
    }
    assert text.startswith("# Somebody's licence\n# in two lines\n\nname:")


def test_overrides_replace_lists() -> None:
    once = render(TEMPLATE, VALUES, {"instance_group": [{"count": 2}, {"count": 3}]}, [])
    config = model_config.parse(model_config.apply_overrides(once, {"instance_group": [{"count": 5}]}))
    assert [group.count for group in config.instance_group] == [5]


def test_an_override_keeps_everything_else() -> None:
    """Lines keep their order and comments; new fields are added at the end."""
    text = model_config.fill(TEMPLATE, VALUES)
    overrides = {
        "max_batch_size": 1,
        "backend": "python",
        "parameters": {"path": "/x", "new": 1},
        "instance_group": [{"count": 2}],
    }
    changed = model_config.apply_overrides(text, overrides)
    before, after = text.splitlines(), changed.splitlines()
    start = before.index("parameters: {")
    assert after[:5] == before[:5] and after[6] == before[6]
    assert after[5] == "max_batch_size: 1  # not ${dir}"
    assert after[start : start + 6] == [
        "parameters {",
        '  key: "path"',
        "  value {",
        '    string_value: "/x"',
        "  }",
        "}",
    ]
    assert after[start + 6 : start + 8] == before[start + 4 : start + 6]
    assert after[start + 8] == "instance_group {" and changed.endswith('    string_value: "1"\n  }\n}\n')
    assert model_config.apply_overrides(changed, overrides) == changed


def test_an_entry_of_a_list_can_be_replaced() -> None:
    text = 'name: "one"\n# Kept.\nparameters [ { key: "a" }, { key: "b" value { string_value: "b" } } ]\n'
    changed = model_config.apply_overrides(text, {"parameters": {"a": "x"}})
    assert changed.startswith('name: "one"\n# Kept.\nparameters {') and changed.count("parameters") == 2


def test_removed_fields_leave_no_gap() -> None:
    text = render(TEMPLATE, VALUES, {"parameters": {"path": None, "single": None}}, [])
    wanted = [line for line in model_config.fill(TEMPLATE, VALUES).splitlines() if not line.startswith("parameters {")]
    start = wanted.index("parameters: {")
    assert text.splitlines() == wanted[:start] + wanted[start + 4 :]


@pytest.mark.parametrize(
    "text",
    [
        'name: "one" max_batch_size: 4 parameters [ { key: "a" value { string_value: "1" } }, { key: "b" } ]',
        'name: "one"; max_batch_size: 4; parameters < key: "a" >; parameters { key: "b" }; parameters { key: "a" };',
        "name: 'one' # }\nmax_batch_size # odd\n : 4\nparameters # odd\n { key: '}\\'' } instance_group [ ]",
        'max_batch_size: 0 name: "o" "ne" instance_group {count: 1} version_policy {all {}} instance_group {count: 3}',
    ],
    ids=["lists", "separators", "comments", "repeated"],
)
def test_overrides_work_with_every_form_of_text(text: str) -> None:
    overrides = {
        "max_batch_size": 8,
        "instance_group": [{"count": 2}],
        "parameters": {"a": "2", "b": None, "version_policy": "x", "max_batch_size": "y"},
    }
    config = model_config.parse(model_config.apply_overrides(text, overrides))
    assert (config.name, config.max_batch_size) == ("one", 8)
    assert [group.count for group in config.instance_group] == [2]
    parameters = {key: value.string_value for key, value in config.parameters.items() if value.string_value}
    assert parameters == {"a": "2", "version_policy": "x", "max_batch_size": "y"}
    assert config.HasField("version_policy") == ("version_policy {" in text)


def test_an_override_can_set_a_required_placeholder() -> None:
    text = render(TEMPLATE, VALUES, {"parameters": {"path": "/y"}}, ["dir"])
    assert model_config.parse(text).parameters["path"].string_value == "/y"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"max_batchsize": 1}, r"override max_batchsize = 1: .*no field named .*did you mean max_batch_size"),
        (
            {"instance_group": [{"cuont": 1}]},
            r"override instance_group = .*cuont.*instance_group\[0\].*did you mean count",
        ),
        ({"instance_group": [{"kind": "KIND_TPU"}]}, r"KIND_TPU.*instance_group\[0\].kind"),
        ({"instance_group": {"count": 1}}, r"override instance_group = .*must be in \[\]"),
        ({"max_batch_size": "many"}, r"override max_batch_size = 'many': .*many"),
        ({"model_transaction_policy": {"decoupled": "yes"}}, r"decoupled.*without quotes"),
        ({"parameters": {"path": {"string_value": "x"}}}, r"override parameters.path must be a string"),
    ],
)
def test_overrides_that_do_not_match_the_schema_are_refused(overrides: dict[str, t.Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        render(TEMPLATE, VALUES, overrides, [])


def test_configurations_that_parse_but_triton_rejects() -> None:
    other = model_config.parse('name: "other"')
    assert model_config.config_problems("one", other) == [
        "the configuration's name is 'other', but Triton needs the folder's name 'one'",
        "the configuration names neither a backend nor a platform",
    ]
    unfilled = model_config.parse(render(TEMPLATE, {"batch": 1}, {}, []))
    assert model_config.config_problems("one", unfilled) == ["'${backend}' is not a valid name of a backend"]
    assert model_config.config_problems("one", model_config.parse(render(TEMPLATE, VALUES, {}, []))) == []


ENSEMBLE = """
name: "both" platform: "ensemble" max_batch_size: 4
input [ { name: "text" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "answer" data_type: TYPE_STRING dims: [ 1 ] } ]
ensemble_scheduling { step [ {
  model_name: "one" model_version: -1
  input_map { key: "QUERY" value: "text" } output_map { key: "REPLY" value: "answer" }
} ] }
"""
STEP = """
name: "one" backend: "python" max_batch_size: 4
input [ { name: "QUERY" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "REPLY" data_type: TYPE_STRING dims: [ 1 ] } ]
"""


def flaws(ensemble: str, step: str = STEP) -> list[str]:
    configs = {"both": model_config.parse(ensemble), "one": model_config.parse(step)}
    return model_config.ensemble_problems(configs).get("both", [])


def test_a_consistent_ensemble_is_accepted() -> None:
    assert flaws(ENSEMBLE) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('model_name: "one"', 'model_name: "onr"', "model 'onr', which is not in the repository (did you mean one?)"),
        ('key: "QUERY"', 'key: "QUERRY"', "maps input 'QUERRY', which it does not have (did you mean QUERY?)"),
        ('key: "REPLY"', 'key: "OUTPUT"', "maps output 'OUTPUT', which it does not have"),
        ('value: "text"', 'value: "txet"', "tensor 'txet' is used by a step, but no step produces it"),
        ('value: "answer"', 'value: "other"', "no step produces output 'answer'"),
        ("max_batch_size: 4", "max_batch_size: 8", "max_batch_size 8 is more than the 4 of its model 'one'"),
    ],
)
def test_an_inconsistent_ensemble_is_refused(old: str, new: str, problem: str) -> None:
    assert old in ENSEMBLE
    found = flaws(ENSEMBLE.replace(old, new))
    assert len(found) == 1 and problem in found[0]


@pytest.mark.parametrize("release", upstream.RELEASES)
def test_upstreams_templates(release: str) -> None:
    configs = {}
    for model, template in upstream.templates(release).items():
        values = upstream.values(template)
        configs[model] = model_config.parse(render(template, values, {}, []))
        assert model_config.config_problems(model, configs[model]) == []
        every = {item.name: values.get(item.name, "x,y:z") for item in model_config.placeholders(template)}
        assert model_config.unfilled(render(template, every, {}, list(every))) == []
    assert sorted(configs) == sorted(upstream.MODELS)
    assert model_config.ensemble_problems(configs) == {}
