// Network configurations with and without our entry. Pure: text in, text out; the order of keys stays.
#pragma once

#include <string>

#include "base/status.h"
#include "ctrl/cni/call.h"

namespace sluice::cni {

inline constexpr const char* kPluginType = "sluice-cni";
// In our entry of a list that was made from a single configuration: the name of that one's file.
inline constexpr const char* kMadeFrom = "madeFrom";

struct ConfList {
  std::string name;        // of the network
  std::string text;        // the whole file
  bool changed = false;    // `text` is not what was there
  bool has_entry = false;  // before
  std::string made_from;   // of the entry that was there
};

// `file` is named in errors. InvalidArgument: it is no configuration that a runtime would take.
// FailedPrecondition: one that our entry must not be in: its cniVersion, or its main plugin makes no veth.

// A list (*.conflist) with `entry`: in the place of an entry of ours, else at the end.
StatusOr<ConfList> WithEntry(const std::string& file, const std::string& text, const Json& entry);
// A list with a single configuration (*.conf, *.json) and `entry`.
StatusOr<ConfList> ListWithEntry(const std::string& file, const std::string& text, const Json& entry);
// A list without ours.
StatusOr<ConfList> WithoutEntry(const std::string& file, const std::string& text);
// As WithEntry, but unchanged: for an entry in a file of its own (loadOnlyInlinedPlugins must not be set).
StatusOr<ConfList> ForDropIn(const std::string& file, const std::string& text);

// Whether the text is a single configuration of ours.
bool IsOwnConfig(const std::string& text);

}  // namespace sluice::cni
