// What there is to know when a hook is reached, for the evaluators (policy/tracing/evaluate.h). Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/tracing/scope.h"

namespace sluice::policy::tracing {

struct SocketFacts {
  std::optional<Address> source;       // absent: none
  std::optional<Address> destination;  // likewise
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint16_t family = 0;    // AF_*
  std::uint16_t protocol = 0;  // IPPROTO_*
  std::uint8_t state = 0;      // TCP_*
};

// An argument. What is absent cannot be read, or its type has no such thing.
struct ValueFacts {
  std::optional<std::uint64_t> number;  // sign-extended if its type is signed; a file's mode; a Unix address's family
  std::optional<std::string> text;
  std::optional<SocketFacts> socket;
};

struct ProcessFacts {
  std::uint32_t pid = 0;
  std::uint32_t namespaced_pid = 0;
  std::vector<std::uint32_t> ancestors;             // pids of the living ones
  std::vector<std::uint32_t> namespaced_ancestors;  // pids of those in the process's own pid namespace, there
  // By NamespaceType and by CapabilitySet: now, and after the last exec.
  std::array<std::uint32_t, kNamespaceTypeCount> namespaces{};
  std::array<std::uint32_t, kNamespaceTypeCount> namespaces_at_exec{};
  std::array<std::uint64_t, 3> capabilities{};
  std::array<std::uint64_t, 3> capabilities_at_exec{};
  std::optional<std::string> binary;
  std::optional<std::string> parent_binary;
  std::vector<std::string> executed;  // programs of the process and of those that it was forked from, at any time
};

struct Facts {
  Subject subject;
  ProcessFacts process;
  std::vector<ValueFacts> args;  // as in Hook::args
  std::vector<ValueFacts> data;  // as in Hook::data
  ValueFacts result;             // of the function
};

}  // namespace sluice::policy::tracing
