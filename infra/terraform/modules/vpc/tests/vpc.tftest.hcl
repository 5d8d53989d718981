mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name      = "ecap-test"
  cidr      = "10.50.0.0/16"
  zones     = ["us-east-1a", "us-east-1b"]
  nat       = "instance"
  flow_logs = { destination = "s3", bucket_arn = "arn:aws:s3:::ecap-demo-logs-123456789012" }
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "nat_instance" {
  command = plan

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_instance.nat) == 1
    error_message = "nat = instance makes one instance and no gateway."
  }

  assert {
    condition     = !aws_instance.nat[0].source_dest_check
    error_message = "A NAT instance must forward what is not addressed to it."
  }

  assert {
    condition     = aws_instance.nat[0].metadata_options[0].http_tokens == "required"
    error_message = "The NAT instance answers metadata requests without a token."
  }

  assert {
    condition     = alltrue([for s in aws_subnet.private : s.map_public_ip_on_launch != true])
    error_message = "A private subnet gives out public addresses."
  }
}

run "subnets_do_not_overlap" {
  command = plan

  assert {
    condition     = length(distinct(concat(values(local.private_cidrs), values(local.public_cidrs), values(local.database_cidrs)))) == 6
    error_message = "Two subnets have one range."
  }

  assert {
    condition     = local.private_cidrs["us-east-1b"] == "10.50.32.0/19" && local.public_cidrs["us-east-1a"] == "10.50.224.0/23"
    error_message = "The subnet plan moved: that would replace every subnet."
  }
}

run "single_nat" {
  command = plan

  variables {
    nat = "single"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat_gateway) == 2
    error_message = "One gateway must serve both zones."
  }
}

run "gateway_a_zone" {
  command = plan

  variables {
    nat = "per_zone"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 2
    error_message = "Each zone needs its gateway."
  }
}

run "databases_have_no_way_out" {
  command = plan

  assert {
    condition     = length(aws_route.nat_instance) == length(aws_route_table.private)
    error_message = "Only private tables lead out; the database table has no route."
  }
}

run "refuses_one_zone" {
  command = plan

  variables {
    zones = ["us-east-1a"]
  }

  expect_failures = [var.zones]
}

run "refuses_overlap" {
  command = plan

  variables {
    reserved_cidrs = { office = "10.0.0.0/8" }
  }

  expect_failures = [var.reserved_cidrs]
}

run "refuses_overlap_inside" {
  command = plan

  variables {
    reserved_cidrs = { lab = "10.50.12.0/24" }
  }

  expect_failures = [var.reserved_cidrs]
}

run "accepts_neighbour" {
  command = plan

  variables {
    reserved_cidrs = { lab = "10.51.0.0/16" }
  }
}

run "refuses_host_bits" {
  command = plan

  variables {
    cidr = "10.50.0.1/16"
  }

  expect_failures = [var.cidr]
}

run "refuses_small_network" {
  command = plan

  variables {
    cidr = "10.50.0.0/24"
  }

  expect_failures = [var.cidr]
}

run "refuses_no_way_out" {
  command = plan

  variables {
    nat = "none"
  }

  expect_failures = [var.nat]
}

run "refuses_intel_nat" {
  command = plan

  variables {
    nat_instance_type = "t3.nano"
  }

  expect_failures = [var.nat_instance_type]
}
