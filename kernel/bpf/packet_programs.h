// Waits until all packet programs that run now have ended; much faster than an RCU grace period.
//
// tc and XDP programs run where the kernel cannot switch to another task (bottom halves disabled). So once our thread
// has run on a CPU, every program that ran there before has ended. The thread visits each CPU in turn, in about 20 us
// each. RCU takes two timer ticks, and ten times that on a CPU that only processes packets. RCU is used instead on
// PREEMPT_RT, if this process may not run on all CPUs (isolated CPUs are left alone), or if our thread does not get a
// CPU for 10 ms.
//   PacketPrograms programs;
//   SL_RETURN_IF_ERROR(programs.WaitForRunning());
#pragma once

#include <sched.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace sluice::bpf {

class PacketPrograms {
 public:
  PacketPrograms();
  ~PacketPrograms();
  PacketPrograms(const PacketPrograms&) = delete;
  PacketPrograms& operator=(const PacketPrograms&) = delete;

  // Returns when every tc and XDP program that ran when it was called has ended. Thread-safe.
  Status WaitForRunning();

 private:
  void Visit();

  const bool cannot_be_preempted_;
  std::mutex mutex_;
  std::condition_variable changed_;  // any of the members below, which mutex_ guards
  std::uint64_t wanted_ = 0;         // number of requested rounds over all CPUs
  std::uint64_t begun_ = 0, ended_ = 0;
  bool complete_ = false;  // of the last round that ended
  bool stopping_ = false, stopped_ = false;
  pid_t visitor_id_ = 0;
  std::thread visitor_;
};

}  // namespace sluice::bpf
