# The platform root publishes this when its cluster is ready and access to it is granted.
data "aws_ssm_parameter" "platform" {
  name = "/ecap/staging/platform"
}

locals {
  platform = jsondecode(data.aws_ssm_parameter.platform.insecure_value)
}

module "cluster" {
  source = "../../../modules/cluster"

  environment = "staging"
  platform    = local.platform
  charts      = "${path.root}/../../../../../deploy/kuberay"
  image       = var.image

  monitoring = { retention_days = 7, storage_gib = 30, memory = "2Gi" }
}
