// What a call is about, as rules ask for it. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/rules/event.h"
#include "telemetry/calls/call_record.h"

namespace sluice::telemetry {

using AddressNames = std::function<std::vector<std::string>(const policy::Address&)>;

// An address of the caller's memory.
struct CallAddress {
  std::uint16_t family = 0;
  policy::Address address;  // of IP
  std::uint16_t port = 0;   // host byte order
  std::string path;         // of Unix; "@name" of an abstract one
};
std::optional<CallAddress> ParseCallAddress(std::string_view bytes);
std::string ToText(const CallAddress& address);  // "10.0.0.1:80", "[::1]:80", "/run/socket"

struct CallDescriptor {
  policy::rules::Descriptor descriptor;
  std::optional<std::int64_t> number;
  bool renamed = false;
};

// Absent: the call is about no descriptor, or about one that is not there. `names` may be empty.
std::optional<CallDescriptor> DescribeDescriptor(const CallRecord& record, const AddressNames& names);

// How the call opened a file; absent: it opens none.
std::optional<policy::rules::OpenMode> OpenModeOf(const CallRecord& record);

// Path of a Unix socket's name as the kernel has it; "@name" of an abstract one.
std::string UnixName(std::string_view bytes);

}  // namespace sluice::telemetry
