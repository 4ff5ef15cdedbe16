// How the kernel treats a policy that is in its tables.
#pragma once

namespace sluice::hooks {

struct PolicyState {
  bool enabled = true;
  bool monitor = false;  // events and counts, but nothing is enforced
  bool operator==(const PolicyState&) const = default;
};

}  // namespace sluice::hooks
