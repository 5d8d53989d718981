output "releases" {
  description = "Installed releases with their versions."
  value       = module.cluster.releases
}
