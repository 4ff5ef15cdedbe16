// What `get` lists, as a table: the columns of each kind and the cells of each object. Pure.
#pragma once

#include "api/kinds.h"
#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::client {

enum class Width { kNormal, kWide };

// "a, b, c and 4 more".
std::string ListText(const google::protobuf::RepeatedPtrField<std::string>& names, int most = 3);

// "api", "directory", "api, shadows directory"; "-": the agent does not say.
std::string OriginText(const v1::Resource& resource);

// Whether a workload is enforced on, and if not, why.
std::string StateText(const v1::WorkloadFacts& facts);

// "enabled", "error: syscall openat: ..."
std::string StateText(const v1::TracingPolicyFacts& facts);
std::string StateText(const v1::KubeArmorPolicyFacts& facts);
// "posted 3, signalled 1"; "-": nothing was done.
std::string ActionsText(const v1::TracingPolicyFacts& facts);
std::uint64_t MatchesOf(const v1::TracingPolicyFacts& facts);
// "syscall openat by raw tracepoint"
std::string HookText(const v1::TracingPolicyFacts::Hook& hook);
std::string MemoryText(std::uint64_t bytes);  // "12 KiB"

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels);

// `objects` are of the selection. The origin of resources is shown in a wide table, and if some of them come from the
// resources directory.
Table ToTable(const api::KindSelection& selection, const std::vector<v1::Object>& objects,
              Width width = Width::kNormal);

}  // namespace sluice::client
