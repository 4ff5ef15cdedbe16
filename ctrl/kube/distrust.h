// Whether a complete list may be believed. Pure, for one thread.
//
// An etcd that was restored, or an API server that talks to the wrong or an empty one, answers with a list that is
// correct and means disaster: every pod and every policy would be gone at once, and with the policies the isolation of
// all workloads. Such a list is not believed at once:
//   - it is empty, and at least two objects are known;
//   - its resourceVersion is lower than the known one;
//   - the resource itself is gone (404), and at least one object is known.
// What is known stays in force. The resource is listed again, with backoff. Three lists in a row (Limits) that span at
// least 30 s (Timing) and are wrong in the same way are believed, as this may also be what the cluster wants; so is any
// list that is not suspicious. The choice: for half a minute too much is enforced rather than too little.
//
// Deletions that a watch reports one by one are always believed. An agent that starts knows nothing, and believes its
// first list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ctrl/kube/environment.h"
#include "ctrl/kube/options.h"

namespace sluice::kube {

// Resource versions are opaque, but those of Kubernetes are decimal numbers that grow. Nothing: it is no such number.
std::optional<std::uint64_t> VersionNumber(const std::string& resource_version);
// Both are numbers, and `version` is the lower one.
bool IsOlder(const std::string& version, const std::string& known);

class Distrust {
 public:
  enum class Reason { kNone, kEmpty, kOlder, kAbsent };
  struct List {
    std::size_t objects = 0;
    bool absent = false;           // the server does not know the resource
    std::string resource_version;  // empty when absent
  };

  Distrust(const Timing& timing, const Limits& limits) : span_(timing.distrust), lists_(limits.distrusted_lists) {}

  // True: `list` is to be believed. `known`: the number of known objects and the known resourceVersion.
  bool Believe(const List& list, std::size_t known_objects, const std::string& known_version, TimePoint now);

  Reason reason() const { return reason_; }   // kNone: nothing is distrusted
  std::size_t seen() const { return seen_; }  // distrusted lists in a row

 private:
  static Reason ReasonFor(const List& list, std::size_t known_objects, const std::string& known_version);

  Timing::Duration span_;
  std::size_t lists_;
  Reason reason_ = Reason::kNone;
  std::size_t seen_ = 0;
  TimePoint since_;
  std::string last_version_;
};

}  // namespace sluice::kube
