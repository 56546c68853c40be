"""Speed, as ratios within one run: the machines that this runs on are noisy."""
