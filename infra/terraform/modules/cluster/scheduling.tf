# Where what runs. The taints are those of the platform root's groups and of the pools in karpenter.tf.
locals {
  # Charts of others: where they are, and which version the checks know.
  others = yamldecode(file("${var.charts}/others/charts.yaml"))

  system_tolerations = [{ key = "CriticalAddonsOnly", operator = "Equal", value = "true", effect = "NoSchedule" }]
  system_selector    = { "ecap.io/nodes" = "system" }

  spot_taints      = [{ key = "ecap.io/spot", value = "true", effect = "NoSchedule" }]
  spot_tolerations = [for taint in local.spot_taints : merge(taint, { operator = "Equal" })]
  spot_selector    = { "ecap.io/nodes" = "spot" }

  # On-demand Ray workers come from Karpenter; without it (dev) only the head is off spot.
  worker_selector = { "ecap.io/nodes" = "workers" }
}
