"""The lab: emulated Tier 1 machines and managers on loopback addresses.

Everything in it is simulated, and honest: it refuses what a real machine or a real manager of
generation 4 refuses, with the same words and the same codes. `python -m lab up` starts one;
`lab.testing.LabThread` runs one inside a test.
"""
