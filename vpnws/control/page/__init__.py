"""The live page: its files, and the strict headers they are served with."""
