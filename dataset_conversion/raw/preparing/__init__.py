"""The images and the label of one patient, brought onto one grid."""
