"""Hides the packages of the computer that runs the tests from python3 on their machines.

A torch that is installed here is imported by every setup otherwise: 2 s of CPU each time,
and what a test sees would depend on the computer. Tests of torch bring one of their own;
the gates, which drive the real one, use machines without this.
"""

import sys

sys.path[:] = [folder for folder in sys.path if not folder.endswith("dist-packages")]
