# Encryption, replication and IAM on 9098 are fixed; topics and partitions are what is paid for.
resource "aws_msk_serverless_cluster" "this" {
  count = var.kind == "serverless" ? 1 : 0

  cluster_name = var.name

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
  }

  client_authentication {
    sasl {
      iam {
        enabled = true
      }
    }
  }
}
