// Runs a program that iterates over sockets (iter/tcp, iter/udp). An iterator sees the sockets of the network namespace
// in which it was opened.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/admin_calls.h"

struct bpf_program;

namespace sluice::bpf {

// The network namespaces of all processes of this PID namespace and below, and those that are mounted by name.
StatusOr<std::vector<Fd>> OpenNamespaces();

// In one namespace after the other. `consume` gets what the program writes, in parts of any size.
Status IterateSockets(const bpf_program* program, const AdminCalls& calls, std::span<const int> netns_fds,
                      const std::function<void(std::string_view)>& consume);

}  // namespace sluice::bpf
