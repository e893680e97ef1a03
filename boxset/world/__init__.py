"""The stand-in for everything outside this machine."""
