"""Published claims that heurax reproduces: each a module, run by the shell script of the same name."""
