"""The parts that the 2.5D networks are put together from."""
