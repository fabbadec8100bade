"""Pictures of models: `gather` makes a scene, the others narrow, fold and write it."""
