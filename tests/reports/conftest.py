from __future__ import annotations

import pytest
from report_examples import example_contents

from scalescope.reports import Contents


@pytest.fixture(scope="session")
def contents() -> Contents:
    return example_contents()
