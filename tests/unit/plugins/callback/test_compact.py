# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-playbook prints with the callback, in small plays on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.callback.compact import described

ONE: dict[str, dict[str, Any]] = {"one": {}}
BOTH = {**ONE, "two": {}}
SECRET = "s3cret"


def printed(
    folder: Path,
    tasks: list[dict[str, Any]],
    *options: str,
    inventory: dict[str, dict[str, Any]] | None = None,
    callback: str = "tritonops.trtllm.compact",
    stream: str = "stdout",
    **play: Any,
) -> str:
    """The output of a play, without the recap."""
    hosts, playbook = folder / "hosts.json", folder / "play.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts.write_text(json.dumps({"all": {"hosts": inventory or BOTH, "vars": local}}))
    playbook.write_text(
        yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": tasks, **play}])
    )
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": callback}
    # One fork: the order of the hosts' results is that of the inventory.
    command = [str(program), "--forks", "1", "-i", str(hosts), str(playbook), *options]
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment, cwd=folder)
    assert "Callback dispatch" not in done.stderr, done.stderr
    assert stream == "stderr" or done.stdout.count("PLAY RECAP") == 1, done.stdout + done.stderr
    return done.stdout.partition("\nPLAY RECAP")[0] if stream == "stdout" else done.stderr


def run(argv: list[str], **keywords: Any) -> dict[str, Any]:
    return {"ansible.builtin.command": {"argv": argv}, **keywords}


def fail(message: Any, **keywords: Any) -> dict[str, Any]:
    return {"ansible.builtin.fail": {"msg": message}, **keywords}


@pytest.mark.long
def test_a_change_is_one_line_and_what_did_not_change_is_none(tmp_path: Path) -> None:
    only_one = "inventory_hostname == 'one'"
    tasks = [
        run(["true"], name="Change {{ what }}", changed_when=only_one, notify="Restart"),
        run(["true"], name="Change nothing", changed_when=False),
        run(["true"], name="Skip", when=False),
        run(["true"], name="Fold", loop=["a", "b", "c"], changed_when=f"{only_one} and item != 'b'"),
        run(["true"], name="Count", loop=["x" * 60, "y" * 60], changed_when=only_one),
    ]
    handlers = [run(["true"], name="Restart")]
    assert printed(tmp_path, tasks, vars={"what": "this"}, handlers=handlers).splitlines() == [
        "",
        "PLAY [Play]",
        "changed: [one] Change this",
        "changed: [one] Fold (a, c)",
        "changed: [one] Count (2 items)",
        "changed: [one] Restart",
    ]


def test_messages_are_text(tmp_path: Path) -> None:
    tasks: list[dict[str, Any]] = [
        {"name": "Say", "ansible.builtin.debug": {"msg": "a\n  b"}},
        {"name": "Say", "ansible.builtin.debug": {"msg": "{{ item }}!"}, "loop": [1, 2], "run_once": True},
        {"name": "Tell", "ansible.builtin.debug": {"var": "what"}, "changed_when": True, "run_once": True},
        {"name": "Hide", "ansible.builtin.debug": {"msg": "x", "verbosity": 1}},
        {"name": "Assert", "ansible.builtin.assert": {"that": True}},
    ]
    assert printed(tmp_path, tasks, vars={"what": {"a": [1]}}).splitlines()[2:] == [
        *("ok: [one] Say", "a", "  b", "ok: [two] Say", "a", "  b"),
        *("ok: [one] Say", "1!", "2!"),
        *("changed: [one] Tell", 'what: {"a": [1]}'),
    ]


def test_a_failure_is_its_message_and_what_else_is_known(tmp_path: Path) -> None:
    tasks = [
        fail("2 things:\n- a\n- b", name="Refuse"),
        {"name": "Assert", "ansible.builtin.assert": {"that": False, "fail_msg": "wrong"}},
        run(["ls", "/nowhere/at/all"], name="List"),
        run(["ls", "{{ nowhere }}"], name="Use what is undefined"),
        run(["echo", "this"], name="Judge", failed_when=True),
        fail(False, name="Say nothing"),
        fail("last", name="Refuse again"),
    ]
    for task in tasks[:-1]:
        task["ignore_errors"] = True
    text = printed(tmp_path, tasks, inventory=ONE)
    assert "failed (ignored): [one] Refuse\n2 things:\n- a\n- b\nfailed (ignored): [one] Assert\nwrong\nfailed" in text
    (listing,) = re.findall(r"\[one\] List\n(.*?)\nfailed", text, re.DOTALL)
    assert "non-zero return code" in listing and "rc: 2\n" in listing and "cmd: ls /nowhere/at/all" in listing
    assert re.search(r"^stderr: ls: .*/nowhere/at/all", listing, re.MULTILINE) and "stdout" not in listing
    assert "'nowhere' is undefined\nOrigin: " in text and "/play.yml:" in text
    assert "\nstdout: this\n" in text and "failed (ignored): [one] Say nothing\n" in text
    assert text.endswith("\nfailed: [one] Refuse again\nlast\n")
    assert not {"FAILED!", "fatal", "Traceback", "[ERROR]"} & set(text.split())


