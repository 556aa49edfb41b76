"""What a named policy class would trip over, and how a dataset is composed: each finding and its absence."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboscale import AuditDataset, audit_dataset
from roboscale.cli.app import app, parse
from roboscale.core import Field, Provenance, Spec
from roboscale.dataset import DatasetWriter
from roboscale.dataset.audit import audit_folder
from roboscale.dataset.audit.policies import POLICIES
from roboscale.dataset.checks import POLICY

NAMES = {check.name for check in POLICY}


def write(root: Path, *, size: int = 4, length: int = 130, episodes: int = 4, shift: float = 0.0, **more) -> Path:
    """Arms that follow their commands. `tasks`: text of each episode; `camera`: (H, W); `still`: elements at rest."""
    tasks, cameras, still = more.get("tasks", ["Put the cup down.", "Take the cup."]), more.get("cameras", {}), 0
    still, names = more.get("still", 0), more.get("names", ("observation.state", "action"))
    fields = [Field(name, (size,), "float32") for name in names]
    fields += [Field(f"observation.images.{name}", (*shape, 3), "uint8") for name, shape in cameras.items()]
    rng = np.random.default_rng(0)
    with DatasetWriter(root, Spec(tuple(fields), 20)) as writer:
        for number in range(episodes):
            take = writer.begin(tasks[number % len(tasks)], Provenance("test", licence="Apache-2.0"))
            phase, rate = rng.uniform(0, 6, size), rng.uniform(0.03, 0.1, size)
            moved = shift if number >= episodes * 2 / 3 else 0.0
            for t in range(length if isinstance(length, int) else length[number]):
                state = np.sin(phase + rate * t) + 0.05 * rng.normal(size=size) + moved
                state[:still] = 0.5
                action = state + 0.02 * rng.normal(size=size) * (state != 0.5)
                if more.get("outlier") and (number, t) == (1, 40):
                    action[0] = 400.0
                values = [state.astype(np.float32), action.astype(np.float32)]
                picture = {f.name: rng.integers(0, 255, f.shape, np.uint8) for f in fields[2:]}
                take.add({**dict(zip(names, values, strict=True)), **picture})
            take.save()
    return root


def found(root: Path, policy: str = "") -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for one in audit_folder(root, images=False, policy=policy).findings:
        texts.setdefault(one.check, []).append(f"{one.severity}: {one.text}")
    return texts


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound") / "set", cameras={"front": (96, 128)})


@pytest.mark.parametrize("policy", POLICIES)
def test_a_set_that_a_class_takes_has_notes_only(sound: Path, policy: str):
    assert set(found(sound, policy)) & NAMES <= {"policy-rate"}
    assert not set(found(sound)) & NAMES


def test_what_is_not_there_or_has_other_names_is_an_error(tmp_path: Path):
    root = write(tmp_path / "set", names=("observation.joints", "commands"))
    (texts,) = [found(root, "act")["policy-input"]]
    assert texts[0] == "error: ACT reads observation.state, which is not there; observation.joints may be meant"
    assert texts[1] == "error: ACT reads action, which is not there; commands may be meant"
    assert texts[2] == "error: ACT needs a camera, and there is none"
    assert found(root, "act")["policy-unused"] == ["info: ACT does not read observation.joints, commands"]


def test_sizes_of_vectors_and_pictures(tmp_path: Path):
    root = write(tmp_path / "wide", size=40, episodes=2, cameras={"front": (48, 64), "wrist": (96, 96)})
    assert "error: observation.state has 40 elements; pi0 takes at most 32" in found(root, "pi0")["policy-size"]
    assert "policy-size" not in found(root, "act")
    told = found(root, "diffusion")["policy-size"]
    assert any("front is 48x64; Diffusion Policy cuts out 84x84" in text for text in told)
    assert any("cameras of one size only" in text and "wrist 96x96" in text for text in told)


def test_what_normalisation_blows_up_or_squeezes(tmp_path: Path):
    root = write(tmp_path / "still", still=1, cameras={"front": (96, 96)})
    (text, _) = found(root, "smolvla")["policy-normalisation"]
    assert text.startswith("warning: [0] of observation.state never changes: SmolVLA divides by its mean and std")
    root = write(tmp_path / "far", outlier=True, cameras={"front": (96, 96)})
    (text,) = found(root, "diffusion")["policy-normalisation"]
    assert "[0] of action spans" in text and "..400, 98 % of it only" in text
    assert "policy-normalisation" not in found(root, "act")


def test_chunks_are_measured_against_episodes(tmp_path: Path):
    root = write(tmp_path / "short", length=[40, 40, 40, 5], cameras={"front": (96, 96)})
    (text,) = found(root, "act")["policy-chunk"]
    # frame t of n has t + 100 - n targets beyond the end: (3 * (4000 - 820) + (500 - 15)) of 12,500
    assert "100 actions, 5 s at 20 Hz: longer than 4 episodes of 4; 80 % of targets are padding" in text
    (text,) = found(root, "diffusion")["policy-chunk"]
    assert "1 episode of at most 7 frames: Diffusion Policy never trains on them" in text


def test_instructions_that_teach_nothing_or_are_cut_off(tmp_path: Path):
    one = write(tmp_path / "one", tasks=["Put the cup down."], cameras={"front": (96, 96)})
    assert "all 4 episodes have one instruction: SmolVLA learns nothing" in found(one, "smolvla")["policy-text"][0]
    assert "policy-text" not in found(one, "act")
    long = write(tmp_path / "long", tasks=["Put the cup down. " * 20, "Take it."], cameras={"front": (96, 96)})
    (text,) = found(long, "pi0")["policy-text"]
    assert "2 episodes with an instruction of over 192 characters" in text and "cuts the rest off" in text


def test_a_task_with_a_tenth_of_the_others_is_named(tmp_path: Path):
    texts = ["a b c"] * 4 + ["d e f"] * 4 + ["g h i"]
    root = write(tmp_path / "set", tasks=texts, episodes=9, length=[60] * 8 + [20])
    (text,) = found(root)["task-imbalance"]
    assert text.startswith("info: 1 task of 3 with a tenth") and "'g h i' with 20 in 1 episode" in text
    even = write(tmp_path / "even", tasks=texts[:8], episodes=8, length=60)
    assert "task-imbalance" not in found(even)


def test_the_last_third_is_compared_with_the_first(tmp_path: Path):
    root = write(tmp_path / "moved", episodes=30, length=40, shift=4.0, tasks=["Put the cup down."])
    (state, action) = found(root)["distribution-shift"]
    assert state.startswith("info: [0], [1], [2], [3] of observation.state moves elsewhere in the last third")
    assert "of action" in action
    for episodes, shift in ((30, 0.0), (12, 4.0)):  # nothing moved; too few to tell
        still = write(tmp_path / f"{episodes}", episodes=episodes, length=40, shift=shift, tasks=["Put the cup down."])
        assert "distribution-shift" not in found(still)


def test_the_command_asks_for_the_class_and_says_what_was_not_asked(sound: Path):
    request = parse(["data", "audit", str(sound), "--for", "diffusion"])
    assert request == AuditDataset(dataset=sound, for_policy="diffusion")
    assert parse(request.to_args()) == request
    done = CliRunner().invoke(app, ["data", "audit", str(sound), "--for", "act", "--workers", "0", "--no-images"])
    assert done.exit_code == 0 and "policy-rate: a chunk of ACT is 100 actions, 5 s at 20 Hz" in done.stdout, (
        done.stderr
    )
    report = audit_dataset(AuditDataset(dataset=sound, workers=0, images=False)).report
    assert {report.skipped[name] for name in NAMES} == {"no policy class was named"}
