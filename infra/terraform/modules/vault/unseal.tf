# A Vault in the cluster opens itself with a KMS key; its pods get the right to use it by Pod Identity.
data "aws_region" "current" {}

data "aws_iam_policy_document" "pods_assume" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "unseal" {
  count = var.in_cluster ? 1 : 0

  statement {
    sid       = "Unseal"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"]
    resources = [var.kms_key_arn]
  }
}

resource "aws_iam_role" "vault" {
  count = var.in_cluster ? 1 : 0

  name               = "${var.cluster_name}-vault"
  description        = "Vault in ${var.cluster_name}: unseal"
  assume_role_policy = data.aws_iam_policy_document.pods_assume.json
}

resource "aws_iam_role_policy" "unseal" {
  count = var.in_cluster ? 1 : 0

  name   = "unseal"
  role   = aws_iam_role.vault[0].id
  policy = data.aws_iam_policy_document.unseal[0].json
}

resource "aws_eks_pod_identity_association" "vault" {
  count = var.in_cluster ? 1 : 0

  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.vault[0].arn
}
