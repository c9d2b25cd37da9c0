"""The demo's two source databases: their migrations and the tool that applies them."""
