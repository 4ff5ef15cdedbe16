// Patterns in Hubble's filters, as regular expressions. Pure.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::telemetry {

using HubblePattern = std::shared_ptr<const re2::RE2>;

// A DNS name, in which `*` stands for any run of `-`, `.`, digits and letters. Case, blanks around it and a dot at its
// end do not count. Matches whole names. InvalidArgument: it is empty, or has other characters.
StatusOr<HubblePattern> MakeNamePattern(const std::string& text);

// "node", "cluster/node", "cluster/" or "/node", each part as above; what is left out is any. Matches "cluster/node".
StatusOr<HubblePattern> MakeNodePattern(const std::string& text);

// A regular expression (RE2's syntax, as Hubble has it), which matches a part of a text.
StatusOr<HubblePattern> MakeRegularExpression(const std::string& text);

}  // namespace sluice::telemetry
