"""What tests share: the servers, started once a run."""
