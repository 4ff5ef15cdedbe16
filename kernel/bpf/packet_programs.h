// Knows when no packet is evaluated any more by a program that began earlier; much faster than a grace period of RCU.
//
// tc and XDP programs run where the kernel cannot switch to another task (bottom halves disabled). So once a thread of
// ours has run on a CPU, all that ran there before have ended. It goes to each CPU in turn, in some 20 us each; RCU
// takes two ticks, and ten times that on a CPU that does nothing but packets. RCU is asked instead where this does not
// hold: PREEMPT_RT, a process that may not run on all CPUs (isolated ones are left alone), a CPU that lets no thread of
// ours run for 10 ms.
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
  std::condition_variable changed_;  // any of these, by mutex_
  std::uint64_t wanted_ = 0;         // rounds over all CPUs that were asked for
  std::uint64_t begun_ = 0, ended_ = 0;
  bool complete_ = false;  // the last one that ended
  bool stopping_ = false, stopped_ = false;
  pid_t visitor_id_ = 0;
  std::thread visitor_;
};

}  // namespace sluice::bpf
