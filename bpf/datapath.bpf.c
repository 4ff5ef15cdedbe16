// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Placeholder until the programs land in the next commit. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "Dual BSD/GPL";
