"""What the tests of deploy/ share."""

import os
import subprocess
import unittest

ROOT = os.environ.get("SLUICE_SOURCE_DIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
BIN = os.environ.get("SLUICE_BIN_DIR") or os.path.join(ROOT, "build/bin")


def path(name):
    return os.path.join(ROOT, name)


def read(name):
    with open(path(name), encoding="utf-8") as file:
        return file.read()


def run(*command, **more):
    """Standard output; a failure has both outputs in its message."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def is_refused(*command):
    """The messages of a command that has to fail."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode == 0:
        raise AssertionError(f"{command} was not refused:\n{done.stdout}")
    return done.stdout + done.stderr


def main():
    unittest.main(verbosity=2)
