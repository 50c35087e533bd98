"""Where trained models lie and what is said about them."""
