/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Programs that do nothing, at the hooks where the programs of hook policies run. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("tp_btf/sys_enter")
int empty_call(void* ctx) { return 0; }

SEC("kprobe")
int empty_function(void* ctx) { return 0; }

char LICENSE[] SEC("license") = "Dual BSD/GPL";
