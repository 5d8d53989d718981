# The platform root publishes this when its cluster is ready and access to it is granted.
data "aws_ssm_parameter" "platform" {
  name = "/ecap/dev/platform"
}

locals {
  platform = jsondecode(data.aws_ssm_parameter.platform.insecure_value)
}

module "cluster" {
  source = "../../../modules/cluster"

  environment = "dev"
  platform    = local.platform
  charts      = "${path.root}/../../../../../deploy/kuberay"
  image       = var.image

  # The system node has 4 GiB for everything: no Grafana, no Alertmanager, two days of metrics.
  monitoring = { retention_days = 2, storage_gib = 5, memory = "512Mi", full = false }
}
