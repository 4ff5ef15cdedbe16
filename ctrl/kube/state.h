// What the client knows of itself, for `sluice status` and metrics. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/kube/environment.h"

namespace sluice::kube {

struct ResourceState {
  enum class Phase {
    kStarting,
    kListing,
    kWatching,
    kWaiting,    // after a failure, until the next try
    kForbidden,  // 403: the service account may not read it; tried again
    kAbsent,     // 404: the server has no such resource, as of a CRD that is not installed; tried again
  };

  std::string name;  // ResourceSpec::name
  Phase phase = Phase::kStarting;
  bool listed = false;                    // a complete list has reached the sink, or the resource is absent
  std::optional<WallTime> synced_since;   // since when list and watch have worked without a failure
  std::optional<WallTime> last_event;     // of a watch; bookmarks count
  std::string last_error;                 // printable, with the resource's name; stays after it has passed
  std::size_t failures = 0;               // in a row
  std::optional<WallTime> failing_since;  // the first of them; none: there are none
  std::string resource_version;
  std::size_t objects = 0;
  std::size_t refused_objects = 0;  // those whose present version the sink refused

  // Since when the server's lists are not believed, and why: distrust.h.
  std::optional<WallTime> distrusted_since;
  std::string distrust_reason;

  std::uint64_t requests = 0;  // lists' pages and watches
  std::uint64_t lists = 0;     // complete ones
  std::uint64_t watches = 0;   // that the server accepted
  std::uint64_t events = 0;    // bookmarks count
  std::uint64_t errors = 0;
  std::uint64_t bytes_received = 0;  // of bodies, after decompression
};
const char* PhaseName(ResourceState::Phase phase);  // "watching"

struct WriteState {
  std::size_t queued = 0;
  std::uint64_t requests = 0;  // tries count
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;   // for good
  std::uint64_t dropped = 0;  // because the queue was full
  std::string last_error;
  std::optional<WallTime> last_error_at;
};

struct ClientState {
  std::string server;
  std::vector<ResourceState> resources;  // in the order of their specs
  WriteState writes;
  std::string credentials_error;  // "": the files could be read last time
};

}  // namespace sluice::kube
