"""The server: rules for every request (guard), sessions (desk), routes, and running it."""
