"""The embedded rehearsal target: an API, its edge, a case generator and the processes that carry them."""
