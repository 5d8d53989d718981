output "auth_mount" {
  description = "Mount of the method: the chart's vault.authMount."
  value       = module.auth.path
}
