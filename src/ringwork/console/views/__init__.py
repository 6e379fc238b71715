"""One module per page: facts in, a typed page model out; pure, so every sentence is tested."""
