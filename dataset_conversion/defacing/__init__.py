"""Removes the face from all series of a patient."""
