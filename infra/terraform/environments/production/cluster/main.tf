# The platform root publishes this when its cluster is ready and access to it is granted.
data "aws_ssm_parameter" "platform" {
  name = "/ecap/production/platform"
}

locals {
  platform = jsondecode(data.aws_ssm_parameter.platform.insecure_value)
}

module "cluster" {
  source = "../../../modules/cluster"

  environment = "production"
  platform    = local.platform
  charts      = "${path.root}/../../../../../deploy/kuberay"
  image       = var.image

  monitoring  = { retention_days = 30, storage_gib = 150, memory = "4Gi" }
  node_limits = { spot_cpu = 128, on_demand_cpu = 64 }
}
