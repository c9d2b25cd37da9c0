"""Many people at once, each with reports of their own, and Keycloak going away in the middle: no wrong answer, no session left behind.

``python -m tests.load --users 200 --seconds 60`` runs it against real servers and processes of its own (``make load``); tests/security/test_bff_load.py
runs the same crowd for some seconds.
"""
