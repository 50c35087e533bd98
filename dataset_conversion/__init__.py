"""From somebody's folders to an nnU-Net raw data set with placeholders for the sequences that are absent."""
