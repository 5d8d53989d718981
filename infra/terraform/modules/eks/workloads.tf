# One role for each service account that calls AWS, with the policies its caller renders.
resource "aws_iam_role" "workload" {
  for_each = var.workloads

  name               = "${var.name}-${each.key}"
  description        = "Pods of ${each.value.namespace}/${each.value.service_account}"
  assume_role_policy = data.aws_iam_policy_document.pods_assume.json
}

locals {
  workload_policies = merge([
    for workload, spec in var.workloads : {
      for policy, json in spec.policies : "${workload}/${policy}" => { workload = workload, name = policy, json = json }
    }
  ]...)
}

resource "aws_iam_role_policy" "workload" {
  for_each = local.workload_policies

  name   = each.value.name
  role   = aws_iam_role.workload[each.value.workload].id
  policy = each.value.json
}

resource "aws_eks_pod_identity_association" "workload" {
  for_each = var.workloads

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.workload[each.key].arn
}
