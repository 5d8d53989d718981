"""Questions to an actor and their answers, as bytes over its socket."""
