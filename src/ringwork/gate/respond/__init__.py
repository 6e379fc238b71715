"""What the gate answers with beside yes and no."""
