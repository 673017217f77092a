"""Families of equations with exact solutions: data for operator networks, made in seconds."""
