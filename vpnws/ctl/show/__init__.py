"""Answers for people: tables, units and ages, with strangers' text made safe."""
