#!/bin/bash
# Amazon Linux 2023 as a NAT: forward, and translate what leaves by the default interface.
set -euo pipefail
dnf install -y nftables
cat > /etc/sysctl.d/90-nat.conf <<'SYSCTL'
net.ipv4.ip_forward = 1
SYSCTL
sysctl --system
out=$(ip -o -4 route show default | awk '{print $5; exit}')
cat > /etc/sysconfig/nftables.conf <<NFT
flush ruleset
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "$out" masquerade
  }
}
NFT
systemctl enable --now nftables
