"""The Serve application without a route that keeps a cluster's actors running."""
