"""How well scripted clients do the guide's patterns, on good days and under faults."""
