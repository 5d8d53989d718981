# Session Manager reaches the NAT instance without an open port; it is also the way to a private EKS endpoint in dev.
data "aws_partition" "current" {}

data "aws_iam_policy_document" "ec2_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "nat" {
  count = local.nat_instance ? 1 : 0

  name               = "${var.name}-nat"
  description        = "NAT instance: Session Manager only"
  assume_role_policy = data.aws_iam_policy_document.ec2_assumes.json
}

resource "aws_iam_role_policy_attachment" "nat_session_manager" {
  count = local.nat_instance ? 1 : 0

  role       = aws_iam_role.nat[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "nat" {
  count = local.nat_instance ? 1 : 0

  name = "${var.name}-nat"
  role = aws_iam_role.nat[0].name
}
