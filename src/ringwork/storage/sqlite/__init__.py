"""Storage on SQLite, the embedded default: event log, key store, state with its projections."""
