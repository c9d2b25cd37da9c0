"""One module a server: what it is configured with, how it is started, how one knows that it is ready."""
