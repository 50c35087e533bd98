"""Each step runs once; what has changed runs again, and what depends on it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from running_processes import is_running

from dataset_conversion.faults import Fault
from dataset_conversion.processes import stop, supervised
from nnunet_seqdropout.study.state import State
from nnunet_seqdropout.study.steps import Step, Steps


def copying(folder: Path, source: str, target: str, **options) -> Step:
    """Appends the source to the target, so that the target tells how often it ran."""
    given = {"inputs": [folder / source], **options}
    command = ["sh", "-c", f"cat {folder / source} >> {folder / target}"]
    return Step(name=f"make/{target}", commands=[command], outputs=[folder / target], **given)


def chain(folder: Path, *, word: str = "") -> Steps:
    """a -> b -> c."""
    (folder / "a").write_text(f"once{word}\n")
    first = copying(folder, "a", "b", arms=frozenset(["left"]))
    second = copying(folder, "b", "c", inputs=[], after=["make/b"], arms=frozenset(["left", "right"]))
    return Steps(State(folder), [first, second], {})


def lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def test_a_step_runs_once(tmp_path):
    for _ in range(3):
        chain(tmp_path).run()
    assert (lines(tmp_path / "b"), lines(tmp_path / "c")) == (1, 1)


def test_other_content_of_an_input_runs_all_that_depends_on_it(tmp_path):
    chain(tmp_path).run()
    chain(tmp_path, word=" more").run()
    assert (tmp_path / "b").read_text() == "once\nonce more\n"
    assert (tmp_path / "c").read_text() == "once\nonce\nonce more\n"


def test_another_result_of_the_same_command_runs_what_depends_on_it(tmp_path):
    """A training on a GPU that is repeated gives other weights: predictions of the first must not stand for it."""
    chain(tmp_path).run()
    (tmp_path / "b").unlink()
    (tmp_path / "other").write_text("otherwise\n")
    steps = chain(tmp_path)
    steps.run("left")
    assert lines(tmp_path / "c") == 1  # the same bytes: nothing to do
    script = f"cat {tmp_path / 'a'} > {tmp_path / 'b'}; date +%N >> {tmp_path / 'b'}"
    first = replace(steps.steps["make/b"], commands=[["sh", "-c", script]])
    noisy = Steps(State(tmp_path), [first, steps.steps["make/c"]], {})
    noisy.run()
    (tmp_path / "b").unlink()
    before = (tmp_path / "c").read_text()
    noisy.run()
    assert (tmp_path / "c").read_text() != before


def test_what_is_hidden_in_a_folder_changes_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "image").write_text("1")
    step = Step("count", [["sh", "-c", f"echo x >> {tmp_path / 'n'}"]], [tmp_path / "n"], inputs=[tmp_path / "in"])
    Steps(State(tmp_path), [step], {}).run()
    (tmp_path / "in" / ".DS_Store").write_text("2")
    Steps(State(tmp_path), [step], {}).run()
    assert lines(tmp_path / "n") == 1


def test_an_input_that_was_written_again_with_the_same_content_runs_nothing(tmp_path):
    chain(tmp_path).run()
    os.utime(tmp_path / "a", (1, 1))
    chain(tmp_path).run()
    assert lines(tmp_path / "c") == 1


def test_an_output_that_was_changed_or_removed_is_made_again(tmp_path):
    chain(tmp_path).run()
    (tmp_path / "c").write_text("broken")
    assert not chain(tmp_path).is_done(chain(tmp_path).steps["make/c"])
    chain(tmp_path).run()
    assert (tmp_path / "c").read_text() == "once\n"  # the altered file was not gone on in
    (tmp_path / "c").unlink()
    chain(tmp_path).run()
    assert (tmp_path / "c").read_text() == "once\n"
    assert lines(tmp_path / "b") == 1


def test_words_that_do_not_change_the_result_do_not_run_it_again(tmp_path):
    (tmp_path / "a").write_text("once\n")
    step = copying(tmp_path, "a", "b")
    Steps(State(tmp_path), [replace(step, how=["-device", "cpu"])], {}).run()
    Steps(State(tmp_path), [replace(step, how=["-device", "cuda"], environment={"A": "1"})], {}).run()
    assert lines(tmp_path / "b") == 1
    changed = ["sh", "-c", f"echo other >> {tmp_path / 'b'}"]
    Steps(State(tmp_path), [replace(step, commands=[changed])], {}).run()
    assert lines(tmp_path / "b") == 2


def test_a_folder_that_was_moved_is_still_done(tmp_path):
    (tmp_path / "here").mkdir()
    chain(tmp_path / "here").run()
    (tmp_path / "here").rename(tmp_path / "there")
    chain(tmp_path / "there").run()
    assert lines(tmp_path / "there" / "c") == 1


def test_one_arm_runs_its_own_steps_alone(tmp_path):
    (tmp_path / "a").write_text("once\n")
    steps = [copying(tmp_path, "a", name, arms=frozenset([name])) for name in ("left", "right")]
    Steps(State(tmp_path), steps, {}).run("right")
    assert (tmp_path / "right").is_file()
    assert not (tmp_path / "left").exists()


def test_a_command_that_fails_is_named_with_the_log_and_what_was_done_stays_done(tmp_path):
    good = chain(tmp_path)
    bad = Step("bad", [["sh", "-c", "echo the reason; exit 3"]], [tmp_path / "d"], after=["make/c"])
    with pytest.raises(Fault, match="exit 3") as caught:
        Steps(State(tmp_path), [*good.steps.values(), bad], {}).run()
    assert "study.log" in caught.value.remedy
    assert "the reason" in (tmp_path / "study.log").read_text()
    with pytest.raises(Fault, match="exit 3"):
        Steps(State(tmp_path), [*good.steps.values(), bad], {}).run()
    assert lines(tmp_path / "c") == 1


def test_a_command_that_writes_nothing_has_not_done_its_step(tmp_path):
    with pytest.raises(Fault, match="did not write"):
        Steps(State(tmp_path), [Step("idle", [["true"]], [tmp_path / "d"])], {}).run()


def test_an_interrupted_step_goes_on_in_its_folder_and_begins_anew_when_its_inputs_change(tmp_path):
    scratch = tmp_path / "work"
    (tmp_path / "a").write_text("1")

    def steps(code: int) -> Steps:
        script = f"mkdir -p {scratch}; echo x >> {scratch / 'log'}; exit $(cat {tmp_path / 'code'})"
        (tmp_path / "code").write_text(str(code))
        return Steps(
            State(tmp_path), [Step("s", [["sh", "-c", script]], [scratch], inputs=[tmp_path / "a"], folder=scratch)], {}
        )

    with pytest.raises(Fault):
        steps(1).run()
    steps(0).run()
    assert lines(scratch / "log") == 2
    (tmp_path / "a").write_text("2")
    steps(0).run()
    assert lines(scratch / "log") == 1
    assert lines(tmp_path / "replaced" / "s.1" / "log") == 2


def test_what_was_made_by_hand_from_the_printed_script_is_gone_on_in(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "checkpoint").write_text("of 20 hours")
    command = ["sh", "-c", f"touch {tmp_path / 'work' / 'final'}"]
    Steps(State(tmp_path), [Step("s", [command], [tmp_path / "work"], folder=tmp_path / "work")], {}).run()
    assert (tmp_path / "work" / "checkpoint").read_text() == "of 20 hours"


SLOW = """
import logging
import signal
import sys
from pathlib import Path
from nnunet_seqdropout.cli.process.stopping import stoppable
from nnunet_seqdropout.study.state import State
from nnunet_seqdropout.study.steps import Step, Steps

