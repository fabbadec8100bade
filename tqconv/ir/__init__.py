"""The graph, its element types, its printed form, and questions about neighbours."""
