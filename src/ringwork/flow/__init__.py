"""One request as a few visible calls through the parts. Start reading here."""
