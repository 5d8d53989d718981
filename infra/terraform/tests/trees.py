"""Where things stand in this tree, and the kinds of folders that checks walk."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
TERRAFORM = TESTS.parent
PROJECT = TERRAFORM.parent.parent
CHARTS = PROJECT / "deploy" / "kuberay"
SCHEMAS = TESTS / "schema"
ENVIRONMENTS = ("dev", "staging", "production")


def modules(tree: Path = TERRAFORM) -> list[Path]:
    return sorted(p for p in (tree / "modules").iterdir() if p.is_dir())


def examples(tree: Path = TERRAFORM) -> list[Path]:
    return sorted(p for m in modules(tree) for p in (m / "examples").glob("*") if p.is_dir())


def roots(tree: Path = TERRAFORM) -> list[Path]:
    """Folders that an operator applies."""
    names = [
        f"environments/{env}/{half}"
        for env in ENVIRONMENTS
        for half in ("platform", "cluster", "vault")
    ]
    return [tree / name for name in ("bootstrap", *names) if (tree / name).is_dir()]


def documents(tree: Path = TERRAFORM) -> list[Path]:
    """Every .tf file of the tree, without what Terraform downloads."""
    return sorted(p for p in tree.rglob("*.tf") if ".terraform" not in p.parts)
