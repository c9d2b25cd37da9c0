"""The reports service: read-only HTTP access to the mart for the wearer whose access token is presented, and for support."""
