// The packet path's BPF object: opened, sized, loaded, and its maps pinned or taken over from pins.
// Owns all descriptors. Move-only by unique_ptr.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
  std::uint32_t flow_share_slots = 0;        // of which workloads have shares; 0: of all. For tests
  std::uint32_t flows_denied = 32768;        // the most of them that are records of denied ones
  std::uint32_t event_rate = SL_EVENT_RATE;  // flow events a second in each workload's shares; 0: any number
  bool uplinks = true;                       // xdp_uplink is loaded: half of the verifier's work
  bool test_clock = false;                   // the programs read SetTestClock's time
  const AdminCalls* admin_calls = nullptr;   // outlives the object; null: its process's own
};

class DatapathObject {
 public:
  // FailedPrecondition with the verifier's last lines, or PermissionDenied naming the right that is missing.
  static StatusOr<std::unique_ptr<DatapathObject>> Load(const ObjectOptions& options);
  ~DatapathObject();
  DatapathObject(const DatapathObject&) = delete;
  DatapathObject& operator=(const DatapathObject&) = delete;

  int program_fd(const std::string& name) const;  // -1: no such program
  int map_fd(const std::string& name) const;      // -1: no such map
  std::vector<std::string> map_names() const;
  const AdminCalls& admin_calls() const { return admin_calls_; }
  // To the budget for records of denied flows: so many were taken away.
  void RefundDenied(std::uint32_t records);
  void SetTestClock(std::uint64_t ns);
  // With a test clock: of what class the processes behind a packet are. 0: what the packet's socket says.
  void SetTestProcesses(std::uint32_t sender_class, std::uint32_t receiver_class);
  // Likewise: the cookies of their sockets.
  void SetTestSockets(std::uint64_t sender, std::uint64_t receiver);

 private:
  DatapathObject(datapath_bpf* skeleton, const AdminCalls& admin_calls)
      : skeleton_(skeleton), admin_calls_(admin_calls) {}
  datapath_bpf* skeleton_;
  const AdminCalls& admin_calls_;
};

// A map that an earlier process pinned.
StatusOr<Fd> OpenPinnedMap(const std::string& path);

struct ProgramSize {
  std::string name;
  std::uint32_t instructions = 0;  // after the verifier's rewriting
  std::uint32_t verified = 0;      // instructions that the verifier walked
};
StatusOr<ProgramSize> ReadProgramSize(int program_fd);

// Counted only while CountsProgramRuns (kernel/bpf/system.h).
struct ProgramRuns {
  std::uint64_t count = 0;
  std::uint64_t nanoseconds = 0;
};
StatusOr<ProgramRuns> ReadProgramRuns(int program_fd);

}  // namespace sluice::bpf
