// Compiles policies for this node.
#pragma once

#include <memory>

#include "base/status.h"
#include "kernel/bpf/admin_calls.h"
#include "policy/tracing/compile.h"

namespace sluice::hooks {

// Reads the host's namespaces. Knows this machine's numbers of system calls.
policy::tracing::CompileOptions OptionsOfHost();

// Reads the kernel's types and formats, and the programs that the policy names. Error: what is wrong, with the line of
// the document, but not the policy's name.
StatusOr<std::shared_ptr<const policy::tracing::CompiledPolicy>> Compile(
    const std::shared_ptr<const policy::tracing::TracingPolicy>& policy, const policy::tracing::CompileOptions& options,
    const bpf::AdminCalls& calls = bpf::OwnAdminCalls());

}  // namespace sluice::hooks
