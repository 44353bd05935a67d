""".github/: a release is refused before it is public, and a form can be filled in."""

from pathlib import Path
from typing import Any

from annotatedyaml import parse_yaml
import pytest

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
CHECKS = {"./.github/workflows/test.yml", "./.github/workflows/validate.yml"}


def read(name: str) -> dict[Any, Any]:
    """Return the content of a file; YAML reads the key `on` as True."""
    content = parse_yaml((GITHUB / name).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def jobs_of(name: str) -> dict[str, Any]:
    """Return the jobs of a workflow."""
    jobs: dict[str, Any] = read(f"workflows/{name}.yml")["jobs"]
    return jobs


def writes(job: dict[str, Any]) -> bool:
    """Return whether a job may change the repository, and so publish."""
    return "write" in job.get("permissions", {}).values()


def test_a_release_starts_with_a_tag() -> None:
    """Not with a published release, which HACS would offer already."""
    assert read("workflows/release.yml")[True] == {"push": {"tags": ["*"]}}


def test_only_the_last_job_can_publish() -> None:
    """It needs every other job, so a single failure publishes nothing."""
    jobs = jobs_of("release")
    (publish,) = [name for name, job in jobs.items() if writes(job)]
    assert set(jobs[publish]["needs"]) == jobs.keys() - {publish}
    assert not [name for name, job in jobs.items() if "if" in job or "continue-on-error" in job]


def test_the_release_is_public_only_with_its_archive() -> None:
    """The last step creates it from the archive, whose script compares the versions."""
    steps = [step.get("run", "") for step in jobs_of("release")["publish"]["steps"]]
    assert "scripts/lib/archive.sh" in "".join(steps[:-1])
    assert not [step for step in steps[:-1] if "gh release" in step]
    assert "gh release create" in steps[-1]
    assert "bticino_classe.zip" in steps[-1]


def test_a_release_runs_all_checks() -> None:
    """The same jobs as for a push: checks, tests, hassfest and HACS."""
    called = {job["uses"] for job in jobs_of("release").values() if "uses" in job}
    assert called == CHECKS
    for path in called:
        assert "workflow_call" in read(path.removeprefix("./.github/"))[True]
    assert jobs_of("test").keys() == {"check", "test"}
    assert jobs_of("validate").keys() == {"hassfest", "hacs"}


def test_the_weekly_runs() -> None:
    """Each part of scripts/soak, with another seed each week; the report is kept."""
    job = jobs_of("soak")["soak"]
    parts = {path.parent.name for path in (ROOT / "tests" / "soak").glob("*/__main__.py")}
    assert set(job["strategy"]["matrix"]["part"]) == parts
    run = job["steps"][-1]["run"]
    assert 'scripts/soak "$PART" --seed "$GITHUB_RUN_NUMBER"' in run
    assert '"$GITHUB_STEP_SUMMARY"' in run


def test_a_failed_sign_in_is_reported_without_diagnostics() -> None:
    """Without an account there are none, and perhaps no log."""
    fields = {field.get("id"): field for field in read("ISSUE_TEMPLATE/sign_in.yml")["body"]}
    assert "diagnostics" not in fields
    assert not fields["log"].get("validations", {}).get("required", False)


@pytest.mark.parametrize("name", ["bug", "sign_in"])
def test_a_report_contains_no_secret(name: str) -> None:
    """The form says so first, and asks for a confirmation last."""
    body = read(f"ISSUE_TEMPLATE/{name}.yml")["body"]
    assert "Never post a password" in body[0]["attributes"]["value"]
    (option,) = body[-1]["attributes"]["options"]
    assert option["required"] is True


@pytest.mark.parametrize("name", ["bug", "feature", "sign_in"])
def test_labels_exist_in_every_new_repository(name: str) -> None:
    """GitHub ignores labels that nobody has created."""
    assert set(read(f"ISSUE_TEMPLATE/{name}.yml")["labels"]) <= {"bug", "enhancement"}