def test_the_items_of_a_loop_can_be_delegated_to_different_hosts(tmp_path: Path) -> None:
    tasks = [
        run(["true"], name="Tell both", loop=["one", "two"], delegate_to="{{ item }}"),
        run(["true"], name="Tell one", delegate_to="one"),
    ]
    text = printed(tmp_path, tasks, inventory={"one": {}, "two": {}, "three": {}}, hosts="three")
    assert "changed: [three] Tell both (one, two)\nchanged: [three -> one] Tell one" in text


@pytest.mark.long
def test_failed_items_follow_the_changed_ones(tmp_path: Path) -> None:
    loop = run(["{{ item }}"], name="Loop", loop=["true", "false", "/bin/true"], ignore_errors=True)
    templates = run(["{{ item.x }}"], name="Template", loop=[{"x": "true"}, {}], loop_control={"label": "-"})
    text = printed(tmp_path, [loop, templates], inventory=ONE)
    assert "changed: [one] Loop (true, false, /bin/true)\nfailed (ignored): [one] Loop (false)\n" in text
    assert text.count("[one] Loop") == 2 and "changed: [one] Template (-)\nfailed: [one] Template (-)\n" in text
    assert text.count("Origin: ") == 1


@pytest.mark.long
def test_a_failure_that_is_handled_does_not_look_like_the_end(tmp_path: Path) -> None:
    (tmp_path / "inner.yml").write_text(json.dumps([{"name": "Block", "block": [fail("deep", name="Fail inside")]}]))
    for way in ("import_tasks", "include_tasks"):
        inner = {f"ansible.builtin.{way}": "inner.yml"}
        handled = {
            "name": "Handle",
            "block": [inner],
            "rescue": [fail("over", name="Give up")],
            "always": [run(["true"])],
        }
        text = printed(tmp_path, [handled], inventory=ONE)
        assert "failed (rescued): [one] Fail inside\ndeep\nfailed: [one] Give up\nover\nchanged" in text
        # In the other sections there is nothing to handle it.
        handled = {"name": "Handle", "block": [run(["true"])], "rescue": [run(["true"])], "always": [inner]}
        assert "failed: [one] Fail inside\ndeep\n" in printed(tmp_path, [handled], inventory=ONE)


@pytest.mark.long
def test_one_failure_can_be_the_end_for_all_hosts(tmp_path: Path) -> None:
    tasks = [fail("no more", name="Fail", when="inventory_hostname == 'one'"), run(["true"], name="Go on")]
    text = printed(tmp_path, tasks, any_errors_fatal=True)
    assert text.endswith("PLAY [Play]\nfailed (any_errors_fatal): [one] Fail\nno more\n")
    assert printed(tmp_path, tasks).endswith("[one] Fail\nno more\nchanged: [two] Go on\n")


def test_a_task_that_is_tried_again_says_so_once(tmp_path: Path) -> None:
    again = run(["false"], name="Try", retries=3, delay=0, register="tried", until="tried is succeeded")
    text = printed(tmp_path, [again], inventory=ONE)
    assert re.search(r"PLAY \[Play\]\nretrying: \[one\] Try, \d more times\nfailed: \[one\] Try\n", text)
    assert text.count("retrying") == 1 and "\nattempts: 3\n" in text


