"""Brings the series of a patient onto one grid."""
