"""The nouns: frozen, without behaviour beyond what their own fields tell."""
