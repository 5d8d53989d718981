output "path" {
  description = "Mount path of the method, once its roles stand: for ECAP's Vault configuration."
  value       = vault_auth_backend.kubernetes.path

  depends_on = [vault_kubernetes_auth_backend_role.this]
}

output "policy_names" {
  description = "Policies by role."
  value       = { for role, policy in vault_policy.this : role => policy.name }
}
