"""The back end for the front end: logs people in, keeps their tokens on the server, and passes their requests to the reports service."""
