"""Where the project's folders are, for tests that read its files."""

from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
PACKAGE_DIR = PROJECT_DIR / "maskcls"
BENCHMARKS_DIR = PROJECT_DIR / "benchmarks"
CONFIGS_DIR = PROJECT_DIR / "configs"
SHIPPED = sorted(path for path in CONFIGS_DIR.rglob("*.yaml") if path.parent.name != "spaces")  # configurations
