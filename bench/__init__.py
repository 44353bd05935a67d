"""Measurements: requests, times, rings, views, history, outages, memory; docs/benchmarks.md."""

import logging

# It complains, when imported, of a library that shrinks pictures and that nothing here needs.
logging.getLogger("homeassistant.components.camera.img_util").setLevel(logging.CRITICAL)
