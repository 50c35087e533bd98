"""Metrics of voxels and of surfaces."""
