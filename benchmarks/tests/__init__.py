"""How long the tests take."""
