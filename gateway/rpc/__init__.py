"""The wire side: server, guard, and a servicer for each service."""
