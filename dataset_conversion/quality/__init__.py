"""The page on which every converted patient is looked at."""
