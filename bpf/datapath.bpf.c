/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The packet path as one object: one translation unit, so that each map exists once. */
#include "tc/from_pod.bpf.c"
#include "tc/to_pod.bpf.c"
#include "xdp/uplink.bpf.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
