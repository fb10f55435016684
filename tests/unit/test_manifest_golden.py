"""What is said about mistaken manifests, word for word: tests/golden/manifest/<mistake>/.

NETLAB_UPDATE_GOLDEN=1 writes the complaints anew; read the difference before committing it.
"""

import os
from pathlib import Path

import pytest

from netlab.errors import InputError
from netlab.manifest import loads

CASES = sorted((Path(__file__).parent.parent / "golden" / "manifest").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_complaints(case):
    with pytest.raises(InputError) as caught:
        loads((case / "input.yaml").read_text(), name="input.yaml")
    said = f"{caught.value}\n"
    if os.environ.get("NETLAB_UPDATE_GOLDEN"):
        (case / "complaints").write_text(said)
    assert said == (case / "complaints").read_text()
    assert all(problem.line for problem in caught.value.problems)
