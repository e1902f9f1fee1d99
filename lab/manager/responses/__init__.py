"""From a request to a store and back: parse, ask, format. One module per kind of resource."""
