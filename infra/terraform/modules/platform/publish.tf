# What the cluster root needs, as one parameter: it then needs no right to read this state.
locals {
  published = {
    environment           = var.environment
    region                = data.aws_region.current.region
    cluster_name          = module.eks.ready
    cluster_endpoint      = module.eks.endpoint
    certificate_authority = module.eks.certificate_authority
    vpc_id                = module.vpc.id
    database              = { address = module.rds.address, port = module.rds.port, name = module.rds.database_name }
    kafka                 = var.kafka == null ? null : { bootstrap = module.msk[0].bootstrap_brokers }
    cache                 = var.cache == null ? null : { url = module.cache[0].url, token_secret = module.cache[0].token_secret_arn }
    buckets               = module.data_lake.buckets
    volume_key            = local.keys["nodes"]
    load_balancer_group   = module.security_groups.ids["load-balancer"]
    ports                 = module.security_groups.ports
    karpenter = !var.karpenter ? null : {
      queue            = module.karpenter[0].queue_name
      instance_profile = module.karpenter[0].instance_profile_name
      node_groups      = [module.security_groups.ids["nodes"], module.eks.cluster_security_group_id]
      private_subnets  = module.vpc.private_subnet_ids
    }
    vault = var.vault == null ? null : { in_cluster = var.vault.in_cluster, seal = module.vault[0].seal_stanza }
  }
}

data "aws_region" "current" {}

resource "aws_ssm_parameter" "published" {
  name        = "/ecap/${var.environment}/platform"
  description = "Addresses and names for the cluster root of ${var.environment}; no secrets"
  type        = "String"
  tier        = "Standard"
  value       = jsonencode(local.published)
}
