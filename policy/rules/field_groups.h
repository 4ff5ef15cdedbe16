// The parts of the list of fields (policy/rules/fields.h), and what their functions share. For this directory.
#pragma once

#include <string>

#include "policy/rules/fields.h"

namespace sluice::policy::rules {

std::span<const FieldInfo> EventFields();
std::span<const FieldInfo> ProcessFields();
std::span<const FieldInfo> DescriptorFields();
std::span<const FieldInfo> ContainerFields();

// Ancestors are followed no further: Falco's own limit of what a rule may look at is lower.
inline constexpr int kMaxAncestors = 64;

// The `distance`-th ancestor, 0 is the process itself; null: it is not known.
const Process* Ancestor(const Process* process, int distance);

// "cap" -> "CAP_CHOWN CAP_KILL", by number.
std::string CapabilityNames(std::uint64_t set);

// "SUCCESS", "ENOENT", or "E1234" for a number without a name.
std::string ResultName(std::int64_t result);

// Whether `name` is the name of an argument of any event, as in evt.arg.NAME.
bool IsEventArgument(std::string_view name);

}  // namespace sluice::policy::rules
