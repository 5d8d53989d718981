# A t4g.nano that translates addresses: 7 USD a month instead of 33, no spare, for dev.
locals {
  nat_instance = var.nat == "instance"
  nat_zone     = var.zones[0]
}

data "aws_ssm_parameter" "al2023" {
  count = local.nat_instance ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

resource "aws_security_group" "nat" {
  count = local.nat_instance ? 1 : 0

  name        = "${var.name}-nat"
  description = "NAT instance: from the private subnets to the internet"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "nat_from_private" {
  for_each = local.nat_instance ? local.private_cidrs : {}

  security_group_id = aws_security_group.nat[0].id
  description       = "Everything from private subnet ${each.key}"
  ip_protocol       = "-1"
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_egress_rule" "nat_to_internet" {
  count = local.nat_instance ? 1 : 0

  security_group_id = aws_security_group.nat[0].id
  description       = "Translated traffic to the internet"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_instance" "nat" {
  count = local.nat_instance ? 1 : 0

  ami                         = data.aws_ssm_parameter.al2023[0].value
  instance_type               = var.nat_instance_type
  iam_instance_profile        = aws_iam_instance_profile.nat[0].name
  subnet_id                   = aws_subnet.public[local.nat_zone].id
  vpc_security_group_ids      = [aws_security_group.nat[0].id]
  associate_public_ip_address = true
  source_dest_check           = false
  user_data                   = file("${path.module}/nat.sh")
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 8
  }

  credit_specification {
    cpu_credits = "standard"
  }

  tags = { Name = "${var.name}-nat" }

  lifecycle {
    # A newer image would replace the only way out in the middle of the day; taint it to renew it.
    ignore_changes = [ami]
  }

  depends_on = [aws_route.internet]
}

resource "aws_route" "nat_instance" {
  for_each = local.nat_instance ? local.zones : []

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  network_interface_id   = aws_instance.nat[0].primary_network_interface_id
}
