provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = "ecap"
      Environment = "staging"
      ManagedBy   = "terraform"
    }
  }
}

# The token comes from VAULT_TOKEN.
provider "vault" {
  address = var.vault_address
}
