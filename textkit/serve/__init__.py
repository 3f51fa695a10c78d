"""A door: models answer over HTTP, requests of many clients in one batch, within stated limits."""
