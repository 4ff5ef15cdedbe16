// Test runs of one program: on one frame, or on frames of many flows in turn, by a wrapper that rewrites the ports and
// tail-calls the program. It also contains the floors. For one thread.
#pragma once

#include "kernel/bpf/map.h"
#include "kernel/bpf/testing/program_set.h"
#include "kernel/bpf/testing/test_run.h"
#include "perf/bpf/rotation.h"
#include "perf/event_counter.h"
#include "perf/program/cost.h"

namespace sluice::perf {

// IPv4 addresses that a frame's source or destination takes in turn, each in its own flow.
struct AddressRotation {
  std::uint32_t first = 0;  // host order
  std::uint32_t step = 1;
  std::uint32_t count = 1;  // 1: the frame keeps its address
  bool destination = false;
};

struct ProgramRun {
  int program_fd = -1;
  bool xdp = false;
  std::uint32_t flows = 1;       // 1: the frame as it is, without the wrapper
  bool random = false;           // a random flow for each packet; else in turn
  std::uint64_t first_flow = 0;  // in turn: the first flow
  bool answer = false;           // the frame comes from the service
  bool v6 = false;
  AddressRotation addresses;
  bpf::TestRunInput input;
};

struct ProgramOutput {
  std::uint32_t verdict = 0;  // TC_ACT_* or XDP_*, of the last packet
  Cost cost;                  // mean of the repetitions
};

struct RunnerOptions {
  std::uint32_t hash_entries = 131072;   // capacity of tc_hash and xdp_hash
  bool slots = false;                    // room for the slots of xdp_slot280 and others: 288 MB
  EventCounter* instructions = nullptr;  // of the calling thread; must outlive the runner; null: not counted
};

class Runner {
 public:
  static StatusOr<Runner> Create(const RunnerOptions& options = {});

  StatusOr<ProgramOutput> Run(const ProgramRun& run) const;
  // tc_bare, xdp_bare, tc_parse, xdp_parse, tc_hash, xdp_hash, xdp_slot280, xdp_busy_slotN, xdp_new_slotN.
  int floor_fd(const std::string& name) const { return programs_.program_fd(name); }

 private:
  Runner(bpf::ProgramSet programs, EventCounter* instructions)
      : programs_(std::move(programs)), instructions_(instructions) {}
  StatusOr<ProgramOutput> TestRun(int fd, bool xdp, const bpf::TestRunInput& input) const;

  bpf::ProgramSet programs_;
  EventCounter* instructions_;
  bpf::Map<__u32, perf_rotation> rotation_;
  bpf::Map<__u32, __u32> targets_[2];  // tc, XDP
  int wrapper_fd_[2] = {-1, -1};
};

}  // namespace sluice::perf
