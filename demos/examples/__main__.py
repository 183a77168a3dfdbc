"""Compute the traces of all examples."""

from demos import discover
from demos.examples import store

for demo in discover():
    for number in range(len(demo.examples)):
        store(demo, number)
