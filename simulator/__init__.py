"""The demo world: two source databases, believable devices and a CRM that changes."""
