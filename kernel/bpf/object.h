// The packet path's BPF object: opens, sizes and loads it, and pins its maps or takes them over from pins. Owns all
// descriptors. Move-only by unique_ptr.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "bpf/abi/events.h"
#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/pin_layout.h"

struct datapath_bpf;

namespace sluice::bpf {

struct ObjectOptions {
  std::string pin_root;  // empty: nothing is pinned (tests)
  std::uint32_t epoch_addresses = 131072;
  std::uint32_t epoch_prefixes = 131072;
  std::uint32_t epoch_peers = 1048576;
  std::uint32_t epoch_ports = 262144;
  std::uint32_t flows = 393216;              // of all states; rounded up to whole buckets (bpf/abi/flow_table.h)
  std::uint32_t flow_share_slots = 0;        // slots that are divided into shares; 0: all. For tests
  std::uint32_t flows_denied = 32768;        // the most denied-flow entries among them
  std::uint32_t event_rate = SL_EVENT_RATE;  // flow events per second in each workload's shares; 0: no limit
  bool uplinks = true;                       // load xdp_uplink, which is half of the verifier's work
  bool test_clock = false;                   // the programs read TestHooks::SetClock's time
  const AdminCalls* admin_calls = nullptr;   // must outlive the object; null: OwnAdminCalls
};

class DatapathObject {
 public:
  // FailedPrecondition with the verifier's last lines, or PermissionDenied with the missing right.
  static StatusOr<std::unique_ptr<DatapathObject>> Load(const ObjectOptions& options);
  ~DatapathObject();
  DatapathObject(const DatapathObject&) = delete;
  DatapathObject& operator=(const DatapathObject&) = delete;

  int program_fd(const std::string& name) const;  // -1: no such program
  int map_fd(const std::string& name) const;      // -1: no such map
  const AdminCalls& admin_calls() const { return admin_calls_; }
  // Returns tokens to the budget for denied-flow entries, for entries that were removed.
  void RefundDenied(std::uint32_t records);

 private:
  friend class TestHooks;  // kernel/bpf/testing

  DatapathObject(datapath_bpf* skeleton, const AdminCalls& admin_calls)
      : skeleton_(skeleton), admin_calls_(admin_calls) {}
  datapath_bpf* skeleton_;
  const AdminCalls& admin_calls_;
};

// A map that an earlier process pinned.
StatusOr<Fd> OpenPinnedMap(const std::string& path);

// Counted only while CountsProgramRuns (kernel/bpf/system.h).
struct ProgramRuns {
  std::uint64_t count = 0;
  std::uint64_t nanoseconds = 0;
};
StatusOr<ProgramRuns> ReadProgramRuns(int program_fd);

}  // namespace sluice::bpf
