mock_provider "vault" {}

variables {
  path            = "ecap-test"
  in_cluster      = true
  kubernetes_host = "https://kubernetes.default.svc"
  roles = {
    ecap = { namespace = "ecap", service_accounts = ["ecap-ray"], paths = { "secret/data/ecap/*" = ["read"] } }
  }
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "a_role_reads_its_paths" {
  command = plan

  assert {
    condition     = vault_policy.this["ecap"].policy == "path \"secret/data/ecap/*\" {\n  capabilities = [\"read\"]\n}"
    error_message = "The policy does not say what the role may read."
  }

  assert {
    condition     = vault_kubernetes_auth_backend_role.this["ecap"].token_ttl == 1200 && vault_kubernetes_auth_backend_role.this["ecap"].audience == "vault"
    error_message = "Logins last too long, or tokens for others are accepted."
  }
}

run "refuses_every_pod" {
  command = plan

  variables {
    roles = { all = { namespace = "*", service_accounts = ["*"], paths = {} } }
  }

  expect_failures = [var.roles]
}

run "refuses_sudo" {
  command = plan

  variables {
    roles = { ecap = { namespace = "ecap", service_accounts = ["ecap-ray"], paths = { "sys/*" = ["sudo"] } } }
  }

  expect_failures = [var.roles]
}

run "refuses_an_external_vault_without_certificate" {
  command = plan

  variables {
    in_cluster      = false
    kubernetes_host = "https://api.example.com"
  }

  expect_failures = [var.kubernetes_ca_certificate]
}
