"""The command line: ``main`` names the verbs, one file holds each. Experiments will live under ``lab``."""
