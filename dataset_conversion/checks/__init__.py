"""What is wrong with a data set, found before anybody works with it."""
