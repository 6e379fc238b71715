"""The auction simulator that judges controllers on the truth, which only an invented world has."""
