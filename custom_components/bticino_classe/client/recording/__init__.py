"""A recording of the traffic with the cloud that may be posted in public."""
