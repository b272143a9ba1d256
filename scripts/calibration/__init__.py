"""Small studies whose truth is known: worlds that draw them, what is counted, and the page that says it."""
