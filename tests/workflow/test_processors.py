"""The switch gives the same bytes on processors that differ: this one, and one that is emulated, where it can be."""

import shutil

import pytest
from tests.workflow.processors import computed


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="needs Debian's qemu-user")
def test_jobs_that_are_held_give_the_same_bytes_on_another_processor():
    """Four minutes: an emulated Haswell, beside which this processor may have AVX-512."""
    assert computed(None, True) == computed("Haswell", True)
