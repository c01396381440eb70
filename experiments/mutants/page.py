from pathlib import Path
HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLAN, RESULTS = HERE / "mutants.yaml", HERE.parent / "results/mutants.json"
def write_page(): pass
