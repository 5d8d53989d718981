module "eks" {
  source = "../eks"

  name                    = local.name
  kubernetes_version      = var.cluster.kubernetes_version
  subnet_ids              = module.vpc.private_subnet_ids
  service_cidr            = var.network.service_cidr
  public_access_cidrs     = var.cluster.public_access_cidrs
  kms_key_arn             = local.keys["nodes"]
  log_retention_days      = var.log_retention_days
  deletion_protection     = !var.ephemeral
  addon_versions          = var.cluster.addon_versions
  node_security_group_ids = [module.security_groups.ids["nodes"]]
  node_groups             = var.node_groups
  access_entries          = var.access_entries
  workloads               = local.workloads
}

locals {
  kafka_client = var.kafka == null ? {} : { kafka = module.msk[0].client_policy_json }

  # The service accounts of the chart in deploy/kuberay that call AWS, and with what.
  workloads = {
    ray = {
      namespace       = "ecap"
      service_account = "ecap-ray"
      policies        = merge({ lake = module.data_lake.read_write_policy_json, database = module.rds.connect_policy_json }, local.kafka_client)
    }
    migrate = {
      namespace       = "ecap"
      service_account = "ecap-migrate"
      policies        = { database = module.rds.connect_policy_json }
    }
  }
}

module "karpenter" {
  source = "../karpenter"
  count  = var.karpenter ? 1 : 0

  # The name and not the output "ready": Karpenter's role may be made while nodes still start.
  cluster_name   = module.eks.name
  node_role_name = module.eks.node_role_name
}

module "vault" {
  source = "../vault"
  count  = var.vault == null ? 0 : 1

  cluster_name              = module.eks.name
  in_cluster                = var.vault.in_cluster
  kms_key_arn               = var.vault.in_cluster ? module.kms.arns["vault"] : null
  cluster_security_group_id = module.eks.cluster_security_group_id
  external_cidrs            = var.vault.external_cidrs
}
