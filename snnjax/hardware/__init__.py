"""Chips: for each family, what it can hold, and how a network becomes what it runs."""
