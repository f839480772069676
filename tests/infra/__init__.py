"""Assertions on the template that is really deployed, and on the bundle that really runs."""
