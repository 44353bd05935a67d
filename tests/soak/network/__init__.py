"""Home Assistant and the simulated cloud on the two ends of a bad line."""
