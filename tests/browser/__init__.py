"""The live page in a real Chromium, on a fake API."""
