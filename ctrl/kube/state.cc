#include "ctrl/kube/state.h"

namespace sluice::kube {

const char* PhaseName(ResourceState::Phase phase) {
  switch (phase) {
    case ResourceState::Phase::kStarting:
      return "starting";
    case ResourceState::Phase::kListing:
      return "listing";
    case ResourceState::Phase::kWatching:
      return "watching";
    case ResourceState::Phase::kWaiting:
      return "waiting";
    case ResourceState::Phase::kForbidden:
      return "forbidden";
    case ResourceState::Phase::kAbsent:
      return "absent";
  }
  return "";
}

}  // namespace sluice::kube
