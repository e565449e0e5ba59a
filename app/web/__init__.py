"""HTTP: the server, what it lets in, and the endpoints of the API."""