logging.basicConfig(level=logging.INFO)
folder = Path(sys.argv[1])
wait = f"while ! test -e {folder / 'go'}; do sleep 0.05; done"
script = f"echo $$ >> {folder / 'begun'}; {wait}; echo done > {folder / 'out'}"
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts beside it ignores it
with stoppable():
    Steps(State(folder), [Step("slow", [["sh", "-c", script]], [folder / "out"])], {}).run()
"""


def begin(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(folder)], start_new_session=True)
    wait_for((folder / "begun").exists)
    return process


def wait_for(condition) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def second_beside(folder: Path) -> subprocess.Popen:
    """Another process that wants the same step, once it says that it waits."""
    log = (folder / "second.log").open("w")
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(folder)], stderr=log)
    wait_for(lambda: "waiting for process" in (folder / "second.log").read_text())
    return process


def test_two_processes_do_not_run_the_same_step(tmp_path):
    first, second = begin(tmp_path), second_beside(tmp_path)
    (tmp_path / "go").touch()
    assert (first.wait(), second.wait()) == (0, 0)
    assert lines(tmp_path / "begun") == 1


def test_row_58_a_killed_study_takes_its_command_along_and_another_goes_on(tmp_path):
    process = begin(tmp_path)
    command = int((tmp_path / "begun").read_text())
    process.kill()
    process.wait()
    second = second_beside(tmp_path)
    wait_for(lambda: lines(tmp_path / "begun") == 2)
    assert not is_running(command)
    (tmp_path / "go").touch()
    assert second.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_row_58_a_study_that_is_stopped_stops_its_command(tmp_path, number):
    process = begin(tmp_path)
    command = int((tmp_path / "begun").read_text())
    process.send_signal(number)
    assert process.wait(10) != 0
    assert not is_running(command)
    assert "Traceback" not in (tmp_path / "study.log").read_text()


def test_a_command_that_does_not_end_by_sigterm_is_killed(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    words = supervised([sys.executable, "-c", deaf])
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    stop(process, grace_s=0.5)
    assert process.stdout.read() == b""  # nobody has it open any more
    process.stdout.close()


def test_what_a_killed_command_leaves_behind_does_not_hold_the_step(tmp_path):
    step = Step("train", [["sh", "-c", f"sleep 60 & echo $! > {tmp_path / 'worker'}; kill -9 $$"]], [tmp_path / "n"])
    with pytest.raises(Fault, match="failed"):
        Steps(State(tmp_path), [step], {}).run()
    worker = int((tmp_path / "worker").read_text())
    os.kill(worker, 0)
    (lock,) = (tmp_path / "locks").glob("train*")
    with lock.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.kill(worker, signal.SIGKILL)


def test_a_killed_step_runs_again(tmp_path):
    process = begin(tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    subprocess.run([sys.executable, "-c", SLOW, str(tmp_path)], check=True)
    assert lines(tmp_path / "begun") == 2
    assert json.loads((tmp_path / "state.json").read_text())["steps"]["slow"]["done"]


def test_the_shell_script_says_what_is_done_and_runs(tmp_path):
    chain(tmp_path).run()
    (tmp_path / "c").unlink()
    script = chain(tmp_path).shell()
    assert script.count("## make: these do not depend on each other") == 1
    assert "# make/b (done)\n" in script
    assert "# make/c\n" in script
    (tmp_path / "b").unlink()
    subprocess.run(["sh", "-c", script], check=True)
    assert (tmp_path / "c").read_text() == "once\n"


def test_a_variable_of_a_step_stands_before_its_command(tmp_path):
    step = Step("s", [["sh", "-c", f'echo "$COLOUR" > {tmp_path / "out"}']], [tmp_path / "out"])
    steps = Steps(State(tmp_path), [replace(step, environment={"COLOUR": "dark green"})], {})
    steps.run()
    assert (tmp_path / "out").read_text() == "dark green\n"
    (tmp_path / "out").unlink()
    subprocess.run(["sh", "-c", steps.shell()], check=True)
    assert (tmp_path / "out").read_text() == "dark green\n"
