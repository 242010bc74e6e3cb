"""Dry runs that are more than one call: what stands behind `tocsin try`."""
