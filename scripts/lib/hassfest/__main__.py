"""Command: python -m scripts.lib.hassfest, from the root of the repository."""

from pathlib import Path
import sys

from . import check_all


def main() -> int:
    """Print one line a finding; 1 when there is any."""
    project = check_all(Path.cwd())
    for finding in sorted(project.findings):
        print(finding)
    if not project.findings:
        print(f"hassfest-like checks: {len(project.files)} files, no findings")
    return 1 if project.findings else 0


if __name__ == "__main__":
    sys.exit(main())