def test_unreachable_hosts(tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho no route >&2\nexit 255\n")
    ssh.chmod(0o755)
    away = {"ansible_connection": "ssh", "ansible_host": "192.0.2.1", "ansible_ssh_executable": str(ssh)}
    tasks = [
        run(["true"], name="Reach", ignore_unreachable=True),
        run(["{{ item }}"], name="Reach items", loop=["true"], ignore_unreachable=True),
        run(["true"], name="Reach again"),
    ]
    text = printed(tmp_path, tasks, inventory={"away": {**away, "ansible_ssh_retries": 0}})
    for line in ("unreachable (ignored): [away] Reach", "unreachable (ignored): [away] Reach items (true)"):
        assert f"\n{line}\n" in text
    assert re.search(r"^unreachable: \[away\] Reach again\n.*no route", text, re.MULTILINE)


@pytest.mark.long
def test_what_is_secret_stays_so(tmp_path: Path) -> None:
    secret = {"no_log": True, "ignore_errors": True}
    tasks: list[dict[str, Any]] = [
        run(["echo", SECRET], name="Change", **secret),
        run(["ls", SECRET], name="Fail", **secret),
        run(["ls", "{{ item }}"], name="Loop", loop=["/", SECRET], **secret),
        run(["{{ nowhere[vault] }}"], name="Template", vars={"vault": SECRET, "nowhere": {}}, **secret),
        {"name": "Copy", "ansible.builtin.copy": {"content": SECRET, "dest": "{{ playbook_dir }}/x"}, **secret},
        {"name": "Show", "tritonops.trtllm.show": {"text": SECRET}, **secret},
    ]
    text = printed(tmp_path, tasks, "--diff", inventory=ONE)
    assert SECRET not in text and "(censored" not in text
    assert text.count("the output has been hidden") == 3 and "\nchanged: [one] Copy\n" in text


@pytest.mark.long
def test_diffs_are_shown_if_wanted_below_the_task(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    copy = {"content": "new\n", "dest": "{{ playbook_dir }}/{{ item }}"}
    tasks = [{"name": "Copy", "ansible.builtin.copy": copy, "loop": ["a", "b"]}, run(["true"], name="End")]
    text = printed(tmp_path, tasks, "--check", "--diff", inventory=ONE)
    assert "PLAY [Play] [CHECK MODE]\nchanged: [one] Copy (a, b)\n--- before" in text
    assert "\n-old\n+new\n" in text and f"\n+++ after: {tmp_path}/b\n@@ -0,0 +1 @@\n+new\n" in text
    assert printed(tmp_path, tasks, inventory=ONE).endswith("changed: [one] Copy (a, b)\nchanged: [one] End\n")


def test_a_play_without_hosts_is_one_line(tmp_path: Path) -> None:
    assert printed(tmp_path, [run(["true"])], hosts="nobody") == "\nPLAY [Play]: no hosts matched\n"


def test_warnings_of_tasks_that_are_not_shown_are(tmp_path: Path) -> None:
    tasks = [{"name": "Find", "ansible.builtin.find": {"paths": "/nowhere/at/all"}}]
    text = printed(tmp_path, tasks, inventory=ONE, stream="stderr")
    assert "[WARNING]: " in text and "/nowhere/at/all" in text


@pytest.mark.long
def test_verbose_is_the_default_callback(tmp_path: Path) -> None:
    tasks: list[dict[str, Any]] = [
        {"name": "Set", "ansible.builtin.set_fact": {"what": "{{ item }}"}, "loop": [1, 2], "when": "item == 1"},
        {"name": "Say", "ansible.builtin.debug": {"msg": "a\nb"}, "changed_when": True, "notify": "Restart"},
        {
            "name": "Copy",
            "ansible.builtin.copy": {"content": "a", "dest": "{{ playbook_dir }}/new"},
            "check_mode": True,
        },
        {"name": "Skip", "ansible.builtin.debug": {}, "when": False},
        {"name": "Handle", "block": [fail("no")], "rescue": [fail("not either", ignore_errors=True)]},
        fail("end"),
    ]
    handlers = [{"name": "Restart", "ansible.builtin.debug": {}}]
    text = printed(tmp_path, tasks, "-v", "--diff", "--force-handlers", inventory=ONE, handlers=handlers)
    assert "TASK [Skip] ***" in text and "...ignoring" in text and "RUNNING HANDLER [Restart]" in text
    default = {"callback": "ansible.builtin.default", "inventory": ONE, "handlers": handlers}
    assert text == printed(tmp_path, tasks, "-v", "--diff", "--force-handlers", **default)


def test_the_collections_own_messages_have_no_values_below_them() -> None:
    values = {"msg": "It failed", "log": ["a"], "exception": "x", "changed": False}
    assert described(values, "tritonops.trtllm.triton_health") == ["It failed"]
    assert described(values, "community.docker.docker_network") == ["It failed", 'log: ["a"]']
    crash = {"msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": "Traceback:\n\n  x\n", "rc": 1}
    assert described(crash, "tritonops.trtllm.triton_health") == [
        *("MODULE FAILURE", "module_stderr:", "  Traceback:", "", "    x", "rc: 1")
    ]
