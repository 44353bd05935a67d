"""Measures requests, times, memory and leaks; see docs/benchmarks.md."""

import logging

# On import it logs an error about a missing library for resizing pictures, which nothing here uses.
logging.getLogger("homeassistant.components.camera.img_util").setLevel(logging.CRITICAL)
