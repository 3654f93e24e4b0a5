"""One file a method, and nothing else; `trainers.method_api.registry` finds them."""
