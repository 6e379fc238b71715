"""The goals of consent."""
