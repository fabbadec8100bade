"""What is known about the reals of each tensor: ranges, their files, thresholds, inputs."""
