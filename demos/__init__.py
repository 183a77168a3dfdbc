"""The patterns of recurrent networks, one module each.

A module that defines `DEMO` is a demo and gets its place on the page: nothing else to edit.
"""

import importlib
import pkgutil

from demos.base import Demo


def discover() -> list[Demo]:
    """All demos, in the order in which their tabs stand."""
    names = [m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg]
    modules = [importlib.import_module(f"demos.{name}") for name in names]
    found = [module.DEMO for module in modules if hasattr(module, "DEMO")]
    return sorted(found, key=lambda demo: demo.order)
